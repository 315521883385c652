"""The camera's own picture for the page's before and after: where `web.show_raw` allows it, while somebody looks.

Neither allowed nor looked at, the capture process is not even asked for unpainted pictures, and the host maps none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from pipeline.errors import PhospheneError
from pipeline.messages import Event, LiveState, Mode
from pipeline.sinks.preview import Preview
from pipeline.slot import SlotReader

IDLE_S: Final = 0.05
"""How soon a new viewer is noticed."""


class CameraView(threading.Thread):
    """Feeds `preview` with raw pictures. Implements `integrations.web.preview.CameraPictures`.

    reader: opens a reader of the raw slot. allowed: the setting as it is now. ask: tells the capture process
    whether raw pictures are looked at (may block).
    """

    def __init__(
        self,
        preview: Preview,
        fps: float,
        *,
        reader: Callable[[], SlotReader],
        allowed: Callable[[], bool],
        state: Callable[[], LiveState],
        ask: Callable[[bool], None],
        emit: Callable[[Event], None],
    ) -> None:
        super().__init__(name="camera-view", daemon=True)
        self.preview = preview
        self._interval_s = 1 / fps
        self._open, self._allowed, self._state = reader, allowed, state
        self._ask, self._emit = ask, emit
        self._reader: SlotReader | None = None
        self._halt = threading.Event()

    def refused(self) -> PhospheneError | None:
        """Why the camera's own picture is not shown now; None: it may be."""
        if not self._allowed():
            return PhospheneError(
                "The camera's own picture is not shown here: the settings do not allow it.",
                "Put `web: {show_raw: true}` into your config.yaml.",
            )
        if self._state().mode is Mode.PANIC:
            return PhospheneError("Panic is on: the camera is closed.", "Choose another mode.")
        return None

    def stop(self) -> None:
        self._halt.set()

    def run(self) -> None:
        while not self._halt.wait(self._interval_s if self._reader else IDLE_S):
            self.turn()

    def turn(self) -> None:
        """Begin or end to look, as things are now; show the newest picture."""
        allowed, wanted = self.refused() is None, self.preview.wanted
        if self._reader is None and allowed and wanted:
            self._reader = self._open()  # sees only what comes after this moment
            self._ask(True)
            self._emit(Event("log", "a page looks at the camera's own picture", {"show_raw": True}))
        elif self._reader is not None and not (allowed and wanted):
            self._reader = None
            self._ask(False)
            self._emit(
                Event("log", "no page looks at the camera's own picture any more", {"show_raw": False})
            )
        if not allowed:
            self.preview.forget()  # nothing from before a panic may come back after it
        elif self._reader is not None and (frame := self._reader.take()) is not None:
            self.preview.send(frame)
