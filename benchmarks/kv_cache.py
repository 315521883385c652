"""What cached cross-attention keys and values are worth: one UNet call with them against one without.

    python benchmarks/kv_cache.py [--model NAME] [--rounds 30]

The two alternate within one run. On a CPU it counts CPU seconds of one thread, so that other programs disturb it
little; on a card, the time until the card is done. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.conditioning import TextConditioner, TextContext  # noqa: E402
from pipeline.engine import precision  # noqa: E402
from pipeline.engine.eager import EagerEngine  # noqa: E402
from pipeline.models.load import load_model  # noqa: E402


def milliseconds(engine: EagerEngine, x: torch.Tensor, t: torch.Tensor, context: TextContext) -> float:
    on_cpu = engine.device.type == "cpu"
    clock = time.thread_time if on_cpu else time.perf_counter
    begin = clock()
    engine.predict(x, t, context)
    if not on_cpu:
        torch.cuda.synchronize()
    return (clock() - begin) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(args.model, device=device, dtype=precision.choose(device))
    engine, conditioner = EagerEngine(model), TextConditioner(model)
    prompts = ("oil painting", "neon cyberpunk", "pencil sketch", "watercolor")
    side = model.default_size // model.vae_scale
    result: dict[str, object] = {"device": device.type, "dtype": str(model.dtype), "size": model.default_size}
    for rows in (1, 2, 4):
        cached = TextContext.stack([conditioner.encode(p) for p in prompts[:rows]])
        plain = TextContext(cached.embeds)
        x = torch.randn(rows, model.latent_channels, side, side, device=device)
        t = torch.full((rows,), 99, device=device)
        times: dict[bool, list[float]] = {True: [], False: []}
        for n in range(args.rounds + 5):
            for with_cache in (True, False):
                took = milliseconds(engine, x, t, cached if with_cache else plain)
                if n >= 5:
                    times[with_cache].append(took)
        with_cache_ms, without_ms = statistics.median(times[True]), statistics.median(times[False])
        pairs = [a / b for a, b in zip(times[False], times[True], strict=True)]
        result[f"rows_{rows}"] = {
            "cached_ms": round(with_cache_ms, 2),
            "uncached_ms": round(without_ms, 2),
            "speedup": round(statistics.median(pairs), 3),
        }
        print(f"{rows} rows: {without_ms:.2f} ms → {with_cache_ms:.2f} ms")
    print(json.dumps({"benchmark": "kv_cache", **result}))


if __name__ == "__main__":
    main()
