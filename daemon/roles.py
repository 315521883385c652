"""The two children and the memory between them: starts capture and engine, hears them, and knows how they are."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from daemon import places
from daemon.ladder import raw_allowed
from daemon.settings import Settings
from daemon.supervisor import Backoff, ProcessRun, Run, Supervised, ThreadRun
from pipeline import kinds
from pipeline.channel import Message
from pipeline.configs import CaptureConfig, EngineConfig, to_json
from pipeline.frame import Size
from pipeline.messages import Event, LiveState, Mode, to_dict
from pipeline.metrics import Rate
from pipeline.options import Options
from pipeline.shared_memory import PipeBell, SharedRing
from pipeline.source import SourceInfo

STALL_S: Final = 2.0  # a camera that has delivered and then gives nothing for so long is opened again
FIRST_PICTURE_S: Final = 8.0  # a camera that has been opened and never gave a picture
SILENCE_S: Final = 10.0  # a child whose listening thread says nothing for so long is stuck or stopped
HANG_S: Final = 10.0  # one call of the denoiser
END_S: Final = 0.7  # for a child to end when asked, before it is killed


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of the camera. status: starting, open, failed, stalled, closed, ended."""

    kind: str
    status: str = "starting"
    name: str = ""
    detail: str = ""
    error: str | None = None
    mend: str | None = None
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What is known of the engine. status: starting, loading, ready, restarting, failed."""

    status: str = "starting"
    message: str = ""
    progress: float | None = None
    info: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    mend: str | None = None


class Roles:
    """Capture and engine, as processes or (with `processes: false`) as threads.

    `state` gives the newest LiveState whenever a child starts. `on_change` is called, from a watching thread, after
    any of the facts has changed.
    """

    def __init__(
        self,
        settings: Settings,
        canvas: Size,
        state: Callable[[], LiveState],
        emit: Callable[[Event], None],
        on_change: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._canvas = canvas
        self._state = state
        self._emit = emit
        self._on_change = on_change
        output = settings.output.size
        self.camera = SharedRing.create(canvas)
        self.raw = SharedRing.create(output)
        self.styled = SharedRing.create(output)
        self._bell = PipeBell.create()
        self.source = SourceFacts(settings.source.kind)
        self.engine = EngineFacts()
        self.fps_in, self.fps_engine = Rate(), Rate()
        self.counts: dict[str, Any] = {}
        self.stages: dict[str, dict[str, float | None]] = {}
        self.engine_interval_s = 0.0  # seconds between two painted frames, smoothed; 0 = not known yet
        self._source_options = settings.source.options
        self._raw_watched = False
        self._pictures = 0
        self._painted: tuple[int, float] | None = None
        self._lock = threading.Lock()
        self.capture_role = Supervised(
            "capture", self._launch_capture, self._capture_hello, self._from_capture, self._capture_down,
            silence_s=SILENCE_S,
        )  # fmt: skip
        self.engine_role = Supervised(
            "engine", self._launch_engine, self._engine_hello, self._from_engine, self._engine_down,
            silence_s=SILENCE_S, backoff=Backoff(first_s=0.2, most_s=30.0),
        )  # fmt: skip

    # ------------------------------------------------------------ life

    def start(self) -> None:
        if self._state().mode is not Mode.PANIC:
            self.capture_role.start()
        self.engine_role.start()

    def stop(self) -> None:
        """Both at once; within about a second."""
        enders = [
            threading.Thread(target=role.stop, args=(END_S,))
            for role in (self.capture_role, self.engine_role)
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        for ring in (self.camera, self.raw, self.styled):
            ring.close()
        self._bell.close()

    def apply(self, state: LiveState) -> None:
        """Send a state on; open or close the camera and the raw pictures as its mode asks. Blocks up to END_S."""
        self.engine_role.send({"do": "state", "state": to_dict(state)})
        with self._lock:
            if state.mode is Mode.PANIC:
                self.capture_role.pause(END_S)
                self._set_source(status="closed", error=None)
            else:
                self.capture_role.start()
            self._allow_raw(state)

    def prepare(self, prompts: Sequence[str]) -> None:
        """Have the engine encode prompts that may be wanted soon."""
        self.engine_role.send({"do": "encode", "prompts": list(prompts)})

    def adopt(self, settings: Settings, *, restart_capture: bool) -> None:
        """Take reloaded settings. What needs new memory is the caller's to refuse."""
        self._settings = settings
        if restart_capture:
            self._source_options = settings.source.options
            self.source = SourceFacts(settings.source.kind)
            self.capture_role.restart(END_S)

    def watch(self) -> None:
        """The watchdog's tick, several times a second: by the age of what was delivered, not by thread life."""
        self.capture_role.kill_if_silent()
        self.engine_role.kill_if_silent()
        facts, age = self.source, self.counts.get("picture_age_s")
        if facts.status == "open":
            limit = STALL_S if age is not None else FIRST_PICTURE_S
            silent_for = age if age is not None else time.monotonic() - facts.since
            if silent_for > limit:
                self._set_source(
                    status="stalled", error=f"{facts.name} has given no picture for {silent_for:.0f} s"
                )
                self.capture_role.kill_for(f"no picture for {silent_for:.1f} s")
        if self.engine.status == "ready" and self.counts.get("busy_s", 0.0) > max(
            HANG_S, 5 * self.engine_interval_s
        ):
            self.counts["busy_s"] = 0.0
            self.engine_role.kill_for(f"the denoiser was busy with one call for more than {HANG_S:g} s")

    def watch_raw(self, on: bool) -> None:
        """Whether the page's before and after is looked at: raw pictures are made for it. Blocks as `apply`."""
        with self._lock:
            self._raw_watched = on
            self._allow_raw(self._state())

    def _raw_wanted(self, state: LiveState) -> bool:
        return raw_allowed(state.mode, self._settings.on_fault, watched=self._raw_watched)

    def _allow_raw(self, state: LiveState) -> None:
        self.capture_role.send({"do": "raw", "on": self._raw_wanted(state)})

    # ------------------------------------------------------------ capture

    def _launch_capture(self) -> Run:
        if self._settings.processes:
            arguments = [self.camera.argument, self.raw.argument, self._bell.argument]
            return _process(
                "pipeline.capture_main", arguments, (*self.camera.fds, *self.raw.fds, *self._bell.fds)
            )
        from pipeline.capture_role import run_capture

        camera, raw = self.camera.writer(self._bell), self.raw.writer()
        return ThreadRun("capture", lambda channel: run_capture(channel, camera, raw))

    def _capture_hello(self) -> Message:
        settings = self._settings
        config = CaptureConfig(
            kind=settings.source.kind,
            options=self._source_options.model_dump(mode="json"),
            canvas=self._canvas,
            output=settings.output.size,
            fit=settings.output.fit,
        )
        self._pictures = 0
        self.counts["picture_age_s"] = None
        return {"do": "start", "config": to_json(config), "raw": self._raw_wanted(self._state())}

    def _from_capture(self, message: Message) -> None:
        if message["say"] == "stats":
            self.counts["picture_age_s"] = message["age_s"]
            self.stages["capture"] = message["stages"]["capture"]
            for _ in range(min(message["pictures"] - self._pictures, 1000)):
                self.fps_in.count()
            self._pictures = message["pictures"]
            if (
                (detail := message.get("detail"))
                and self.source.status == "open"
                and detail != self.source.detail
            ):
                self.source = replace(self.source, detail=detail)
        elif message["say"] == "opened":
            info = message["info"]
            self._source_options = self._same_again(info)
            self._set_source(status="open", name=info["name"], detail=info["detail"], error=None, mend=None)
            data = {"status": "open", **info}
            self._emit(Event("source", f"camera: {info['name']} ({info['detail']})", data))
        elif message["say"] == "failed":
            said = self.source.error == message["message"]
            self._set_source(status="failed", error=message["message"], mend=message["mend"])
            if not said:
                text = f"source {self.source.kind}: {message['message']}"
                self._emit(
                    Event("source", text, {"status": "failed", "mend": message["mend"]}, level="error")
                )
        elif message["say"] == "ended":
            self.capture_role.finish()
            self._set_source(status="ended")
            self._emit(
                Event(
                    "source",
                    f"{self.source.name or self.source.kind} has come to its end",
                    {"status": "ended"},
                )
            )

    def _same_again(self, info: dict[str, Any]) -> Options:
        """Options for a capture process that may have to be started again: the same device and no other."""
        from pipeline.capture_role import again

        kind: Any = kinds.load("pipeline.sources", self._settings.source.kind)
        opened = SourceInfo(**{**info, "size": Size(*info["size"])})
        options: Options = again(kind, self._source_options, opened)
        return options

    def _capture_down(self, reason: str) -> None:
        if self.source.status in ("open", "starting"):
            self._set_source(status="failed", error=f"the capture process ended: {reason}")
            self._emit(
                Event("fault", f"capture: {reason}; starting it again", {"role": "capture"}, level="warning")
            )

    def _set_source(self, **changes: Any) -> None:
        self.source = replace(self.source, since=time.monotonic(), **changes)
        self._on_change()

    # ------------------------------------------------------------ engine

    def _launch_engine(self) -> Run:
        if self._settings.processes:
            arguments = [self.camera.argument, self.styled.argument, self._bell.argument]
            return _process(
                "pipeline.engine_main", arguments, (*self.camera.fds, *self.styled.fds, *self._bell.fds)
            )
        from pipeline.engine_role import run_engine

        camera, styled = self.camera.reader(self._bell), self.styled.writer()
        return ThreadRun("engine", lambda channel: run_engine(channel, camera, styled))

    def _engine_hello(self) -> Message:
        self._painted = None
        return {
            "do": "start",
            "config": to_json(engine_config(self._settings, self._canvas)),
            "state": to_dict(self._state()),
        }

    def _from_engine(self, message: Message) -> None:
        if message["say"] == "stats":
            self._count(message)
        elif message["say"] == "progress":
            self._set_engine(status="loading", message=message["message"], progress=message["fraction"])
            data = {"message": message["message"], "fraction": message["fraction"]}
            self._emit(Event("progress", message["message"], data))
        elif message["say"] == "ready":
            self._set_engine(
                status="ready", message="", progress=None, info=message["info"], error=None, mend=None
            )
            self._emit(
                Event(
                    "engine",
                    f"engine ready: {message['info'].get('detail', '')}",
                    {"status": "ready", **message["info"]},
                )
            )
        elif message["say"] == "failed":
            said = self.engine.error == message["message"]
            self._set_engine(status="failed", error=message["message"], mend=message["mend"])
            if not said:
                data = {"status": "failed", "mend": message["mend"]}
                self._emit(Event("engine", f"engine: {message['message']}", data, level="error"))
        elif message["say"] == "event":
            self._emit(Event("engine", message["message"], {}, level=message["level"]))

    def _count(self, stats: Message) -> None:
        if "frames_out" not in stats:
            return
        now = time.monotonic()
        self.stages.update(stats["stages"])
        apart = ("say", "shape", "stages")
        self.counts.update({key: value for key, value in stats.items() if key not in apart})
        if (shape := stats["shape"]) != {key: self.engine.info.get(key) for key in shape}:
            self._set_engine(info={**self.engine.info, **shape})
            self._emit(Event("engine", f"engine: {shape['detail']}", {"status": self.engine.status, **shape}))
        if self._painted is not None:
            painted = stats["frames_out"] - self._painted[0]
            for _ in range(min(painted, 1000)):
                self.fps_engine.count()
            if painted > 0:
                self.engine_interval_s = (now - self._painted[1]) / painted
                self._painted = (stats["frames_out"], now)
        else:
            self._painted = (stats["frames_out"], now)

    def _engine_down(self, reason: str) -> None:
        if self.engine.status != "failed":
            self._set_engine(status="restarting", message=reason, error=f"the engine process ended: {reason}")
            self._emit(
                Event("fault", f"engine: {reason}; starting it again", {"role": "engine"}, level="warning")
            )

    def _set_engine(self, **changes: Any) -> None:
        self.engine = replace(self.engine, **changes)
        self._on_change()


def engine_config(settings: Settings, canvas: Size) -> EngineConfig:
    """The engine's part of the settings."""
    source = settings.source.options
    threads = settings.engine.threads
    return EngineConfig(
        model=settings.model.name,
        vae=settings.model.vae,
        loras=settings.model.loras,
        canvas=canvas,
        output=settings.output.size,
        fit=settings.output.fit,
        upscale=settings.output.upscale,
        frame_buffer_size=settings.denoiser.frame_buffer_size,
        add_noise=settings.denoiser.add_noise,
        prompt_switch=settings.denoiser.prompt_switch,
        kind=settings.engine.kind,
        device=settings.engine.device,
        dtype=settings.engine.dtype,
        threads=0 if threads == "auto" else threads,
        fp8=settings.engine.fp8,
        offline=settings.model.offline,
        allow_pickle=settings.model.allow_pickle,
        pictures=settings.source.kind != "noise",
        drift_s=float(getattr(source, "drift", 0.0)),
    )


def run_module(module: str) -> list[str]:
    """Arguments for this interpreter that run one of our modules, whatever folder the program was started in: a
    `daemon/` or `pipeline/` that lies there is not taken for ours."""
    code = (
        f"import sys; sys.path[:0] = [{str(places.import_root())!r}]; import runpy; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    unsafe_path_off = ["-P"] if sys.version_info >= (3, 11) else []
    return [*unsafe_path_off, "-c", code]


def _process(module: str, arguments: list[str], fds: tuple[int, ...]) -> ProcessRun:
    return ProcessRun([sys.executable, *run_module(module), *arguments], fds)
