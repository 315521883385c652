"""The host's side of the engine process: starts it, hears it, watches what it paints, and makes it smaller when
memory runs out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from daemon.children.capture import RESUME
from daemon.children.facts import EngineFacts, Stages
from daemon.children.oom import kernel_kills
from daemon.children.smaller import smaller
from daemon.policy import ENGINE
from daemon.supervisor import Run, Supervised
from pipeline.channel import Message
from pipeline.configs import EngineConfig, to_json
from pipeline.frame import Size
from pipeline.messages import Event, LiveState, to_dict
from pipeline.metrics import Rate

SILENCE_S: Final = 10.0  # a process whose listening thread says nothing for so long is stuck or stopped
LOADING_SILENCE_S: Final = 90.0  # importing PyTorch keeps the interpreter for itself, on a slow disk for long
HANG_S: Final = 10.0  # one call of the denoiser
INVALID_S: Final = 3.0  # of NaN and nothing else: the weights or the buffers are spoilt


class EngineSide:
    """The painter's process and what is known of it.

    config: made anew for every start. on_canvas: called when the canvas has to become another size.
    """

    def __init__(
        self,
        config: Callable[[], EngineConfig],
        state: Callable[[], LiveState],
        launch: Callable[[], Run],
        emit: Callable[[Event], None],
        on_change: Callable[[], None],
        on_canvas: Callable[[Size], None],
    ) -> None:
        self._config_of_settings = config
        self._state = state
        self._emit = emit
        self._on_change = on_change
        self._on_canvas = on_canvas
        self.facts = EngineFacts()
        self.fps = Rate()
        self.stages: Stages = {}
        self.counts: dict[str, Any] = {}
        self.on_picture: Callable[[Message], None] = lambda message: None
        self.interval_s = 0.0  # seconds between two painted frames, smoothed; 0 = not known yet
        self._painted: tuple[int, float] | None = None
        self._invalid: tuple[int, float] | None = (
            None  # count and time when NaN began, with nothing painted since
        )
        self._steps_down = 0
        self._kernel_kills = 0
        self.role = Supervised("engine", launch, self._hello, self._hear, self._down, ENGINE)

    def config(self) -> EngineConfig:
        """As set, made smaller as often as memory ran out."""
        config = self._config_of_settings()
        for _ in range(self._steps_down):
            config = smaller(config) or config
        return config

    def watch(self) -> None:
        """The watchdog's tick."""
        self.role.kill_if_silent(SILENCE_S if self.facts.status == "ready" else LOADING_SILENCE_S)
        if self.facts.status != "ready":
            return
        limit_s = max(HANG_S, 5 * self.interval_s)
        if self.counts.get("busy_s", 0.0) > limit_s:
            self.counts["busy_s"] = 0.0
            self.role.kill_for(
                f"the denoiser was busy with one call for more than {limit_s:.0f} s", cause="hang"
            )
        elif self._invalid is not None and time.monotonic() - self._invalid[1] > INVALID_S:
            self._invalid = None
            self.role.kill_for(f"it painted nothing but NaN for {INVALID_S:g} s", cause="NaN")

    # ------------------------------------------------------------ messages

    def _hello(self) -> Message:
        self._painted = self._invalid = None
        self.counts["busy_s"] = 0.0
        self._kernel_kills = kernel_kills()
        return {"do": "start", "config": to_json(self.config()), "state": to_dict(self._state())}

    def _hear(self, message: Message) -> None:
        say = message["say"]
        if say == "stats":
            self._count(message)
        elif say == "progress":
            self._set(status="loading", message=message["message"], progress=message["fraction"])
            data = {"message": message["message"], "fraction": message["fraction"]}
            self._emit(Event("progress", message["message"], data))
        elif say == "ready":
            self.role.well()
            info = message["info"]
            self._set(status="ready", message="", progress=None, info=info, error=None, mend=None)
            text = f"engine ready: {info.get('detail', '')}"
            self._emit(Event("engine", text, {"status": "ready", **info}))
        elif say == "failed":
            self._failed(message)
        elif say == "event":
            self._emit(Event("engine", message["message"], message["data"], level=message["level"]))
        elif say == "picture":
            self.on_picture(message)

    def _failed(self, message: Message) -> None:
        said = self.facts.error == message["message"]
        self._set(status="failed", error=message["message"], mend=message["mend"])
        if not said:
            data = {"status": "failed", "mend": message["mend"]}
            self._emit(Event("engine", f"engine: {message['message']}", data, level="error"))
        if message.get("why") == "memory":
            self._step_down()

    def _step_down(self) -> None:
        """The next start asks for less memory, and says so."""
        now = self.config()
        less = smaller(now)
        if less is None:
            mend = "close other programs, or choose a smaller model"
            text = "engine: memory ran out, and nothing is left that could be made smaller"
            self._emit(Event("engine", text, {"status": "failed", "mend": mend}, level="error"))
            return
        self._steps_down += 1
        what = (
            f"canvas {less.canvas} instead of {now.canvas}"
            if less.canvas != now.canvas
            else f"frame_buffer_size {less.frame_buffer_size} instead of {now.frame_buffer_size}"
        )
        reduced = f"memory ran out: {what}, until phosphene restart"
        self._set(reduced=reduced)
        data = {"status": "reduced", "mend": "close other programs, then phosphene restart"}
        self._emit(Event("engine", f"engine: {reduced}", data, level="warning"))
        if less.canvas != now.canvas:
            self._on_canvas(less.canvas)

    def _count(self, stats: Message) -> None:
        if "frames_out" not in stats:
            return
        now = time.monotonic()
        invalid_before = self.counts.get("invalid", 0)
        self.stages.update(stats["stages"])
        apart = ("say", "shape", "engine", "stages")
        self.counts.update({key: value for key, value in stats.items() if key not in apart})
        if (engine := stats["engine"]) != {key: self.facts.info.get(key) for key in engine}:
            self._set(info={**self.facts.info, **engine})  # an event of its own has told of it
        if (shape := stats["shape"]) != {key: self.facts.info.get(key) for key in shape}:
            self._set(info={**self.facts.info, **shape})
            self._emit(Event("engine", f"engine: {shape['detail']}", {"status": self.facts.status, **shape}))
        if self._painted is None:
            self._painted = (stats["frames_out"], now)
            return
        painted = stats["frames_out"] - self._painted[0]
        for _ in range(min(painted, 1000)):
            self.fps.count()
        if painted > 0:
            self.interval_s = (now - self._painted[1]) / painted
            self._painted = (stats["frames_out"], now)
            self._invalid = None
        elif self._invalid is None and stats.get("invalid", 0) > invalid_before:
            self._invalid = (stats["invalid"], now)

    def _down(self, reason: str, given_up: bool) -> None:
        if reason == "killed by signal 9" and kernel_kills() > self._kernel_kills:
            reason = "the system ran out of memory and killed it"
            self._step_down()
        if given_up:
            why = self.facts.error if self.facts.status == "failed" else reason
            error = f"it failed too often and was given up: {why}"
            self._set(status="given up", error=error, mend=RESUME)
            data = {"role": "engine", "status": "given up", "mend": RESUME}
            self._emit(Event("fault", f"engine: {error}", data, level="error"))
        elif self.facts.status != "failed":
            self._set(status="restarting", message=reason, error=f"the engine process ended: {reason}")
            text = f"engine: {reason}; starting it again"
            self._emit(Event("fault", text, {"role": "engine"}, level="warning"))

    def _set(self, **changes: Any) -> None:
        self.facts = replace(self.facts, **changes)
        self._on_change()
