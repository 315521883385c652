"""Plays the playlist: a thread that submits the next line's command when the present one's time is over.

Times are of the monotonic clock. While the mode is not `styled` (panic, freeze, bypass) the time of the present line
stands still. A line that cannot be applied (its style was removed) is told and passed over.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from daemon.config.playlist_settings import PlaylistSettings
from integrations.control import Control
from integrations.playlist import Entry, parse_entry
from pipeline.errors import PhospheneError
from pipeline.messages import Event, Mode, PlayList

Status = Literal["stopped", "playing", "paused"]

MEND = 'add lines: phosphene playlist set "neon for 30s" "anime over 2s for 20s"'


class Playlist:
    """Thread-safe. `start` and `stop` frame its thread's life; `do` is what the command `playlist` asks."""

    def __init__(
        self,
        settings: PlaylistSettings,
        control: Control,
        emit: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
        random_order: Callable[[list[int]], None] = random.shuffle,
    ) -> None:
        self._control, self._emit, self._clock, self._shuffle = control, emit, clock, random_order
        self._changed = threading.Condition()
        self._settings = settings
        self._entries = [parse_entry(item) for item in settings.items]
        self._order: list[int] = []  # of this time round
        self._at = -1  # place in the order; −1: none yet
        self._left_s = 0.0  # of the present line, when the clock was last looked at
        self._looked = 0.0
        self._counted = False  # whether time ran since then
        self._status: Status = "stopped"
        self._ended = False
        self._revision = 0  # of lines, line and status: tells older facts from newer ones
        self._thread = threading.Thread(target=self._run, name="playlist", daemon=True)

    # ------------------------------------------------------------ for the daemon

    def start(self) -> None:
        """Begin to keep time; plays at once where the settings say so."""
        self._thread.start()
        if self._settings.autostart and self._entries:
            self.do(PlayList("start"), "config")

    def stop(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def adopt(self, settings: PlaylistSettings) -> None:
        """Changed settings. The present line goes on; with other lines, the list goes on behind it or at its start."""
        with self._changed:
            if settings == self._settings:
                return
            self._revision += 1
            now = self._present()
            lines_changed = (
                settings.items != self._settings.items or settings.shuffle != self._settings.shuffle
            )
            self._settings = settings
            self._entries = [parse_entry(item) for item in settings.items]
            if lines_changed and self._status != "stopped":
                self._new_round()
                same = [
                    place for place, n in enumerate(self._order) if now and self._entries[n].text == now.text
                ]
                self._at = same[0] if same else -1
                if not self._entries:
                    self._status = "stopped"
            self._changed.notify_all()

    def mode_changed(self) -> None:
        """A new state is in force: time may stand still, or go on."""
        with self._changed:
            self._tick()
            self._changed.notify_all()

    # ------------------------------------------------------------ for front ends

    def do(self, command: PlayList, origin: str) -> None:
        """Raises PhospheneError where there is nothing to play or to go on with."""
        with self._changed:
            self._tick()
            said = self._do(command)
            self._tick()  # from here on time may run, or no longer
            self._changed.notify_all()
            facts = self._facts()
        self._emit(Event("playlist", f"playlist {said} ({origin})", {"origin": origin, **facts}))

    def facts(self) -> dict[str, Any]:
        """How it stands, as plain values. at: index of the present line in `items`; −1: none.

        revision: of two sets of facts, the one with the higher number is the newer.
        """
        with self._changed:
            self._tick()
            return self._facts()

    # ------------------------------------------------------------ inside, under the lock

    def _facts(self) -> dict[str, Any]:
        stopped = self._status == "stopped" or self._at < 0
        return {
            "revision": self._revision,
            "status": self._status,
            "waits": self._status == "playing" and not self._running(),
            "at": -1 if stopped else self._order[self._at],
            "left_s": 0.0 if stopped else round(max(0.0, self._left_s), 3),
            **self._settings.model_dump(mode="json"),
        }

    def _do(self, command: PlayList) -> str:
        self._revision += 1
        if command.do == "stop":
            self._status, self._at = "stopped", -1
            return "stopped"
        if not self._entries:
            raise PhospheneError("the playlist is empty", MEND)
        if command.do == "start":
            self._new_round()
            self._at, self._left_s, self._status = -1, 0.0, "playing"
            return "started"
        if self._status == "stopped":
            raise PhospheneError("the playlist is not playing", "start it: phosphene playlist start")
        if command.do == "pause":
            self._status = "paused"
            return "paused"
        if command.do == "resume":
            self._status = "playing"
            return "goes on"
        self._status, self._left_s = "playing", 0.0
        if command.do == "back":
            self._at = max(-1, self._at - 2)
            return "one line back"
        return "one line on"

    def _running(self) -> bool:
        return self._status == "playing" and self._control.state.mode is Mode.STYLED

    def _tick(self) -> None:
        """Take the time since the last look off the present line, if it ran."""
        now = self._clock()
        if self._counted:
            self._left_s -= now - self._looked
        self._looked, self._counted = now, self._running()

    def _present(self) -> Entry | None:
        return self._entries[self._order[self._at]] if 0 <= self._at < len(self._order) else None

    def _new_round(self) -> None:
        self._order = list(range(len(self._entries)))
        if self._settings.shuffle:
            last = self._order[self._at] if 0 <= self._at < len(self._order) else None
            self._shuffle(self._order)
            if len(self._order) > 1 and self._order[0] == last:
                self._order.append(self._order.pop(0))

    def _next(self) -> Entry | None:
        """Go one line on; None, and stopped, at the end."""
        self._revision += 1
        if self._at + 1 >= len(self._order):
            if not self._settings.loop or not self._entries:
                self._status, self._at = "stopped", -1
                return None
            self._new_round()
            self._at = -1
        self._at += 1
        entry = self._present()
        assert entry is not None
        self._left_s = self._settings.every_s if entry.for_s is None else entry.for_s
        return entry

    # ------------------------------------------------------------ its thread

    def _run(self) -> None:
        failures = 0
        while True:
            with self._changed:
                self._tick()
                while not self._ended and not (self._running() and self._left_s <= 0):
                    self._changed.wait(max(0.01, self._left_s) if self._running() else None)
                    self._tick()
                if self._ended:
                    return
                entry = self._next()
                over_s = self._settings.over_s
            if entry is None:
                self._emit(Event("playlist", "the playlist has come to its end", {"status": "stopped"}))
                continue
            failures = 0 if self._show(entry, over_s) else failures + 1
            if failures:
                with self._changed:
                    self._left_s = 0.0 if failures < len(self._entries) else self._left_s

    def _show(self, entry: Entry, over_s: float) -> bool:
        command: Any = entry.command
        if getattr(command, "over_s", None) == 0.0 and " over " not in f" {entry.text} ":
            command = replace(command, over_s=over_s)
        try:
            self._control.submit(command, "playlist")
        except PhospheneError as error:
            text = f"playlist: {entry.text!r} is passed over: {error.message}"
            self._emit(Event("playlist", text, {"mend": error.mend}, "warning"))
            return False
        return True
