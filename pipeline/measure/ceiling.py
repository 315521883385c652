"""The most arithmetic this device does, measured: a large matrix product and a large convolution, in one dtype."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Ceiling:
    """TFLOP/s (2 FLOP a multiply-add) of the best round of each."""

    gemm: float
    convolution: float

    @property
    def best(self) -> float:
        return max(self.gemm, self.convolution)


@torch.inference_mode()
def ceiling(device: torch.device, dtype: torch.dtype, seconds: float = 1.0) -> Ceiling:
    """About `seconds` each, with every core of a CPU that PyTorch may use at present."""
    big = device.type != "cpu"
    n = 8192 if big else 1536
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    rows, channels, side = (16, 512, 64) if big else (4, 256, 64)
    x = torch.randn(rows, channels, side, side, device=device, dtype=dtype)
    x = x.to(memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
    weight = weight.to(memory_format=torch.channels_last)
    return Ceiling(
        gemm=2 * n**3 / _best(lambda: a @ b, device, seconds) / 1e12,
        convolution=2 * 9 * rows * side**2 * channels**2
        / _best(lambda: torch.nn.functional.conv2d(x, weight, padding=1), device, seconds)
        / 1e12,
    )  # fmt: skip


def _best(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Seconds of one call in the fastest round; several calls a round, so that starting them does not count."""
    calls = 8 if device.type != "cpu" else 1
    for _ in range(2):
        work()
    wait(device)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(calls):
            work()
        wait(device)
        best = min(best, (time.perf_counter() - begin) / calls)
    return best


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    elif device.type == "xpu":
        torch.xpu.synchronize(device)
