"""The host's side of the capture process: starts it, hears it, and watches the age of what it delivers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from daemon.children.facts import SourceFacts, Stages
from daemon.policy import CAPTURE
from daemon.settings import Settings
from daemon.supervisor import Run, Supervised
from pipeline import kinds
from pipeline.channel import Message
from pipeline.configs import CaptureConfig, to_json
from pipeline.frame import Size
from pipeline.messages import Event
from pipeline.metrics import Rate
from pipeline.options import Options
from pipeline.source import SourceInfo

STALL_S: Final = 1.5  # a camera that has delivered and then gives nothing for so long is opened again
FIRST_PICTURE_S: Final = 8.0  # a camera that has been opened and never gave a picture
OPENING_S: Final = 60.0  # for each camera that is tried; some drivers (Media Foundation's) take half a minute
SILENCE_S: Final = 10.0  # a process whose listening thread says nothing for so long is stuck or stopped
ASLEEP_S: Final = 1.0  # for a process to close the camera when nobody watches
SLOW_SHARE: Final = 0.5  # of the promised rate; below it the camera is called slow
SLOW_AFTER_S: Final = 4.0  # a camera that wakes in the dark takes a while to find its rate

RESUME: Final = "phosphene resume (tries again), and phosphene logs (says more)"


class CaptureSide:
    """One camera's process and what is known of it.

    raw: whether raw pictures may be sent to the host now. on_change: called after any fact has changed.
    """

    def __init__(
        self,
        settings: Settings,
        canvas: Size,
        raw: Callable[[], bool],
        launch: Callable[[], Run],
        emit: Callable[[Event], None],
        on_change: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._canvas = canvas
        self._raw = raw
        self._emit = emit
        self._on_change = on_change
        self.facts = SourceFacts(settings.source.kind)
        self.fps = Rate()
        self.stages: Stages = {}
        self._options = settings.source.options
        self._pictures = 0
        self._age_s: float | None = None
        self._opening_s = (
            0.0  # that the call which opens the source has taken by now, for each device it tries
        )
        self._ended = False  # this run was killed: what it still says is old
        self._slow_since: float | None = None
        self._asleep = False
        self._closed = threading.Event()
        self.role = Supervised("capture", launch, self._hello, self._hear, self._down, CAPTURE)

    def adopt(self, settings: Settings, *, restart: bool, wait_s: float) -> None:
        """Take reloaded settings; with `restart`, open the source anew with them."""
        self._settings = settings
        if restart:
            self._options = settings.source.options
            self.facts, self._opening_s = SourceFacts(settings.source.kind), 0.0
            self.role.restart(wait_s)

    def open(self, *, asleep: bool = False) -> None:
        """Open the camera, if it is not; or, asleep, have a process ready that opens it within a moment."""
        if asleep and not self._asleep:
            self._fall_asleep()
        elif not asleep:
            if self.facts.status in ("closed", "asleep"):
                self._set(status="starting", error=None)
            if self._asleep:
                self._asleep = False
                self.role.send({"do": "sleep", "on": False})
        self.role.start()

    def _fall_asleep(self) -> None:
        """The process closes the camera and stays; one that does not say so in time is ended, which closes it too."""
        self._asleep = True
        self._set(status="asleep", error=None, slow=None)
        if self.role.pid is None:
            return
        self._closed.clear()
        self.role.send({"do": "sleep", "on": True})
        if not self._closed.wait(ASLEEP_S):
            self.role.kill_for("it did not close the camera", cause="hang", waiting=True)

    def close(self, wait_s: float) -> None:
        """Close the camera, whatever it does; closed when this returns."""
        self.role.pause(wait_s)
        self._asleep, self._opening_s = False, 0.0
        self._set(status="closed", error=None, slow=None)

    def use_canvas(self, canvas: Size) -> None:
        """Pictures for the engine have this size from now on."""
        self._canvas = canvas
        self.role.send({"do": "canvas", "size": list(canvas)})

    def allow_raw(self) -> None:
        """Let raw pictures be sent, or not, as the present state asks."""
        self.role.send({"do": "raw", "on": self._raw()})

    def watch(self) -> None:
        """The watchdog's tick: by the age of what was delivered, not by the life of a thread."""
        self.role.kill_if_silent(SILENCE_S)
        if self._opening_s > OPENING_S and self.facts.status in ("starting", "failed", "stalled"):
            self._stuck(f"{self.facts.kind} is still being opened after {self._opening_s:.0f} s", "hang")
        if self.facts.status != "open":
            return
        limit_s = FIRST_PICTURE_S if self._age_s is None else STALL_S
        open_for_s = time.monotonic() - self.facts.since
        # A process that was stopped reports no age: the time since its last word counts too.
        age_s = open_for_s if self._age_s is None else self._age_s + self.role.silent_s
        if age_s > limit_s:
            self._stuck(f"{self.facts.name} has given no picture for {age_s:.1f} s", "no picture")
        elif open_for_s > SLOW_AFTER_S:
            self._judge_rate()

    def _stuck(self, what: str, cause: str) -> None:
        """The source hangs: its process is killed, which frees the device, and a new one opens it."""
        self._opening_s, self._ended = 0.0, True
        self._set(status="stalled", error=what, mend=None, slow=None)
        data = {"role": "capture", "status": "stalled"}
        self._emit(Event("fault", f"source: {what}; it is opened again", data, level="warning"))
        self.role.kill_for(what, cause=cause, waiting=True)

    def _judge_rate(self) -> None:
        got, promised = self.fps.per_second(), self.facts.promised_fps
        slow = promised > 0 and got < SLOW_SHARE * promised
        if slow == (self.facts.slow is not None):
            self._slow_since = None
            return
        now = time.monotonic()
        self._slow_since = self._slow_since or now
        if now - self._slow_since < SLOW_AFTER_S / 2:
            return
        self._slow_since = None
        name = self.facts.name
        text = f"{name} gives {got:.0f} of {promised:.0f} pictures a second" if slow else None
        self.facts = replace(self.facts, slow=text)  # `since` stays: it is still open
        self._on_change()
        event = f"source: {text or f'{name} gives {got:.0f} pictures a second again'}"
        mend = "more light, another cable or another program off the same USB bus" if slow else ""
        self._emit(Event("source", event, {"status": "open", "mend": mend}, "warning" if slow else "info"))

    # ------------------------------------------------------------ messages

    def _hello(self) -> Message:
        settings = self._settings
        config = CaptureConfig(
            kind=settings.source.kind,
            options=self._options.model_dump(mode="json"),
            canvas=self._canvas,
            output=settings.output.size,
            fit=settings.output.fit,
        )
        self._pictures, self._age_s = 0, None
        self._opening_s, self._ended = 0.0, False
        return {"do": "start", "config": to_json(config), "raw": self._raw(), "asleep": self._asleep}

    def _hear(self, message: Message) -> None:
        say = message["say"]
        if say == "stats":
            self._count(message)
            return
        self._opening_s = 0.0  # whatever else it says, it has come back from opening
        if say == "opened":
            self._opened(message["info"])
        elif say == "asleep":
            self._closed.set()
            if self._asleep:
                self._set(status="asleep", error=None, slow=None)
        elif say == "failed":
            said = self.facts.error == message["message"]
            self._set(status="failed", error=message["message"], mend=message["mend"], slow=None)
            if not said:
                text = f"source {self.facts.kind}: {message['message']}"
                data = {"status": "failed", "mend": message["mend"]}
                self._emit(Event("source", text, data, level="error"))
        elif say == "ended":
            self.role.finish()
            self._set(status="ended")
            name = self.facts.name or self.facts.kind
            self._emit(Event("source", f"{name} has come to its end", {"status": "ended"}))

    def _count(self, stats: Message) -> None:
        self._age_s = stats["age_s"]
        self._opening_s = 0.0 if self._ended else stats["opening_s"] or 0.0
        self.stages["capture"] = stats["stages"]["capture"]
        for _ in range(min(stats["pictures"] - self._pictures, 1000)):
            self.fps.count()
        self._pictures = stats["pictures"]
        detail = stats.get("detail")
        if detail and self.facts.status == "open" and detail != self.facts.detail:
            self.facts = replace(self.facts, detail=detail)

    def _opened(self, info: dict[str, Any]) -> None:
        self.role.well()
        self._options = self._same_again(info)
        self._age_s = None
        self._set(
            status="open", name=info["name"], detail=info["detail"], error=None, mend=None, slow=None,
            promised_fps=info["fps"],
        )  # fmt: skip
        data = {"status": "open", **info}
        self._emit(Event("source", f"camera: {info['name']} ({info['detail']})", data))

    def _same_again(self, info: dict[str, Any]) -> Options:
        """Options for a capture process that may have to be started again: the same device and no other."""
        from pipeline.capture_role import again

        kind: Any = kinds.load("pipeline.sources", self._settings.source.kind)
        opened = SourceInfo(**{**info, "size": Size(*info["size"])})
        options: Options = again(kind, self._options, opened)
        return options

    def _down(self, reason: str, given_up: bool) -> None:
        if given_up:
            error = f"the capture process failed too often and was given up: {reason}"
            self._set(status="given up", error=error, mend=RESUME, slow=None)
            data = {"role": "capture", "status": "given up", "mend": RESUME}
            self._emit(Event("fault", f"capture: {error}", data, level="error"))
        elif self.facts.status != "stalled":  # that was said when it was killed for it
            self._set(status="failed", error=f"the capture process ended: {reason}", slow=None)
            text = f"capture: {reason}; starting it again"
            self._emit(Event("fault", text, {"role": "capture"}, level="warning"))

    def _set(self, **changes: Any) -> None:
        self.facts = replace(self.facts, since=time.monotonic(), **changes)
        self._on_change()
