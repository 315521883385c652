"""What cached cross-attention keys and values are worth: one UNet call with them against one without.

    python benchmarks/kv_cache.py [--rounds 30]

Two UNets: the built-in one (7 cross-attention layers, 32 tokens), and a random one of Stable Diffusion 1.5's shape at
half its width (16 layers, 77 tokens of width 768). Cached and uncached calls alternate within one run. On a CPU it
counts CPU seconds of one thread, so that other programs disturb it little; on a card, the time until the card is
done. The last line is one JSON object.
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

from pipeline.engine import precision
from pipeline.models.load import load_model
from pipeline.models.unet import UNet
from pipeline.models.unet_config import UNetConfig


def half_width_sd15() -> UNet:
    """Random weights: what they are changes no time."""
    shape = {"block_out_channels": (160, 320, 640, 640), "cross_attention_dim": 768}
    return UNet(UNetConfig.read(shape, Path("half-width Stable Diffusion 1.5"))).eval()


@torch.inference_mode()
def compare(unet: UNet, rows: int, side: int, tokens: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of both, and the median of the ratios of neighbouring calls."""
    weight = unet.conv_in.weight
    like = {"device": weight.device, "dtype": weight.dtype}
    x = torch.randn(rows, unet.config.in_channels, side, side, **like).to(memory_format=torch.channels_last)
    text = torch.randn(rows, tokens, unet.config.cross_attention_dim, **like)
    t = torch.full((rows,), 99, device=weight.device)
    kv = unet.project_text(text)
    on_cpu = weight.device.type == "cpu"
    clock = time.thread_time if on_cpu else time.perf_counter
    times: dict[bool, list[float]] = {True: [], False: []}
    for n in range(rounds + 3):
        for cached in (True, False):
            begin = clock()
            unet(x, t, kv if cached else unet.project_text(text))
            if not on_cpu:
                torch.cuda.synchronize()
            if n >= 3:
                times[cached].append((clock() - begin) * 1e3)
    ratios = [a / b for a, b in zip(times[False], times[True], strict=True)]
    return {
        "cached_ms": round(statistics.median(times[True]), 2),
        "uncached_ms": round(statistics.median(times[False]), 2),
        "speedup": round(statistics.median(ratios), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = precision.choose(device)
    builtin = load_model("builtin", device=device, dtype=dtype).unet
    sd15 = half_width_sd15().to(device=device, dtype=dtype).to(memory_format=torch.channels_last)
    result: dict[str, object] = {"benchmark": "kv_cache", "device": device.type, "dtype": str(dtype)}
    for name, unet, tokens, rounds in (
        ("builtin", builtin, 32, args.rounds),
        ("sd15_half_width", sd15, 77, max(args.rounds // 3, 3)),
    ):
        for rows in (1, 4):
            measured = compare(unet, rows, 32, tokens, rounds)
            result[f"{name}_{rows}"] = measured
            print(f"{name}, {rows} rows: {measured['uncached_ms']} ms → {measured['cached_ms']} ms")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
