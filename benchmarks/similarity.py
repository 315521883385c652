"""What the similarity filter saves, and what it costs in staleness, on stretches of a clip.

    python benchmarks/similarity.py --clip FILE [--size 320x192] [--threshold 0.98] [--log]

static: one frame repeated, with a sensor noise of σ = 1, 2, 3 grey levels (the darkest and the brightest
frame of the clip in turn). talking and moving: the calmest and the liveliest three seconds. For each metric and
T: the share of the denoiser's calls saved, the share of its time saved (the filter's own taken off; CPU time of
both, on one thread), and the staleness: how many frames the shown picture is behind, beyond the T − 1 of the
pipeline. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.clips import Image, noisy, read_clip, stretches  # noqa: E402
from pipeline.similarity import SimilarityFilter, SimilarityOptions  # noqa: E402

STEPS = (1, 2, 4)


def run(frames: list[Image], options: SimilarityOptions, steps: int) -> dict[str, float]:
    """Shares of calls saved, and staleness in frames, of one pass over the frames."""
    filter_ = SimilarityFilter(options, seed=0)
    in_flight: list[int] = []
    shown: int | None = None
    saved, stale, filter_s = 0, [], []
    for n, frame in enumerate(frames):
        begin = time.thread_time()
        decision = filter_.decide(frame, state_changed=False, morphing=False, in_flight_calls=steps)
        filter_s.append(time.thread_time() - begin)
        if decision.process:
            in_flight.append(n)
            if len(in_flight) == steps:
                shown = in_flight.pop(0)
        else:
            saved += 1
        if shown is not None:
            stale.append(n - shown - (steps - 1))
    return {
        "calls_saved": saved / len(frames),
        "stale_mean": float(np.mean(stale)),
        "stale_most": int(max(stale)),
        "filter_ms": statistics.median(filter_s) * 1e3,
    }


def step_ms(width: int, height: int, rounds: int = 15) -> float:
    """One whole step of the built-in model: encode, UNet (T = 1), decode."""
    import torch

    from pipeline.conditioning import TextConditioner
    from pipeline.engine import precision
    from pipeline.engine.eager import EagerEngine
    from pipeline.models.load import load_model

    torch.set_num_threads(1)
    model = load_model("builtin", dtype=precision.choose(torch.device("cpu")))
    engine, context = EagerEngine(model), TextConditioner(model).encode("oil painting")
    pixels = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    took = []
    for _ in range(rounds):
        begin = time.thread_time()
        z = engine.encode(pixels)
        engine.decode(engine.predict(z, torch.full((1,), 99.0), context))
        took.append(time.thread_time() - begin)
    return statistics.median(took[3:]) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--size", default="320x192")
    parser.add_argument("--threshold", type=float, default=0.98)
    parser.add_argument("--max-skip-frames", type=int, default=10)
    parser.add_argument("--log", action="store_true", help="add the result to benchmarks/LOG.md")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    frames = read_clip(args.clip, width, height)
    rng = np.random.default_rng(0)
    levels = [float(frame.mean()) for frame in frames]
    dark, bright = frames[int(np.argmin(levels))], frames[int(np.argmax(levels))]
    scenes = {
        f"static {name}, σ = {sigma}": [noisy(frame, sigma, rng) for _ in range(300)]
        for name, frame in (("dark", dark), ("bright", bright))
        for sigma in (1, 2, 3)
    } | stretches(frames, 90)

    denoiser_ms = step_ms(width, height)
    print(f"one step of the built-in model at {args.size}: {denoiser_ms:.1f} ms on one thread\n")
    result: dict[str, Any] = {"benchmark": "similarity", "size": args.size, "threshold": args.threshold}
    result["step_ms"] = round(denoiser_ms, 1)
    lines = [
        "| stretch | metric | T | calls saved | time saved | meets its bound | frames stale: mean, most |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    holds = True
    for scene, pictures in scenes.items():
        for metric in ("tiles", "global"):
            options = SimilarityOptions(True, metric, args.threshold, args.max_skip_frames)
            for steps in STEPS:
                got = run(pictures, options, steps)
                time_saved = got["calls_saved"] - got["filter_ms"] / denoiser_ms
                bound = 0.9 * (1 - steps / (args.max_skip_frames + 1))
                met = ""
                if scene.startswith("static"):
                    met = f"{'yes' if got['calls_saved'] >= bound else 'no'} ({bound:.3f})"
                    holds &= metric == "global" or got["calls_saved"] >= bound
                lines.append(
                    f"| {scene} | {metric} | {steps} | {got['calls_saved']:.3f} | {time_saved:.3f} | {met} | "
                    f"{got['stale_mean']:.1f}, {got['stale_most']} |"
                )
                print(lines[-1], flush=True)
                result[f"{scene} {metric} T{steps}"] = {k: round(v, 3) for k, v in got.items()}
    result["within_bounds"] = holds
    if args.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write(
                f"\n## {date.today().isoformat()} · similarity.py · {platform.machine()}, one thread\n\n"
                f"η = {args.threshold}, M = {args.max_skip_frames}, {args.size}; one step of the built-in "
                f"model took {denoiser_ms:.1f} ms.\n\n" + "\n".join(lines) + "\n"
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
