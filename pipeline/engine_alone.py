"""The engine with nothing around it: `python -m pipeline.engine_alone` reads {"config", "state", "seconds"} as one
line of JSON and prints one line with its frame rate, for comparison with the whole daemon's."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.build import build, cores
from pipeline.configs import EngineConfig, from_json
from pipeline.messages import parse_state
from pipeline.prepared import Prepared, Tag
from pipeline.slot import SlotReader, SlotWriter, ring_bytes

_BUILD_S = 600.0


def measure(config: EngineConfig, state: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Frames a second and the median time of one call in ms: frames come from memory, every core works on one
    operation at a time, and each result is waited for."""
    camera = SlotReader(bytearray(ring_bytes(config.canvas)), config.canvas)
    styled = SlotWriter(bytearray(ring_bytes(config.output)), config.output)
    config = replace(config, threads=config.threads or cores())
    made = build(config, parse_state(state), camera, styled, lambda *_: None, lambda *_: None)
    frames = config.frame_buffer_size
    random = np.random.default_rng()
    shape = (frames, config.canvas.height, config.canvas.width, 3)
    pictures = [random.integers(0, 256, shape, np.uint8) for _ in range(4)]
    tags = tuple(Tag(0, 0, None, 0) for _ in range(frames))
    made.runner.turn(Prepared(pictures[0], tags))  # what the fast engine is compared on
    made.settle(_BUILD_S)
    calls_ms: list[float] = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        made.runner.turn(Prepared(pictures[len(calls_ms) % 4], tags))
        calls_ms.append((time.perf_counter() - begin) * 1e3)
    return {
        "fps": len(calls_ms) * frames / (sum(calls_ms) / 1e3),
        "call_ms": float(np.median(calls_ms)),
        "calls": len(calls_ms),
        "info": {**made.info, **made.engine_facts()},
    }


if __name__ == "__main__":
    asked = json.loads(sys.stdin.readline())
    print(json.dumps(measure(from_json(EngineConfig, asked["config"]), asked["state"], asked["seconds"])))
