"""Our engines beside the original package, in turns within one run: uint8 frame in → uint8 frame out.

    python benchmarks/engine.py            a CPU: the built-in model at 256²; a card: SD-Turbo's shape at 512², random
    python benchmarks/engine.py --all      and the whole daemon: every goal of docs/benchmarks.md
    python benchmarks/engine.py --shape tiny --seconds 0.3     every row in a few minutes, to see that it works

A frame of ours is the time from one to the next, with the next one begun before the last is fetched, as the daemon runs
it; the original waits for each. The original runs in a process of its own, while ours is idle, and is left out where it
is not installed. A compiler may take minutes for each number of steps: --kind cuda_graph needs none.

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

import torch

from benchmarks import goals, report
from benchmarks.original_process import NotInstalledError, Originals
from benchmarks.shapes import BUILTIN, SHAPES, folder_of
from daemon.bench.rows import rows
from pipeline.configs import EngineConfig
from pipeline.devices import cores, device_for, device_name, dtype_for
from pipeline.engine import agreement
from pipeline.engine.fp8 import supported
from pipeline.frame import Size, now_ns
from pipeline.measure.alone import Alone, Timing
from pipeline.measure.ceiling import ceiling
from pipeline.measure.changes import changes
from pipeline.messages import LiveState, Style
from pipeline.style_picture import demo_picture

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


def theirs_for(setup: Setup, originals: Originals | None, state: LiveState) -> dict[str, System]:
    """Every form of the original that one row has; none without the package."""
    if originals is None:
        return {}
    size, steps, form = setup.config.canvas, state.t_index_list, state.style.guidance
    theirs: dict[str, System] = {"original": originals.make(size, steps, form)}
    if setup.compiled:
        theirs["original, compiled"] = originals.make(size, steps, form, compiled=True)
    if len(steps) > 1:
        theirs["original, sequential"] = originals.make(size, steps, "none", batched=False)
    return theirs


def compare(
    setup: Setup, originals: Originals | None, eager: Alone, fast: Alone, name: str, state: LiveState
) -> dict[str, Any]:
    """One row: every system that has it."""
    eager.change(state)
    fast.change(state)
    if fast.build.engine.kind == "eager" != setup.config.kind:
        refused = fast.build.upgrade.refused or "none suits this device"
        raise SystemExit(f"there is no fast engine to measure ({refused}): use --kind, or another --device")
    theirs = theirs_for(setup, originals, state)
    timings = in_turns({**theirs, "eager": eager, "fast": fast}, setup.seconds, setup.rounds)
    if originals is not None:
        originals.forget()
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
    portrait = demo_picture(setup.config.canvas)[None]  # random pixels would say little about coarser numbers
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


def measure(setup: Setup, only: list[str], everything: bool) -> dict[str, Any]:
    wanted = rows(LiveState(style=Style(prompt="oil painting"), similarity=False, steadiness=0.8, revision=1))
    wanted = {name: state for name, state in wanted.items() if not only or name in only}
    first = next(iter(wanted.values()))
    most = ceiling(setup.device, setup.dtype)
    eager, fast = Alone(replace(setup.config, kind="eager"), first), Alone(setup.config, first)
    originals, missing = None, ""
    try:
        originals = Originals(setup.folder, setup.device, setup.dtype)
    except NotInstalledError as error:
        missing = str(error)
    try:
        measured = {n: compare(setup, originals, eager, fast, n, state) for n, state in wanted.items()}
    finally:
        if originals is not None:
            originals.close()
    result: dict[str, Any] = {
        "benchmark": "engine",
        "model": str(setup.model),
        "size": str(setup.config.canvas),
        "device": device_name(setup.device),
        "dtype": setup.config.dtype,
        "threads": cores() if setup.device.type == "cpu" else 0,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "original_missing": missing,
        "rounds": setup.rounds,
        "seconds_a_round": setup.seconds,
        "ceiling_tflops": {"gemm": round(most.gemm, 3), "convolution": round(most.convolution, 3)},
        "engine": fast.build.engine.info(),
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

        del eager, fast
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
        if (options.shape or "builtin") != "builtin" or device_for(options.device).type == "cuda":
            os.environ["XDG_CACHE_HOME"] = below  # engines of models that are gone afterwards
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
