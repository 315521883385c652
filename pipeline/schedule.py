"""The noise schedule: which noise level each denoising step runs at, and the latent consistency scalings
there.

Notation of the paper and of Latent Consistency Models (arXiv 2310.04378):
    τ_k     timestep of step k, 0 (clean) … 999 (noise); may lie between two training timesteps
    ᾱ(τ)    the model's cumulated signal power (`alphas_cumprod`)
    a_k     √ᾱ(τ_k), the share of picture in x_k = a_k z + b_k N
    b_k     √(1 − ᾱ(τ_k)), the share of noise
    c_skip, c_out   boundary scalings of the consistency function, x̂ = c_out x̂_0 + c_skip x
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from torch import Tensor

from pipeline.errors import EngineError

PredictionType = Literal["epsilon", "v_prediction", "sample"]
"""What the UNet's raw output is: the noise ε, the velocity v = a ε − b x̂_0, or the clean latents x̂_0."""

Factor = Tensor | float
"""A scalar, or a tensor that broadcasts over latents."""

SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0
LEAST_SIGNAL = 1e-6
LEAST_NOISE = 1e-10
"""Below them neither ᾱ nor 1 − ᾱ goes, so that a division by a_k or b_k keeps its digits in float32; ᾱ is
smaller only in the last steps of a model with zero terminal signal-to-noise ratio.
"""


@dataclass(frozen=True, slots=True)
class Schedule:
    """T denoising steps, all of them plain numbers: equal schedules compare equal, none lives on a device.

    t_index_list: positions on the latent consistency grid, ascending, so from noisy to clean.
    strength: 0 = the camera's own picture, 0.5 = `t_index_list` as configured, 1 = starts from pure noise.
    timesteps, a, b, c_skip, c_out: one value per step, as the head of this file names them.
    """

    t_index_list: tuple[int, ...]
    strength: float
    timesteps: tuple[float, ...]
    a: tuple[float, ...]
    b: tuple[float, ...]
    c_skip: tuple[float, ...]
    c_out: tuple[float, ...]

    @property
    def steps(self) -> int:
        """T."""
        return len(self.timesteps)

    @property
    def bypass(self) -> bool:
        """Whether frames pass by the UNet unchanged: at strength 0 the VAE's reconstruction comes out."""
        return self.strength == 0.0

    @classmethod
    def of(
        cls,
        alphas_cumprod: Sequence[float] | Tensor,
        t_index_list: Sequence[int],
        strength: float = 0.5,
        *,
        original_inference_steps: int = 50,
        timestep_scaling: float = TIMESTEP_SCALING,
        sigma_data: float = SIGMA_DATA,
    ) -> Schedule:
        """The schedule of a model's `alphas_cumprod` [1000] at `t_index_list` and `strength` ∈ [0, 1].

        original_inference_steps, timestep_scaling: those of the model's scheduler config.
        A tensor on a GPU is read back, so hand over a CPU tensor or a list.
        Raises EngineError naming the value that is wrong.
        """
        alphas = alphas_cumprod.tolist() if isinstance(alphas_cumprod, Tensor) else list(alphas_cumprod)

        # 1. the latent consistency grid, original_inference_steps points over the training timesteps
        grid = lcm_grid(len(alphas), original_inference_steps)
        indices = _checked(t_index_list, len(grid))

        # 2. strength moves every step by one factor, so that their proportions stay
        factor = strength_factor(strength, grid[indices[0]], len(alphas) - 1)
        timesteps = tuple(grid[i] * factor for i in indices)

        # 3. noise level of each step
        powers = [signal_power(alphas, tau) for tau in timesteps]

        # 4. boundary scalings, those of the grid's cleanest point below it: nearer to 0 their sum rises to 1.2
        scaled = [timestep_scaling * max(tau, grid[-1]) for tau in timesteps]
        norms = [s * s + sigma_data * sigma_data for s in scaled]
        return cls(
            t_index_list=indices,
            strength=float(strength),
            timesteps=timesteps,
            a=tuple(math.sqrt(p) for p in powers),
            b=tuple(math.sqrt(1.0 - p) for p in powers),
            c_skip=tuple(sigma_data * sigma_data / n for n in norms),
            c_out=tuple(s / math.sqrt(n) for s, n in zip(scaled, norms, strict=True)),
        )


def lcm_grid(train_timesteps: int = 1000, original_inference_steps: int = 50) -> tuple[int, ...]:
    """Timesteps of t_index 0, 1, …: τ = 999 − 20 i for 50 steps over 1000 training timesteps."""
    if not 1 <= original_inference_steps <= train_timesteps:
        raise EngineError(
            f"original_inference_steps is {original_inference_steps}, "
            f"but the model was trained on {train_timesteps} timesteps",
            f"use a value from 1 to {train_timesteps}",
        )
    stride = train_timesteps // original_inference_steps
    return tuple((original_inference_steps - i) * stride - 1 for i in range(original_inference_steps))


def strength_factor(strength: float, first: float, last: float = 999.0) -> float:
    """What every τ_k is multiplied by: 2s up to s = 0.5, then (last/first)^(2s − 1).

    Continuous and rising: 0 at s = 0, 1 at s = 0.5; at s = 1 the first step, τ_0 = `first`, lands on `last`.
    """
    if not 0.0 <= strength <= 1.0:
        raise EngineError(
            f"strength is {strength}", "use a value from 0 (the camera's picture) to 1 (all noise)"
        )
    if strength <= 0.5:
        return 2.0 * strength
    return float((last / first) ** (2.0 * strength - 1.0))


def signal_power(alphas_cumprod: Sequence[float], timestep: float) -> float:
    """ᾱ at a timestep between training timesteps: linear between its neighbours, so as monotone as the table.

    Below timestep 1 it rises to 1 at 0, not to the table's ᾱ[0]: the picture leaves the camera's without a jump
    when strength leaves 0, while ᾱ[0] would put 3 % of grain on it at once.
    """
    low = min(int(timestep), len(alphas_cumprod) - 1)
    high = min(low + 1, len(alphas_cumprod) - 1)
    left = 1.0 if low == 0 else alphas_cumprod[low]
    power = left + (alphas_cumprod[high] - left) * (timestep - low)
    return min(max(power, LEAST_SIGNAL), 1.0 - LEAST_NOISE)


def epsilon_from(output: Tensor, x: Tensor, a: Factor, b: Factor, prediction_type: PredictionType) -> Tensor:
    """ε of the UNet's raw output for x = a x_0 + b ε; shapes as `x`."""
    if prediction_type == "epsilon":
        return output
    if prediction_type == "v_prediction":
        return a * output + b * x
    return (x - a * output) / b


def clean_from(epsilon: Tensor, x: Tensor, a: Factor, b: Factor) -> Tensor:
    """x̂_0 = (x − b ε)/a; shapes as `x`."""
    return (x - b * epsilon) / a


def consistency(epsilon: Tensor, x: Tensor, a: Factor, b: Factor, c_skip: Factor, c_out: Factor) -> Tensor:
    """The consistency function f(x, τ) = c_out (x − b ε)/a + c_skip x; shapes as `x`."""
    return c_out * clean_from(epsilon, x, a, b) + c_skip * x


def noised(clean: Tensor, noise: Tensor, a: Factor, b: Factor) -> Tensor:
    """x = a z + b N; shapes as `clean`."""
    return a * clean + b * noise


def _checked(t_index_list: Sequence[int], points: int) -> tuple[int, ...]:
    indices = tuple(int(i) for i in t_index_list)
    ascending = all(i < j for i, j in pairwise(indices))
    if not indices or not ascending or indices[0] < 0 or indices[-1] >= points:
        raise EngineError(
            f"t_index_list is {list(t_index_list)}",
            f"list one or more different steps in ascending order, from 0 (noise) to {points - 1} (clean)",
        )
    return indices
