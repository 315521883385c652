"""Which number format is fast here, measured and not guessed from a processor's name."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn.functional import conv2d

ADVANTAGE = 1.15
"""bfloat16 must beat float32 by this factor: below it, its coarser numbers are not worth it."""

_ROUNDS = 12


def choose(device: torch.device) -> torch.dtype:
    """The dtype to run the model in on `device`.

    CPU: bfloat16 where it is measurably faster than float32 (about 50 ms). CUDA: float16. Apple's GPU:
    float16. Anything else: float32.
    """
    if device.type in ("cuda", "mps"):
        return torch.float16
    if device.type == "cpu" and bfloat16_advantage() >= ADVANTAGE:
        return torch.bfloat16
    return torch.float32


@torch.inference_mode()
def bfloat16_advantage() -> float:
    """Time in float32 ÷ time in bfloat16 of a convolution of the UNet's size on this CPU, best of a few
    rounds each.

    The rounds alternate, so that a busy machine slows both.
    """
    cases = [_convolution(torch.float32), _convolution(torch.bfloat16)]
    best = [float("inf")] * 2
    for case in cases:
        case()
    for _ in range(_ROUNDS):
        for i, case in enumerate(cases):
            begin = time.perf_counter()
            case()
            best[i] = min(best[i], time.perf_counter() - begin)
    return best[0] / best[1]


def _convolution(dtype: torch.dtype) -> Callable[[], object]:
    x = torch.randn(1, 128, 32, 32).to(dtype=dtype, memory_format=torch.channels_last)
    weight = torch.randn(128, 128, 3, 3).to(dtype=dtype, memory_format=torch.channels_last)
    return lambda: conv2d(x, weight, padding=1)
