"""Seeded noise for the latents: one per denoising step, the same on every device, and seeds that blend."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_STEP_STRIDE = 1_000_003
"""Between the generators of two steps of one seed: neighbouring seeds never share a generator."""


def noise_for(seed: int, T: int, C: int, h: int, w: int, *, device: torch.device | str = "cpu") -> Tensor:
    """N_k of every step: unit normal float32 [T, C, h, w], shared by the F positions of a buffer.

    Drawn on the CPU with a generator for each step, then moved: a seed gives the same picture on every
    device, and N_0 stays what it was when the number of steps changes.
    """
    drawn = [
        torch.randn((C, h, w), generator=torch.Generator().manual_seed((seed + k * _STEP_STRIDE) % 2**63))
        for k in range(T)
    ]
    return torch.stack(drawn).to(device)


def slerp(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """From a (weight 0) to b (weight 1) along the arc, for each step's noise on its own; [T, C, h, w].

    A straight blend of two noises has only √(1 − 2w(1 − w)) of their deviation and would paint flat
    pictures; the arc keeps it.
    """
    cosine = torch.nn.functional.cosine_similarity(a.flatten(1), b.flatten(1), dim=1)
    theta = torch.acos(cosine.clamp(-1.0, 1.0))
    sine = torch.sin(theta)
    parallel = sine < 1e-4  # equal or opposite: the arc is not defined, and the chord is the same
    of_a = torch.where(parallel, 1.0 - weight, torch.sin((1.0 - weight) * theta) / sine)
    of_b = torch.where(parallel, weight, torch.sin(weight * theta) / sine)
    return of_a.view(-1, 1, 1, 1) * a + of_b.view(-1, 1, 1, 1) * b


def blend_noise(weighted: Sequence[tuple[Tensor, float]]) -> Tensor:
    """Several seeds' noises [T, C, h, w], with weights, as one unit-normal noise: slerp after slerp.

    Raises ValueError when a weight is negative or none is positive.
    """
    if any(w < 0 for _, w in weighted) or not any(w > 0 for _, w in weighted):
        raise ValueError(f"weights of a blend must be ≥ 0 and not all 0, not {[w for _, w in weighted]}")
    (blended, total), *others = [(noise, w) for noise, w in weighted if w > 0]
    for noise, w in others:
        total += w
        blended = slerp(blended, noise, w / total)
    return blended
