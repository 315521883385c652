"""A daemon without camera and engine: the real web server, the real preview sink, generated pictures.

    python tests/e2e/fake_daemon.py [--port 8521] [--token TOKEN] [--seconds 60]

prints the page's address. For work on the page, and for the browser's tests.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import math
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import numpy as np

from integrations.web.api import Extras
from integrations.web.auth import StreamKey
from integrations.web.limits import Limits
from integrations.web.server import build_app, serve
from pipeline.errors import PhospheneError
from pipeline.frame import Frame, Size, now_ns
from pipeline.messages import (
    BlendStyles,
    Command,
    Event,
    LiveState,
    Mode,
    SetMode,
    SetPrompt,
    SetStyle,
    SetValue,
    StepStyle,
    Style,
    Undo,
    to_dict,
)
from pipeline.sink import OutputFormat
from pipeline.sinks.preview import Options, create

SIZE = Size(960, 540)

BANK = (
    Style("ink", "ink wash painting, wet black brush strokes on rice paper"),
    Style("neon", "neon lit portrait, rain, reflections, night city", "daylight", strength=0.55),
    Style("oil", "thick oil painting, palette knife, warm light", guidance_scale=1.2),
    Style("gouache", "gouache poster, flat shapes, two colours"),
    Style("charcoal", "charcoal drawing, smudged shadows, paper grain"),
    Style("stained glass", "stained glass window, lead lines, glowing panes"),
    Style("woodcut", "woodcut print, bold carved lines"),
    Style("watercolour", "loose watercolour, bleeding edges, white paper", "hard edges"),
    Style("mosaic", "byzantine mosaic of gold and lapis tiles"),
    Style("pencil", "fine pencil sketch, cross hatching"),
    Style("clay", "claymation figure, soft studio light"),
    Style("thermal", "thermal camera false colours"),
)
PALETTE = {style.name: index for index, style in enumerate(BANK)}


class FakeControl:
    """The `Control` protocol over a plain state."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = LiveState(style=BANK[0], revision=1)
        self._past: list[LiveState] = []
        self._listeners: list[Callable[[Event], None]] = []
        self.started = time.monotonic()
        self.overrides: dict[str, Any] = {}
        self.shown = deque[float](maxlen=60)

    @property
    def state(self) -> LiveState:
        return self._state

    def submit(self, command: Command, origin: str) -> LiveState:
        with self._lock:
            before = self._state
            after = self._reduce(before, command)
            if not isinstance(command, Undo):
                self._past = [*self._past[-50:], before]
            self._state = dataclasses.replace(after, revision=before.revision + 1)
        self.emit(
            Event("state", describe(command, self._state), {"origin": origin, "command": to_dict(command)})
        )
        return self._state

    def _reduce(self, state: LiveState, command: Command) -> LiveState:
        match command:
            case SetStyle(name=name, over_s=over_s):
                found = next((style for style in BANK if style.name == name), None)
                if found is None:
                    raise PhospheneError(f"There is no style {name!r}.", "`phosphene styles` lists them.")
                return dataclasses.replace(state, style=found, blend=(), morph_s=over_s)
            case StepStyle(by=by):
                return dataclasses.replace(
                    state, style=BANK[(PALETTE.get(state.style.name, 0) + by) % len(BANK)]
                )
            case SetPrompt(prompt=prompt, negative_prompt=negative):
                style = dataclasses.replace(state.style, name="", prompt=prompt)
                if negative is not None:
                    style = dataclasses.replace(style, negative_prompt=negative)
                return dataclasses.replace(state, style=style)
            case SetValue(key=key, value=value):
                if key == "strength" and not (isinstance(value, int | float) and 0 <= value <= 1):
                    raise PhospheneError(f"strength is {value!r}.", "Use a number from 0 to 1.")
                if key in {field.name for field in dataclasses.fields(Style)}:
                    return dataclasses.replace(state, style=dataclasses.replace(state.style, **{key: value}))
                if key in {field.name for field in dataclasses.fields(LiveState)} - {
                    "style",
                    "mode",
                    "revision",
                }:
                    return dataclasses.replace(state, **{key: value})
                raise PhospheneError(f"There is no live value {key!r}.", "`phosphene set --help` lists them.")
            case SetMode(mode=mode):
                return dataclasses.replace(state, mode=mode)
            case BlendStyles(weights=weights):
                blend = tuple((style, weights[style.name]) for style in BANK if style.name in weights)
                return dataclasses.replace(state, blend=blend)
            case Undo():
                if not self._past:
                    raise PhospheneError("There is nothing to undo.")
                return self._past.pop()
        raise PhospheneError(f"{command.command} is not part of this stand-in.")

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def emit(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    def fps(self) -> float:
        times = list(self.shown)
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0

    def status(self) -> dict[str, Any]:
        t = time.monotonic() - self.started
        wave = 1 + 0.12 * math.sin(t * 0.9) + 0.05 * math.sin(t * 3.1)
        fps = self.fps()
        status: dict[str, Any] = {
            "version": "0.1.0",
            "pid": os.getpid(),
            "uptime_s": t,
            "state": to_dict(self._state),
            "mode": self._state.mode.value,
            "source": {
                "kind": "webcam",
                "name": "Logitech C920",
                "detail": "1280x720 MJPG 30 fps",
                "fps": 29.97,
                "status": "open",
                "error": None,
            },
            "sinks": [
                {
                    "kind": "virtual_camera",
                    "status": "failed",
                    "showing": "slate",
                    "detail": "",
                    "fps": 0,
                    "error": "There is no virtual camera device.",
                    "mend": "Run `sudo modprobe v4l2loopback exclusive_caps=1 card_label=Phosphene`.",
                },
                {
                    "kind": "preview",
                    "status": "open",
                    "detail": "page, JPEG 960x540 quality 80",
                    "fps": fps,
                    "error": None,
                },
            ],
            "engine": {
                "status": "ready",
                "kind": "eager",
                "device": "cpu",
                "dtype": "bfloat16",
                "model": "builtin",
                "size": "352x192",
                "progress": 1.0,
                "message": "",
            },
            "metrics": {
                "fps_in": 29.97,
                "fps_engine": 19.5 * wave,
                "fps_out": fps,
                "latency_ms": {"p50": 74 / wave, "p99": 108 / wave + 12 * (math.sin(t) > 0.9)},
                "skipped": int(t * 2.2),
                "dropped": int(t * 9.4),
            },
            "faults": [],
        }
        return status | self.overrides

    def styles(self) -> list[dict[str, Any]]:
        return [to_dict(style) for style in BANK]


def describe(command: Command, state: LiveState) -> str:
    match command:
        case SetStyle(name=name):
            return f"Style {name}."
        case SetPrompt(prompt=prompt):
            return f"Prompt “{prompt[:60]}”."
        case SetValue(key=key, value=value):
            return f"{key.replace('_', ' ')} is {value}."
        case SetMode(mode=mode):
            return {
                Mode.STYLED: "The painted picture is shown.",
                Mode.FREEZE: "The picture is held.",
                Mode.BYPASS: "The camera's own picture is shown.",
                Mode.PANIC: "Panic: the slate is shown and the camera is closed.",
            }[mode]
    return f"State {state.revision}."


class Painter(threading.Thread):
    """Feeds the real preview sink with a moving picture whose colours tell the style."""

    def __init__(self, control: FakeControl, fps: float = 25) -> None:
        super().__init__(name="painter", daemon=True)
        self.preview = create(Options(), OutputFormat(SIZE, fps))
        self._control, self._fps = control, fps
        self._halt = threading.Event()

    def stop(self) -> None:
        self._halt.set()

    def run(self) -> None:
        seq = 0
        held: np.ndarray | None = None
        while not self._halt.wait(1 / self._fps):
            if not self.preview.wanted:
                continue
            state = self._control.state
            revision = state.revision
            t = time.monotonic() - self._control.started
            if state.mode is Mode.PANIC:
                image, number, revision = np.full((SIZE.height, SIZE.width, 3), 22, np.uint8), -1, 0
            elif state.mode is Mode.FREEZE and held is not None:
                image, number = held, seq
            else:
                seq += 1
                raw = state.mode is Mode.BYPASS
                hue = 0.0 if raw else PALETTE.get(state.style.name, 5) / len(BANK)
                image, number = portrait(t, hue, state.style.strength, raw=raw), seq
                revision = 0 if raw else revision
                held = image
            self.preview.send(Frame(image, number, now_ns(), now_ns(), revision))
            self._control.shown.append(time.monotonic())


def portrait(t: float, hue: float, strength: float, *, raw: bool = False) -> np.ndarray:
    """A head and shoulders in bands of light, HWC RGB uint8; nodding with `t` seconds."""
    height, width = SIZE.height // 3, SIZE.width // 3
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x = (x / width - 0.5) * 16 / 9 - 0.04 * math.sin(t * 0.7)
    y = y / height - 0.5 - 0.02 * math.sin(t * 1.3)
    head = np.hypot(x / 0.2, (y + 0.08) / 0.27)
    body = np.hypot(x / 0.52, (y - 0.62) / 0.36)
    figure = np.minimum(head, body)
    light = np.clip(1.15 - figure * 0.75, 0, 1) * (figure < 1) + 0.25 * np.exp(-np.abs(figure - 1) * 5)
    grain = np.sin(18 * figure + 9 * x * strength + t * 1.4) * np.sin(14 * y + 6 * strength * x - t * 0.6)
    tone = light + (0.0 if raw else 0.22) * grain * (0.4 + strength)
    tone += 0.16 * (0.5 - y) * (1 + 0.6 * np.cos(3 * x + t * 0.4))
    angle = 2 * math.pi * (np.float32(hue) + 0.16 * tone)
    colour = [0.55 + 0.4 * np.cos(angle - shift) for shift in (0.0, 2.1, 4.2)]
    image = np.stack([np.clip(tone * 1.15, 0, 1) * c for c in colour], axis=2)
    if raw:
        image = np.repeat(np.clip(tone, 0, 1)[..., None], 3, axis=2) * np.float32([0.9, 0.75, 0.65])
    small = (np.clip(image, 0, 1) ** 0.9 * 255).astype(np.uint8)
    return np.ascontiguousarray(small.repeat(3, axis=0).repeat(3, axis=1))


def settings_schema() -> dict[str, Any]:
    from daemon.settings import Settings

    return Settings.model_json_schema()


@contextlib.asynccontextmanager
async def running(
    control: FakeControl,
    *,
    port: int = 0,
    token: str,
    key: StreamKey | None = None,
    limits: Limits | None = None,
    reload: Callable[[], dict[str, Any]] = dict,
    parts: Mapping[str, Any] | None = None,
) -> AsyncIterator[tuple[int, Painter, asyncio.Event]]:
    """The server on a loopback port, with pictures: (port, painter, what /stop sets). parts: more of `Extras`."""
    stop = asyncio.Event()
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    painter = Painter(control)
    painter.start()
    app = build_app(
        control,
        painter.preview,
        token=token,
        stream_key=key or StreamKey(),
        settings_schema=settings_schema(),
        extras=Extras(
            config=lambda: {"source": {"kind": "webcam"}}, reload=reload, stop=stop.set, **(parts or {})
        ),
        limits=limits,
    )
    serving = asyncio.create_task(serve(app, "127.0.0.1", port, bound.set_result))
    try:
        await asyncio.wait({serving, bound}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield bound.result(), painter, stop
    finally:
        painter.stop()
        serving.cancel()
        await asyncio.wait({serving})
        painter.join()


class FakeDaemon(threading.Thread):
    """The same in a thread with a loop of its own, for tests that block. Use as a context manager."""

    def __init__(self, *, port: int = 0, token: str = "", **given: Any) -> None:
        super().__init__(name="fake-daemon", daemon=True)
        self.token = token or secrets.token_urlsafe(24)
        self.key = StreamKey()
        self.control = FakeControl()
        self.port = port
        self.stop_asked = False
        self.stopped_in_s = math.inf
        self._given = given
        self._up = threading.Event()
        self._error: BaseException | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def __enter__(self) -> FakeDaemon:
        self.start()
        assert self._up.wait(20), "the server did not start"
        if self._error is not None:
            raise self._error
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop as the daemon does, by cancelling `serve`."""
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self.join(20)
            assert not self.is_alive(), "the server did not stop"

    def run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # noqa: BLE001  handed to the thread that waits in __enter__
            self._error = error
            self._up.set()

    async def _live(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        given = {"port": self.port, "token": self.token, "key": self.key, **self._given}
        async with running(self.control, **given) as (self.port, self.painter, stop):
            self._up.set()
            ends = [asyncio.create_task(event.wait()) for event in (stop, self._end)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            self.stop_asked = stop.is_set()
            for end in ends:
                end.cancel()
            began = time.monotonic()
        self.stopped_in_s = time.monotonic() - began


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8521)
    parser.add_argument("--token", default="development-token")
    parser.add_argument("--seconds", type=float, default=math.inf)
    given = parser.parse_args()
    control = FakeControl()
    async with running(control, port=given.port, token=given.token) as (port, _, stop):
        print(f"http://127.0.0.1:{port}/#token={given.token}", flush=True)
        control.emit(Event("source", "Camera Logitech C920 is open: 1280x720 MJPG, 30 fps."))
        control.emit(Event("engine", "The built-in model is ready on the CPU (bfloat16, 352x192)."))
        control.emit(
            Event(
                "sink",
                "virtual_camera: There is no virtual camera device.",
                {"sink": "virtual_camera"},
                "warning",
            )
        )
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), None if math.isinf(given.seconds) else given.seconds)


if __name__ == "__main__":
    asyncio.run(main())
