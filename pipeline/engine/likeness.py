"""How like two pictures are: PSNR and SSIM, the field's measures of a coarser copy."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

WINDOW = 7
WHITE = 255.0
EQUAL_DB = 100.0  # JSON has no infinity


def psnr_db(got: Tensor, expected: Tensor) -> float:
    """10 log₁₀ (255² / mean squared difference), of pictures in grey levels; equal ones have `EQUAL_DB`.

    0 where a number is not finite.
    """
    error = float((got.float() - expected.float()).pow(2).mean())
    if not math.isfinite(error):
        return 0.0
    return EQUAL_DB if error == 0 else min(EQUAL_DB, 10 * math.log10(WHITE**2 / error))


def ssim(got: Tensor, expected: Tensor) -> float:
    """Mean structural similarity (Wang et al. 2004, eq. 13) of pictures [F, H, W, 3] in grey levels: 1 for equal ones.

    0 where a number is not finite. Over even windows of 7×7 (smaller pictures: as large as they are), each channel for
    itself, with the population's variances and the paper's constants K₁ = 0.01 and K₂ = 0.03.
    """
    x, y = (t.float().permute(0, 3, 1, 2) for t in (got, expected))
    window = min(WINDOW, *x.shape[2:])

    def mean(t: Tensor) -> Tensor:
        return avg_pool2d(t, window, stride=1)

    c1, c2 = (0.01 * WHITE) ** 2, (0.03 * WHITE) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, together = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    likeness = (2 * mx * my + c1) * (2 * together + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    value = float(torch.mean(likeness))
    return value if math.isfinite(value) else 0.0
