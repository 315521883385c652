"""What a decoded picture is compared by. All pictures [N, 3, H, W] in one range; every loss is a mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as functional
from torch import Tensor


def absolute(a: Tensor, b: Tensor) -> Tensor:
    """L1."""
    return (a - b).abs().mean()


def gradient(a: Tensor, b: Tensor) -> Tensor:
    """L1 of the differences between neighbours, across and down: edges, not levels."""
    d = a - b
    return (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean()


def coarse(a: Tensor, b: Tensor, sizes: Sequence[int]) -> Tensor:
    """L1 of means over squares of each of `sizes` pixels, added up: tones that survive a fine pattern."""
    total = a.new_zeros(())
    for size in sizes:
        total = total + absolute(functional.avg_pool2d(a, size), functional.avg_pool2d(b, size))
    return total
