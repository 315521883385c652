"""How much a change of prompt, seed, strength or guidance holds the picture up: the slowest frame after it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.frame import Frame, now_ns
from pipeline.measure.alone import Alone
from pipeline.messages import LiveState

AFTER = 15
"""Frames after a change that are looked at."""
REPEATS = 4


def changes(alone: Alone) -> dict[str, Any]:
    """{prompt: slowest ms ÷ median ms, …}; `nothing` is the same number of frames with no change among them.

    Runs the engine's own three threads on frames from memory; they cannot be stopped and started again.
    """
    runner, state = alone.build.runner, replace(alone.state, similarity=False)
    halt = threading.Event()
    feeder = threading.Thread(target=_feed, args=(alone, halt), daemon=True)
    runner.start()
    feeder.start()
    try:
        _times(alone, AFTER + 10 * len(state.t_index_list))  # warm
        median = float(np.median(np.diff(_times(alone, 3 * AFTER))))
        slowest: dict[str, list[float]] = {}
        for n in range(REPEATS):
            for kind in ("nothing", "prompt", "seed", "strength", "guidance_scale"):
                state = replace(_changed(state, kind, n), revision=state.revision + 1)
                if kind != "nothing":
                    alone.build.apply(state)
                slowest.setdefault(kind, []).append(float(np.diff(_times(alone, AFTER)).max()))
    finally:
        halt.set()
        runner.stop()
    ratios = {kind: round(max(values) / median, 2) for kind, values in slowest.items()}
    return {"median_ms": round(median, 2), "slowest_over_median": ratios}


def _changed(state: LiveState, kind: str, n: int) -> LiveState:
    style = state.style
    every: dict[str, dict[str, Any]] = {
        "nothing": {},
        "prompt": {"prompt": f"{('oil painting', 'anime', 'pencil sketch', 'neon')[n % 4]} number {n}"},
        "seed": {"seed": style.seed + 1},
        "strength": {"strength": 0.4 + 0.05 * (n % 3)},
        "guidance_scale": {"guidance_scale": style.guidance_scale + 0.02},
    }
    return replace(state, style=replace(style, **every[kind]))


def _feed(alone: Alone, halt: threading.Event) -> None:
    """Always a newer frame than the engine can take, without keeping a core busy."""
    number = 0
    while not halt.is_set():
        for _ in range(alone.config.frame_buffer_size):
            picture = alone.pictures[number % len(alone.pictures)][0]
            alone.camera.put(Frame(picture, number, now_ns(), 0))
            number += 1
        time.sleep(alone.interval_s / 2)


def _times(alone: Alone, frames: int) -> list[float]:
    """When so many frames were published, ms."""
    times: list[float] = []
    while len(times) < frames:
        frame = alone.styled.wait(10.0)
        if frame is None:
            raise TimeoutError("the engine has painted nothing for ten seconds")
        times.append(frame.t_published / 1e6)
    return times
