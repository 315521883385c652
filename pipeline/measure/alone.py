"""One engine with nothing around it, fed from memory: frames a second and the time of a frame."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pipeline.admission import Leaving
from pipeline.build import Build, Say, build
from pipeline.configs import EngineConfig
from pipeline.devices import cores
from pipeline.engine.graph_engine import GraphEngine
from pipeline.engine.pictures import Pending
from pipeline.frame import now_ns
from pipeline.measure.flops import flops_of_call
from pipeline.messages import LiveState
from pipeline.prepared import Prepared, Tag
from pipeline.slot import SlotReader, SlotWriter, ThreadBell, ring_bytes

BUILD_S, RECORD_S = 900.0, 120.0
PICTURES = 4


@dataclass(frozen=True, slots=True)
class Timing:
    """Of a stretch of frames: milliseconds a frame, from one finished call to the next, over F."""

    ms: tuple[float, ...]

    @property
    def p50(self) -> float:
        return float(np.percentile(self.ms, 50))

    @property
    def p99(self) -> float:
        return float(np.percentile(self.ms, 99, method="nearest"))

    @property
    def fps(self) -> float:
        return 1e3 * len(self.ms) / sum(self.ms)

    def __add__(self, other: Timing) -> Timing:
        return Timing(self.ms + other.ms)


class Alone:
    """Every core (unless `config.threads` says otherwise) works on one operation at a time, or on one frame each.

    `change` and `run` are not for while the stages of `build.runner` run.
    """

    def __init__(self, config: EngineConfig, state: LiveState, say: Say = lambda level, text: None) -> None:
        self.config = config = replace(config, threads=config.threads or cores())
        bell, out = ThreadBell(), ThreadBell()
        camera, styled = bytearray(ring_bytes(config.canvas)), bytearray(ring_bytes(config.output))
        self.camera = SlotWriter(camera, config.canvas, bell.ring)
        self.styled = SlotReader(styled, config.output, out)
        self.build: Build = build(
            config, state, SlotReader(camera, config.canvas, bell), SlotWriter(styled, config.output, out.ring),
            lambda what, share: None, say,
        )  # fmt: skip
        self.threads = torch.get_num_threads()
        self.state = state
        random = np.random.default_rng()
        shape = (config.frame_buffer_size, config.canvas.height, config.canvas.width, 3)
        self.pictures = [random.integers(0, 256, shape, np.uint8) for _ in range(PICTURES)]
        self.interval_s = 0.01  # of a frame, as last measured
        self._number = 0
        self._leaving: deque[Leaving] = deque()
        self._pending: Pending | None = None
        self.turn()  # what the fast engine is compared on
        self.settled = self.build.settle(BUILD_S)
        self._finish_recording()

    def change(self, state: LiveState) -> None:
        """Another number of steps, another guidance: waits until the engine that would paint in the end paints."""
        self.state = state
        self.build.apply(state)
        self._leaving.clear()
        self._pending = None
        self.turn()
        self.settled = self.build.upgrade.settled.wait(BUILD_S)
        self._finish_recording()

    def _finish_recording(self) -> None:
        """What is recorded beside painted frames would be measured with them, and bears no other work on the card."""
        engine = self.build.engine.present
        self.turn()
        if isinstance(engine, GraphEngine):
            self.settled &= engine.recorded(RECORD_S)

    def turn(self) -> None:
        """One call; waits for the pictures of the call before, as the daemon does."""
        frames = self.config.frame_buffer_size
        tags = tuple(Tag(self._number, 0, None, 0) for _ in range(frames))
        prepared = Prepared(self.pictures[self._number % PICTURES], tags)
        runner = self.build.runner
        leaving = runner.feed(runner.stream, prepared, self.build.admissions.at(now_ns())[0])
        before, self._pending = self._pending, None
        if leaving is not None:
            self._leaving.append(leaving)
        if len(self._leaving) >= self.build.engine.lanes:
            self._pending = self.build.engine.decode_async(self._leaving.popleft().emitted().latents)
        if before is not None:
            before.result()
        self._number += 1

    def run(self, seconds: float, least: int = 3) -> Timing:
        """Calls for so long, at least so many; the pipeline is filled first."""
        torch.set_num_threads(self.threads)
        for _ in range(self.build.runner.stream.shape.steps + self.build.engine.lanes):
            self.turn()
        frames = self.config.frame_buffer_size
        ms: list[float] = []
        begin, end = time.perf_counter(), time.perf_counter() + seconds
        while begin < end or len(ms) < least:
            self.turn()
            now = time.perf_counter()
            ms.append((now - begin) * 1e3 / frames)
            begin = now
        timing = Timing(tuple(ms))
        self.interval_s = timing.p50 / 1e3
        return timing

    def flops(self) -> int:
        """FLOP a frame of the present shape and guidance (see `pipeline.measure.flops`)."""
        admission = self.build.admissions.at(now_ns())[0]
        shape = self.build.runner.stream.shape
        rows = shape.steps * shape.frames
        rows += {"full": rows, "onetime": shape.frames}.get(admission.form, 0)
        eager = self.build.upgrade.eager
        return flops_of_call(eager, admission.context, shape.canvas, shape.frames, rows) // shape.frames


def in_turns(engines: Sequence[Alone], seconds: float, rounds: int) -> list[Timing]:
    """ABAB…: each engine `rounds` times for `seconds`, so that a machine that drifts favours none."""
    timings = [Timing(()) for _ in engines]
    for _ in range(rounds):
        timings = [t + engine.run(seconds) for t, engine in zip(timings, engines, strict=True)]
    return timings
