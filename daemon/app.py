"""The composition root: everything is made, started and stopped here, in an order that fits one screen."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from daemon import panic_mark, places
from daemon.bank.live import StyleBank
from daemon.bank.pictures import StylePictures
from daemon.children.engine import EngineSide
from daemon.children.roles import Roles
from daemon.config.choice import Choice
from daemon.control import ControlHub
from daemon.deadline.watch import DeadlineWatch
from daemon.demand import Demand
from daemon.equipment import LiveEquipment
from daemon.exit_codes import ExitCode
from daemon.integration_threads import IntegrationThreads
from daemon.midi_learn import MidiLearn
from daemon.picture.camera_view import CameraView
from daemon.picture.outlook import outlook
from daemon.picture.sink_thread import SinkThread
from daemon.picture.view import Outlook, View
from daemon.playlist import Playlist
from daemon.service.notify import Notifier
from daemon.settings import Loaded, Settings
from daemon.sleep_watch import SleepWatch
from daemon.status import status_of
from pipeline import kinds
from pipeline.frame import Size
from pipeline.geometry import canvas_for
from pipeline.messages import Event, LiveState, Mode, SetMode
from pipeline.models.native_size import native_edge
from pipeline.sink import OutputFormat, Sink

log = logging.getLogger(__name__)

TICK_S: Final = 0.1
SWITCH_S: Final = 0.001
"""How long a thread keeps the interpreter's lock while others wait. A sink takes it anew after each of its calls into
OpenCV or a driver: with the usual 5 ms, reading a configuration delays its pictures by up to 60 ms."""
SINKS_END_S: Final = 1.2  # a recorder finishes its file; a hung device does not keep the program


class Host:
    """The process that outlives camera and engine: control, pictures out, HTTP; it never imports torch."""

    def __init__(self, loaded: Loaded, on_event: Callable[[Event], None]) -> None:
        settings = self.settings = loaded.settings
        self.started = time.monotonic()
        self.address = ""
        self.control = ControlHub(
            loaded, status=self.status, prepare=lambda prompts: self.roles.prepare(prompts)
        )
        self.control.subscribe(on_event)
        self.control.subscribe(self._heard)
        if panic_mark.is_set():
            self.control.submit(SetMode(Mode.PANIC), "before")
            said = "panic is still on from before: the camera stays closed until phosphene resume"
            self.control.emit(Event("state", said, {"mend": "phosphene resume"}, level="warning"))
        self.canvas = canvas_of(settings)
        self.deadline = DeadlineWatch(settings.deadline, self.control.state, self.control.emit)
        self.roles = Roles(settings, self.canvas, self.deadline.effective, self.control.emit, self._look)
        self.integrations = IntegrationThreads(settings, self.control, self.control.emit)
        self.bank = StyleBank(self.control)
        self.pictures = StylePictures(
            lambda: self.control.settings,
            lambda: self.control.state,
            self.roles.ask_picture,
            self.control.emit,
            places.pictures_folder,
        )
        self.roles.engine.on_picture = self.pictures.heard
        self.playlist = Playlist(settings.playlist, self.control, self.control.emit)
        self.control.on_playlist = self.playlist.do
        self._outlook = Outlook()
        self.demand = Demand()
        self.demand.look(settings.activate, ())
        self._computer_sleeps = False
        self._sleep_watch = SleepWatch(self._computer_sleep, self.control.emit)
        self._effects: queue.SimpleQueue[LiveState | None] = queue.SimpleQueue()
        self._effects_thread = threading.Thread(target=self._carry_out, name="effects", daemon=True)
        self._output = OutputFormat(settings.output.size, settings.output.fps)
        self.preview = kinds.load("pipeline.sinks", "preview").create(
            _preview_options(settings), self._output
        )
        self.camera_view = CameraView(
            kinds.load("pipeline.sinks", "preview").create(_preview_options(settings), self._output),
            settings.output.fps,
            reader=self.roles.raw.reader,
            allowed=lambda: self.settings.web.show_raw,
            state=lambda: self.control.state,
            ask=self.roles.watch_raw,
            emit=self.control.emit,
        )
        self.sinks = [self._sink(choice) for choice in settings.sinks]
        self._painted = self.roles.styled.reader()
        self._asked_to_stop = False
        self.stopping = asyncio.Event()
        self.notifier = Notifier()
        self.control.on_state(self._changed)
        self.control.on_state(lambda state: self.playlist.mode_changed())
        self.control.on_settings(self._adopt)

    # ------------------------------------------------------------ life

    async def serve(
        self, *, seconds: float | None, frames: int | None, on_address: Callable[[str], None]
    ) -> ExitCode:
        """Run until asked to stop. Pictures first, then children, then the page."""
        self._look()
        for sink in self.sinks:
            sink.start()
        self.roles.start(asleep=self.demand.asleep)
        self.camera_view.start()
        self._effects_thread.start()
        self._sleep_watch.start()
        self.playlist.start()
        done = asyncio.create_task(self._until_done(seconds, frames))
        page = asyncio.create_task(self._page(on_address))
        try:
            await asyncio.wait({done, page}, return_when=asyncio.FIRST_COMPLETED)
            if page.done():
                page.result()  # it serves until it is cancelled: what ended it is an error
        finally:
            self.notifier.stopping()
            ending = asyncio.create_task(asyncio.to_thread(self._end))
            for task in (done, page):
                task.cancel()
            await asyncio.gather(done, page, ending, return_exceptions=True)
            self.control.close()
        return ExitCode.OK

    async def _page(self, on_address: Callable[[str], None]) -> None:
        """The HTTP side; imported here, when the first pictures are on their way already."""
        from integrations.web.api import Extras
        from integrations.web.auth import StreamKey
        from integrations.web.server import build_app, serve

        web = self.settings.web
        app = build_app(
            self.control,
            self.preview,
            token=places.token(),
            stream_key=StreamKey(places.stream_key_file()),
            camera=self.camera_view,
            settings_schema=Settings.model_json_schema(),
            allowed_hosts=web.allowed_hosts,
            extras=Extras(
                config=self._config,
                reload=self.reload,
                stop=self.stop,
                bank=self.bank,
                pictures=self.pictures,
                playlist=self.playlist,
                equipment=LiveEquipment(self),
                midi=MidiLearn(
                    self.control,
                    self.bank,
                    lambda: self.integrations.running("midi"),
                    lambda: self.integrations.status()["midi"],
                ),
            ),
        )

        def bound(port: int) -> None:
            self.address = f"http://{web.host}:{port}"
            on_address(self.address)
            self.notifier.ready()
            gc.freeze()  # what there is now stays: a collection would walk over it all, and hold up the sinks meanwhile

        await serve(app, web.host, web.port, bound)

    def stop(self) -> None:
        """Ask the daemon to end; call from the event loop's thread."""
        self.stopping.set()

    def stop_soon(self) -> None:
        """Ask the daemon to end, from any thread."""
        self._asked_to_stop = True

    @property
    def painted(self) -> int:
        """Painted frames published since the engine came up, read from the slot itself."""
        return self._painted.newest_number()

    async def _until_done(self, seconds: float | None, frames: int | None) -> None:
        deadline = time.monotonic() + seconds if seconds is not None else None
        while not self.stopping.is_set() and not self._asked_to_stop:
            self._sleep_or_wake()
            self.roles.watch()
            self.integrations.watch()
            self.pictures.watch(self.roles.engine.facts.status == "ready")
            self._look()
            painter = self.roles.engine
            if painter.facts.status == "ready" and self._late(painter):
                self._effects.put(self.control.state)
            self._ping()
            if deadline is not None and time.monotonic() >= deadline:
                return
            if frames is not None and self.painted >= frames:
                return
            if (
                self.roles.capture.facts.status == "ended"
                and time.monotonic() - self.roles.capture.facts.since > self.settings.hold_s
            ):
                return
            try:
                await asyncio.wait_for(self.stopping.wait(), TICK_S)
            except asyncio.TimeoutError:
                continue

    def _late(self, painter: EngineSide) -> bool:
        """Whether the deadline has changed what is given up."""
        building = bool(painter.facts.info.get("building"))
        return self.deadline.measure(painter.counts.get("frame_ms"), building=building)

    def _end(self) -> None:
        self._effects.put(None)
        self.integrations.ask_to_end()
        self.camera_view.stop()
        self.playlist.stop()
        for sink in self.sinks:
            sink.stop()
        self.roles.stop()
        self.integrations.join()
        deadline = time.monotonic() + SINKS_END_S
        for sink in self.sinks:
            sink.join(max(0.0, deadline - time.monotonic()))

    def _sleep_or_wake(self) -> None:
        """`activate: on_demand`: the slow part follows on the thread of effects."""
        if not self.demand.look(self.settings.activate, self.sinks):
            return
        asleep = self.demand.asleep
        who = ", ".join(self.demand.consumers)
        said = "nobody watches: the camera is closed" if asleep else f"awake for {who or 'everybody'}"
        self.control.emit(Event("source", said, {"status": "asleep" if asleep else "starting"}))
        self._effects.put(self.control.state)

    def _computer_sleep(self, sleeps: bool) -> None:
        """Before the computer sleeps: the camera is closed when this returns. After: it is opened again."""
        self._computer_sleeps = sleeps
        said = "the computer goes to sleep: the camera is closed" if sleeps else "the computer is awake again"
        self.control.emit(Event("source", said, {"status": "asleep" if sleeps else "starting"}))
        self.roles.apply(self.control.state, asleep=sleeps or self.demand.asleep)

    def _ping(self) -> None:
        """The service manager's watchdog hears from us only while every open sink sends."""
        for sink in self.sinks:
            sink.watch()
        if not any(sink.stuck() for sink in self.sinks):
            self.notifier.watchdog()

    # ------------------------------------------------------------ state

    def _changed(self, state: LiveState) -> None:
        """On the thread that submitted: viewers see the new mode with their next frame; the slow part follows."""
        self.deadline.changed(state)
        self._look()
        self._effects.put(state)

    def _carry_out(self) -> None:
        panic = panic_mark.is_set()
        while (state := self._effects.get()) is not None:
            while not self._effects.empty():  # only the newest matters
                newer = self._effects.get()
                if newer is None:
                    return
                state = newer
            if panic != (panic := state.mode is Mode.PANIC):
                self._keep_panic(panic)
            try:
                asleep = self.demand.asleep or self._computer_sleeps
                self.roles.apply(self.deadline.effective(), asleep=asleep)
            except Exception:  # the next command must still be carried out, a panic above all
                log.exception("revision %d was not carried out", state.revision)

    def _keep_panic(self, panic: bool) -> None:
        try:
            panic_mark.keep(panic)
        except OSError as error:
            text = f"panic cannot be remembered over a restart: {error.strerror}"
            self.control.emit(Event("fault", text, {"mend": "make room on the disk"}, level="warning"))

    def _heard(self, event: Event) -> None:
        """Choosing a mode (`phosphene resume`, on the page, in OBS) also tries again what was given up."""
        if event.kind == "state" and event.data.get("command", {}).get("command") == "mode":
            self.roles.revive()
            for sink in self.sinks:
                sink.revive()

    def _adopt(self, settings: Settings, changed: frozenset[str]) -> None:
        """Reloaded settings: what the hub found to apply to a running daemon."""
        self.settings = settings
        self.integrations.adopt(settings)
        self.playlist.adopt(settings.playlist)
        self.deadline.adopt(settings.deadline)
        self._effects.put(self.control.state)
        self.roles.adopt(settings, restart_capture=any(key.split(".")[0] == "source" for key in changed))
        self._look()

    def reload(self) -> dict[str, Any]:
        """Read the configuration again. Raises PhospheneError when it is bad; the old one then stays."""
        done = self.control.reload()
        return {"live": list(done.live), "needs_restart": list(done.waiting)}

    def _config(self) -> dict[str, Any]:
        from daemon.config.effective import effective_facts

        return effective_facts(self.control.loaded)

    def _look(self) -> None:
        self._outlook = outlook(
            self.settings,
            self.control.state,
            self.roles.capture.facts,
            self.roles.engine.facts,
            self.roles.engine.interval_s,
        )

    def status(self) -> dict[str, Any]:
        """Everything `phosphene status` prints."""
        return status_of(self)

    # ------------------------------------------------------------ sinks

    def add_sink(self, choice: Choice) -> SinkThread:
        """Open one more sink on the running pictures."""
        sink = self._sink(choice)
        self.sinks = [*self.sinks, sink]
        sink.start()
        return sink

    def remove_sink(self, sink: SinkThread) -> None:
        """Close one for good; a recorder finishes its file. Blocks up to SINKS_END_S."""
        self.sinks = [known for known in self.sinks if known is not sink]
        sink.stop()
        sink.join(SINKS_END_S)

    def _sink(self, choice: Choice) -> SinkThread:
        styled, raw = self.roles.styled, self.roles.raw
        view = View(self.settings.output.size, styled.reader(), raw.reader, lambda: self._outlook)
        return SinkThread(
            choice.kind,
            self._sink_maker(choice),
            view,
            self._output,
            self.control.emit,
            asleep=lambda: self.demand.asleep,
        )

    def _sink_maker(self, choice: Choice) -> Callable[[OutputFormat], Sink]:
        if choice.kind == "preview":
            return lambda output: self.preview
        module = kinds.load("pipeline.sinks", choice.kind)
        return lambda output: module.create(choice.options, output)


def canvas_of(settings: Settings) -> Size:
    """What the model paints on: as configured, or the output's aspect at the model's own number of pixels."""
    if settings.model.size != "auto":
        return settings.model.size
    return canvas_for(settings.output.size, native_edge(settings.model.name) ** 2).size


def run(
    loaded: Loaded,
    *,
    seconds: float | None = None,
    frames: int | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    on_host: Callable[[Host], None] = lambda host: None,
    on_address: Callable[[str], None] = lambda address: None,
) -> ExitCode:
    """The daemon in the foreground, from the lock to the last frame. Raises PhospheneError when it cannot start.

    on_event: every event, on a thread of its own. on_host: given the host before it starts (its `status()` feeds
    a status line). on_address: given the page's address once it answers; other commands find it by then.
    """

    sys.setswitchinterval(SWITCH_S)

    def announce(address: str) -> None:
        places.announce(address)
        on_address(address)

    with places.lock():

        async def main() -> ExitCode:
            host = Host(loaded, on_event)
            on_host(host)
            interrupted = _end_on_signals(host)
            code = await host.serve(seconds=seconds, frames=frames, on_address=announce)
            return ExitCode.INTERRUPTED if interrupted.is_set() else code

        return asyncio.run(main())


def _end_on_signals(host: Host) -> threading.Event:
    """SIGTERM and Ctrl-C stop in order; a second Ctrl-C ends at once; SIGHUP reads the configuration again."""
    interrupted = threading.Event()

    def interrupt() -> None:
        if interrupted.is_set():
            os._exit(ExitCode.INTERRUPTED)  # the children see their pipes close
        interrupted.set()
        host.stop()

    if sys.platform == "win32":
        signal.signal(signal.SIGINT, lambda *_: interrupt())
        return interrupted
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, host.stop)
    loop.add_signal_handler(
        signal.SIGHUP, lambda: threading.Thread(target=host.control.try_reload, daemon=True).start()
    )
    return interrupted


def _preview_options(settings: Settings) -> Any:
    for choice in settings.sinks:
        if choice.kind == "preview":
            return choice.options
    return kinds.load("pipeline.sinks", "preview").Options()
