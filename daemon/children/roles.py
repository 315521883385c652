"""The two children and the memory between them: starts capture and engine, and passes states on."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from daemon import places
from daemon.children.capture import CaptureSide
from daemon.children.engine import EngineSide
from daemon.picture.ladder import raw_allowed
from daemon.settings import Settings
from daemon.supervisor import ProcessRun, Run, ThreadRun
from pipeline.configs import EngineConfig
from pipeline.frame import Size
from pipeline.messages import Event, LiveState, Mode, to_dict
from pipeline.shared_memory import PipeBell, SharedRing

END_S: Final = 0.7  # for a child to end when asked, before it is killed
SLEPT_S: Final = 1.0  # between two ticks of the watchdog: the host itself was stopped


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
        self._state = state
        output = settings.output.size
        self.camera = SharedRing.create(canvas)
        self.raw = SharedRing.create(output)
        self.styled = SharedRing.create(output)
        self._bell = PipeBell.create()
        self._raw_watched = False
        self._lock = threading.Lock()
        self._ticked = time.monotonic()
        self.capture = CaptureSide(settings, canvas, self._raw_wanted, self._launch_capture, emit, on_change)
        self.engine = EngineSide(
            lambda: engine_config(self._settings, canvas),
            state, self._launch_engine, emit, on_change, self.capture.use_canvas,
        )  # fmt: skip

    # ------------------------------------------------------------ life

    def start(self, *, asleep: bool = False) -> None:
        """asleep: see `daemon.demand`; the model is loaded all the same."""
        if self._state().mode is Mode.PANIC:
            self.capture.close(0.0)
        else:
            self.capture.open(asleep=asleep)
        self.engine.role.start()

    def stop(self) -> None:
        """Both at once; within about a second."""
        enders = [
            threading.Thread(target=role.stop, args=(END_S,))
            for role in (self.capture.role, self.engine.role)
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        for ring in (self.camera, self.raw, self.styled):
            ring.close()
        self._bell.close()

    def apply(self, state: LiveState, *, asleep: bool = False) -> None:
        """Open or close the camera and the raw pictures as a state's mode and the demand ask; send it on. Blocks up to
        END_S."""
        with self._lock:
            if state.mode is Mode.PANIC:
                self.capture.close(END_S)
            else:
                self.capture.open(asleep=asleep)
            self.capture.allow_raw()
        self.engine.role.send({"do": "state", "state": to_dict(state)})

    def revive(self) -> None:
        """Try again what was given up."""
        self.capture.role.revive()
        self.engine.role.revive()

    def prepare(self, prompts: Sequence[str]) -> None:
        """Have the engine encode prompts that may be wanted soon."""
        self.engine.role.send({"do": "encode", "prompts": list(prompts)})

    def ask_picture(self, request: dict[str, Any]) -> None:
        """Have the engine paint a small picture (see `pipeline.style_picture_job`); `engine.on_picture` hears it."""
        self.engine.role.send({"do": "picture", **request})

    def adopt(self, settings: Settings, *, restart_capture: bool) -> None:
        """Take reloaded settings. What needs new memory is the caller's to refuse."""
        self._settings = settings
        self.capture.adopt(settings, restart=restart_capture, wait_s=END_S)

    def watch(self) -> None:
        """The watchdog's tick, several times a second."""
        now = time.monotonic()
        slept, self._ticked = now - self._ticked > SLEPT_S, now
        if slept:
            # What the children said while the host was stopped is still to be read.
            self.capture.role.forgive_silence()
            self.engine.role.forgive_silence()
            return
        self.capture.watch()
        self.engine.watch()

    def watch_raw(self, on: bool) -> None:
        """Whether the page's before and after is looked at: raw pictures are made for it. Blocks as `apply`."""
        with self._lock:
            self._raw_watched = on
            self.capture.allow_raw()

    def _raw_wanted(self) -> bool:
        return raw_allowed(self._state().mode, self._settings.on_fault, watched=self._raw_watched)

    # ------------------------------------------------------------ launching

    def _launch_capture(self) -> Run:
        if self._settings.processes:
            arguments = [self.camera.argument, self.raw.argument, self._bell.argument]
            return _process(
                "pipeline.capture_main", arguments, (*self.camera.fds, *self.raw.fds, *self._bell.fds)
            )
        from pipeline.capture_role import run_capture

        camera, raw = self.camera.writer(self._bell), self.raw.writer()
        return ThreadRun("capture", lambda channel: run_capture(channel, camera, raw))

    def _launch_engine(self) -> Run:
        if self._settings.processes:
            arguments = [self.camera.argument, self.styled.argument, self._bell.argument]
            return _process(
                "pipeline.engine_main", arguments, (*self.camera.fds, *self.styled.fds, *self._bell.fds)
            )
        from pipeline.engine_role import run_engine

        camera, styled = self.camera.reader(self._bell), self.styled.writer()
        return ThreadRun("engine", lambda channel: run_engine(channel, camera, styled))


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
        check=settings.safety.check,
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
