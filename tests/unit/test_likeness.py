"""PSNR and SSIM against their formulas written out pixel by pixel."""

import math

import numpy as np
import pytest
import torch

from pipeline.engine.likeness import psnr_db, ssim


def slow_ssim(x, y, window=7):
    """Of [H, W] in float64, every window for itself."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = []
    for i in range(x.shape[0] - window + 1):
        for j in range(x.shape[1] - window + 1):
            a, b = (t[i : i + window, j : j + window].astype(np.float64) for t in (x, y))
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            top = (2 * a.mean() * b.mean() + c1) * (2 * covariance + c2)
            found.append(top / ((a.mean() ** 2 + b.mean() ** 2 + c1) * (a.var() + b.var() + c2)))
    return float(np.mean(found))


def test_ssim_is_the_mean_over_windows_channels_and_frames():
    random = np.random.default_rng()
    x = random.integers(0, 256, (2, 11, 13, 3)).astype(np.float32)
    y = np.clip(x + random.normal(0, 40, x.shape), 0, 255).astype(np.float32)
    expected = np.mean([slow_ssim(x[f, ..., c], y[f, ..., c]) for f in range(2) for c in range(3)])
    assert ssim(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(expected, abs=1e-4)
    assert ssim(torch.from_numpy(x), torch.from_numpy(x)) == pytest.approx(1.0, abs=1e-6)


def test_ssim_of_a_picture_smaller_than_a_window():
    x = torch.rand(1, 4, 5, 3) * 255
    assert ssim(x, x) == pytest.approx(1.0, abs=1e-6)
    assert ssim(x, 255 - x) < 0.5


def test_psnr_of_a_known_difference():
    x = torch.full((1, 8, 8, 3), 100, dtype=torch.uint8)
    assert psnr_db(x + 5, x) == pytest.approx(20 * math.log10(255 / 5))
    assert psnr_db(x, x) == 100, "which JSON can say"
    broken = x.float() * math.nan
    assert (psnr_db(broken, x), ssim(broken, x)) == (0, 0), "no number is no likeness"
