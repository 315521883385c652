"""Classifier-free guidance in four forms, two of them the Residual CFG of StreamDiffusion (arXiv 2312.12491).

form     where ε_u comes from                                              extra UNet rows a step
none     –                                                                 0
full     the UNet, with the true negative prompt, for every row            B
self     δ S_k with z_k the frame's own clean latents                      0
onetime  δ S_k with z_k the negative prompt's x̂_0, asked at step 0         F
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.messages import GuidanceForm
from pipeline.schedule import Factor

__all__ = ["GuidanceForm", "active_form", "guided_noise", "residual_noise"]


def active_form(form: GuidanceForm, guidance_scale: float) -> GuidanceForm:
    """The form that really runs: g ≤ 1 means no guidance, in every form, and costs no UNet row."""
    return form if guidance_scale > 1.0 else "none"


def residual_noise(x: Tensor, z: Tensor, a: Factor, b: Factor) -> Tensor:
    """Eq. 5 of the paper: the virtual residual noise S_k = (x_k − a_k z_k)/b_k.

    The noise that would lead from x_k straight back to the clean latents z_k: `self` takes the frame's own z,
    `onetime` the negative prompt's x̂_0, predicted once at the frame's first step.

    x, z: [R, C, h, w] float32. a, b: √ᾱ and √(1 − ᾱ) of each row. Returns S as x.

    Closed form, from the z that every slot keeps. The original carries S from step to step instead; both
    agree to 1e-6 where more than one step runs and noise is added, and only this one is right elsewhere.
    """
    return (x - a * z) / b


def guided_noise(epsilon_c: Tensor, epsilon_u: Tensor, guidance_scale: Factor) -> Tensor:
    """ε̂ = ε_u + g (ε_c − ε_u); shapes as `epsilon_c`. RCFG puts δ S_k for ε_u: δ tempers the negative.

    g = 1 gives ε_c exactly, so that rows without guidance may share the call.
    """
    return torch.lerp(epsilon_u, epsilon_c, guidance_scale)
