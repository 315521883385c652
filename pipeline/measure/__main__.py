"""`python -m pipeline.measure`: reads a request as one line of JSON, prints {"progress": …} lines, then {"result": …}.

{"config": EngineConfig, "rows": {name: LiveState}, "seconds": a system and row, "rounds": n}
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

from pipeline.configs import EngineConfig, from_json
from pipeline.measure.alone import Alone, Timing, in_turns
from pipeline.measure.ceiling import ceiling
from pipeline.measure.changes import changes
from pipeline.messages import LiveState, parse_state


def measure(config: EngineConfig, rows: dict[str, LiveState], seconds: float, rounds: int) -> dict[str, Any]:
    """The configured engine beside the eager one, row by row in turns; the ceiling; what a live change costs."""
    first = next(iter(rows.values()))
    say("loading")
    eager = Alone(replace(config, kind="eager"), first)
    say("building the fast engine")
    fast = Alone(config, first)
    say("the ceiling of this device")
    most = ceiling(eager.build.model.device, eager.build.model.dtype)
    measured = {}
    for name, state in rows.items():
        say(f"engine alone: {name}")
        for engine in (eager, fast):
            engine.change(state)
        timings = in_turns([eager, fast], seconds / 2 / rounds, rounds)
        flop = eager.flops()
        measured[name] = {
            "flop": flop,
            "floor_ms": round(flop / most.best / 1e9, 3),
            "kind": fast.build.engine.kind,
            "eager": facts(timings[0], flop, most.best),
            "engine": facts(timings[1], flop, most.best),
            "engine_over_eager": round(timings[0].p50 / timings[1].p50, 3),
        }
    say("live changes")
    fast.change(first)
    live = changes(fast)
    return {
        "ceiling_tflops": {"gemm": round(most.gemm, 3), "convolution": round(most.convolution, 3)},
        "rows": measured,
        "changes": live,
        "info": {**fast.build.info, **fast.build.engine_facts()},
    }


def facts(timing: Timing, flop: int, ceiling_tflops: float) -> dict[str, float]:
    achieved = flop / timing.p50 / 1e9
    return {
        "fps": round(timing.fps, 2),
        "p50_ms": round(timing.p50, 3),
        "p99_ms": round(timing.p99, 3),
        "tflops": round(achieved, 4),
        "share_of_ceiling": round(achieved / ceiling_tflops, 4),
    }


def say(text: str) -> None:
    print(json.dumps({"progress": text}), flush=True)


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    config = from_json(EngineConfig, asked["config"])
    rows = {name: parse_state(state) for name, state in asked["rows"].items()}
    print(json.dumps({"result": measure(config, rows, asked["seconds"], asked["rounds"])}), flush=True)


if __name__ == "__main__":
    main()
