"""Our engines beside the original package, in turns within one run: uint8 frame in → uint8 frame out.

    python benchmarks/engine.py            a CPU: the built-in model at 256²; a card: SD-Turbo's shape at 512², random
    python benchmarks/engine.py --all      and the whole daemon: every goal of docs/benchmarks.md
    python benchmarks/engine.py --shape tiny --compile --seconds 0.3     every row in a minute, to see that it works

Rows: 1, 2 and 4 steps without guidance, 4 with RCFG self. Columns: the original, the original with UNet and VAE
hand-wrapped in torch.compile(mode="reduce-overhead") (a card, or --compile), the original without its stream batch,
our eager engine, our fast one. Each figure is the median over interleaved rounds; beside them the arithmetic floor:
FLOP counted by PyTorch ÷ the best matrix product or convolution measured in this run. On a card that has 8-bit numbers
also our fast engine with them (1 step): its time, and PSNR and SSIM of a person painted by it to eager's. --log adds
the result to benchmarks/LOG.md. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image, ImageOps

from benchmarks import goals, original, report
from benchmarks.shapes import BUILTIN, SHAPES, folder_of
from daemon.bench.rows import rows
from pipeline.configs import EngineConfig
from pipeline.devices import cores, device_for, device_name, dtype_for
from pipeline.engine import agreement
from pipeline.engine.fp8 import supported
from pipeline.engine.pictures import Pictures
from pipeline.frame import Size, now_ns
from pipeline.measure.alone import Alone, Timing
from pipeline.measure.ceiling import ceiling
from pipeline.measure.changes import changes
from pipeline.messages import LiveState, Style

PORTRAIT = Path(__file__).resolve().parents[1] / "pipeline" / "sources" / "_demo" / "astronaut.jpg"
ROUNDS = 5
BUFFER = 4


class System(Protocol):
    def run(self, seconds: float) -> Timing: ...


@dataclass(frozen=True)
class Setup:
    """What is compared, and for how long each round."""

    model: Path | str
    folder: Path
    config: EngineConfig
    device: torch.device
    dtype: torch.dtype
    compiled: bool
    seconds: float
    rounds: int


def setup_of(options: argparse.Namespace, below: Path) -> Setup:
    device = device_for(options.device)
    dtype = dtype_for(options.dtype, device)
    name = options.shape or ("sd-turbo" if device.type == "cuda" else "builtin")
    edge = options.edge or (256 if name == "builtin" else SHAPES[name].edge)
    folder = BUILTIN if name == "builtin" else folder_of(name, below, device, dtype)
    config = EngineConfig(
        model="builtin" if name == "builtin" else str(folder), vae=None, loras=(), canvas=Size(edge, edge),
        output=Size(edge, edge), fit="cover", upscale="bilinear", kind=options.kind,
        device=options.device, dtype=str(dtype).removeprefix("torch."), offline=True,
    )  # fmt: skip
    compiled = options.compile or device.type == "cuda"
    return Setup(name, folder, config, device, dtype, compiled, options.seconds, options.rounds)


def in_turns(systems: dict[str, System], seconds: float, rounds: int) -> dict[str, Timing]:
    """ABAB…; the system that begins changes every round."""
    timings = {name: Timing(()) for name in systems}
    for n in range(rounds):
        names = list(systems)
        for name in names[n % len(names) :] + names[: n % len(names)]:
            timings[name] += systems[name].run(seconds)
    return timings


def compare(
    setup: Setup, pipe: Any, eager: Alone, fast: Alone, name: str, state: LiveState
) -> dict[str, Any]:
    """One row: every system that has it."""
    eager.change(state)
    fast.change(state)
    canvas, form = setup.config.canvas, state.style.guidance
    theirs = {"original": original.Original(pipe, canvas, state.t_index_list, form)}
    if setup.compiled:
        theirs["original, compiled"] = original.Original(
            pipe, canvas, state.t_index_list, form, compiled=True
        )
    if len(state.t_index_list) > 1:
        theirs["original, sequential"] = original.Original(
            pipe, canvas, state.t_index_list, "none", batched=False
        )
    for system in theirs.values():
        system.warm_up()
    timings = in_turns({**theirs, "eager": eager, "fast": fast}, setup.seconds, setup.rounds)
    print(
        f"{name}: " + ", ".join(f"{k} {t.p50:.2f} ms" for k, t in timings.items()),
        file=sys.stderr,
        flush=True,
    )
    return {
        "flop": eager.flops(),
        "kind": fast.build.engine.kind,
        "settled": fast.settled,
        "refused": fast.build.upgrade.refused,
        "ms": {key: round(timing.p50, 3) for key, timing in timings.items()},
        "p99_ms": {key: round(timing.p99, 3) for key, timing in timings.items()},
    }


def throughput(setup: Setup, state: LiveState) -> dict[str, Any]:
    """Frames four at a time through one step: less waiting for launches, more latency."""
    engine = Alone(replace(setup.config, frame_buffer_size=BUFFER), state)
    timing = in_turns({"fast": engine}, setup.seconds * 2, setup.rounds)["fast"]
    return {"flop": engine.flops(), "ms": round(timing.p50, 3), "kind": engine.build.engine.kind}


def eight_bit(setup: Setup, eager: Alone, fast: Alone, state: LiveState) -> dict[str, Any]:
    """The fast engine with layers in 8 bits beside itself without, and what that does to a real picture.

    {"none" | "linear" | "all": {ms, kind, refused, distance}} or {"why": …} where the device has no such numbers.
    """
    if (why := supported(setup.device)) is not None:
        return {"why": why}
    coarse = {what: Alone(replace(setup.config, fp8=what), state) for what in ("linear", "all")}
    systems = {"none": fast, **coarse}
    timings = in_turns(dict(systems), setup.seconds, setup.rounds)
    portrait = picture(setup.config.canvas)
    admission = eager.build.admissions.at(now_ns())[0]
    return {
        what: {
            "ms": round(timings[what].p50, 3),
            "kind": engine.build.engine.kind,
            "refused": engine.build.upgrade.refused,
            "distance": asdict(
                agreement.distance(eager.build.engine, engine.build.engine, portrait, admission)
            ),
        }
        for what, engine in systems.items()
    }


def picture(canvas: Size) -> Pictures:
    """A person, [1, H, W, 3]: random pixels would say little about coarser numbers."""
    with Image.open(PORTRAIT) as portrait:
        cut = ImageOps.fit(portrait.convert("RGB"), (canvas.width, canvas.height))
    return np.asarray(cut)[None]


def measure(setup: Setup, only: list[str], everything: bool) -> dict[str, Any]:
    wanted = rows(LiveState(style=Style(prompt="oil painting"), similarity=False, steadiness=0.8, revision=1))
    wanted = {name: state for name, state in wanted.items() if not only or name in only}
    first = next(iter(wanted.values()))
    most = ceiling(setup.device, setup.dtype)
    eager, fast = Alone(replace(setup.config, kind="eager"), first), Alone(setup.config, first)
    pipe = original.load(setup.folder, setup.device, setup.dtype)
    measured = {n: compare(setup, pipe, eager, fast, n, state) for n, state in wanted.items()}
    result: dict[str, Any] = {
        "benchmark": "engine",
        "model": str(setup.model),
        "size": str(setup.config.canvas),
        "device": device_name(setup.device),
        "dtype": setup.config.dtype,
        "threads": cores() if setup.device.type == "cpu" else 0,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "rounds": setup.rounds,
        "seconds_a_round": setup.seconds,
        "ceiling_tflops": {"gemm": round(most.gemm, 3), "convolution": round(most.convolution, 3)},
        "rows": measured,
        "throughput": throughput(setup, first),
    }
    for row in (*measured.values(), result["throughput"]):
        row["floor_ms"] = round(row["flop"] / most.best / 1e9, 3)
    for engine in (eager, fast):
        engine.change(first)
    result["eight_bit"] = eight_bit(setup, eager, fast, first)
    result["changes"] = changes(fast)
    if everything:
        from benchmarks.daemon import measure_model

        del eager, fast, pipe
        if setup.device.type == "cuda":
            torch.cuda.empty_cache()
        result["daemon"] = measure_model(setup.config, setup.seconds * setup.rounds)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="the whole table of goals: the daemon too")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--kind", default="auto", help="our fast engine's kind")
    parser.add_argument("--shape", choices=["builtin", *SHAPES])
    parser.add_argument("--edge", type=int, help="pixels a side")
    parser.add_argument("--rows", nargs="+", default=[], help='some of the rows, as in "1 step"')
    parser.add_argument("--compile", action="store_true", help="the hand-compiled original on a CPU too")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each system in each round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--log", action="store_true", help="add the result to benchmarks/LOG.md")
    options = parser.parse_args()

    warnings.simplefilter("ignore")  # the original's world is older than ours
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as below:
        result = measure(setup_of(options, Path(below)), options.rows, options.all)
    result["minutes"] = round((time.monotonic() - began) / 60, 1)
    result["goals"] = goals.judged(result)
    text = report.markdown(result)
    print(text)
    if options.log:
        report.append(text, f"engine.py · {result['device']}, torch {result['torch']}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
