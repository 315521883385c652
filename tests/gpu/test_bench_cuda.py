"""What the benchmarks assert on a card: that each figure is of the card, and that changes need no recompilation."""

from __future__ import annotations

import pytest
import torch

from daemon.bench.rows import rows
from pipeline.configs import EngineConfig
from pipeline.frame import Size
from pipeline.measure.alone import Alone, in_turns
from pipeline.measure.ceiling import ceiling
from pipeline.measure.changes import changes
from pipeline.messages import LiveState, Style

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(1800),  # compilers
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]

STATE = LiveState(style=Style(prompt="anime"), similarity=False, revision=1)


def config(kind: str, frames: int = 1) -> EngineConfig:
    return EngineConfig(
        model="builtin", vae=None, loras=(), canvas=Size(256, 256), output=Size(256, 256), fit="cover",
        upscale="bilinear", kind=kind, device="cuda", dtype="float16", frame_buffer_size=frames,
    )  # fmt: skip


def test_no_engine_beats_the_ceiling_that_was_measured():
    most = ceiling(torch.device("cuda"), torch.float16)
    engine = Alone(config("eager"), STATE)
    timing = engine.run(1.0)
    assert 0 < engine.flops() / timing.p50 / 1e9 < most.best


def test_the_fast_engine_is_no_slower_than_eager_in_any_row():
    wanted = rows(STATE)
    first = next(iter(wanted.values()))
    eager, fast = Alone(config("eager"), first), Alone(config("auto"), first)
    for name, state in wanted.items():
        for engine in (eager, fast):
            engine.change(state)
        slow, quick = in_turns([eager, fast], 0.5, 3)
        assert quick.p50 <= slow.p50 * 1.05, (name, fast.build.engine.kind, fast.build.upgrade.refused)


def test_four_frames_side_by_side_cost_less_each_than_one_alone():
    single, buffered = Alone(config("auto"), STATE), Alone(config("auto", frames=4), STATE)
    one, four = in_turns([single, buffered], 0.5, 3)
    assert four.p50 < one.p50


def test_a_live_change_needs_no_recompilation():
    engine = Alone(config("auto"), STATE)
    engine.run(0.5)
    slowest = changes(engine)["slowest_over_median"]
    quiet = slowest.pop("nothing")
    for kind, ratio in slowest.items():
        assert ratio <= max(2.0, 1.5 * quiet), (kind, slowest, quiet)
