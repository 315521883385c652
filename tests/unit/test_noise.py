"""Seeded noise: reproducible, the same for any number of steps, and unit normal when seeds are blended."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.noise import blend_noise, noise_for, slerp
from tests.unit.tiny_denoiser import untimed

SEEDS = st.integers(-(2**40), 2**40)


@untimed
@given(SEEDS)
def test_a_seed_is_a_picture(seed: int) -> None:
    noise = noise_for(seed, 4, 3, 8, 8)
    assert noise.shape == (4, 3, 8, 8)
    assert torch.equal(noise, noise_for(seed, 4, 3, 8, 8))
    assert torch.equal(noise[:2], noise_for(seed, 2, 3, 8, 8))
    steps_and_neighbour = torch.cat([noise, noise_for(seed + 1, 4, 3, 8, 8)]).flatten(1)
    assert (torch.corrcoef(steps_and_neighbour) - torch.eye(8)).abs().max() < 0.4


@untimed
@given(SEEDS, st.floats(0, 1))
def test_blended_seeds_stay_unit_normal(seed: int, weight: float) -> None:
    a, b = noise_for(seed, 2, 4, 24, 24), noise_for(seed + 1, 2, 4, 24, 24)
    blended = slerp(a, b, weight)
    assert blended.std().item() == pytest.approx(1.0, abs=0.08)
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-6)
    assert torch.allclose(slerp(a, b, 1.0), b, atol=1e-6)
    assert torch.allclose(slerp(a, a, weight), a, atol=1e-5)
    three = blend_noise([(a, 1.0), (b, 1.0 + weight), (noise_for(seed + 2, 2, 4, 24, 24), 0.5)])
    assert three.std().item() == pytest.approx(1.0, abs=0.08)


def test_weights_are_relative_and_checked() -> None:
    a, b = noise_for(1, 1, 4, 8, 8), noise_for(2, 1, 4, 8, 8)
    assert torch.equal(blend_noise([(a, 1.0), (b, 3.0)]), blend_noise([(a, 2.0), (b, 6.0)]))
    assert blend_noise([(a, 2.0), (b, 0.0)]) is a
    for weights in ((0.0, 0.0), (1.0, -1.0)):
        with pytest.raises(ValueError, match="weights"):
            blend_noise(list(zip((a, b), weights, strict=False)))
