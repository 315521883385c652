"""The sequential reference: one buffer of frames through all T steps, one UNet call after the other.

Written as the paper's algorithm reads, with no slot and no static tensor: what `pipeline.stream_batch`
emits for a frame equals this to 1e-4 in float32. Where batching saves nothing, it is what paints (`pipeline.lanes`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.admission import Admission, Predict
from pipeline.conditioning import TextContext
from pipeline.guidance import guided_noise, residual_noise
from pipeline.schedule import PredictionType, clean_from, consistency, epsilon_from, noised


@torch.no_grad()
def denoise(
    predict: Predict,
    latents: Tensor,
    admission: Admission,
    *,
    prediction_type: PredictionType = "epsilon",
    add_noise: bool = True,
    newest: Callable[[], Admission] | None = None,
) -> Tensor:
    """Clean latents [F, C, h, w] of `latents` [F, C, h, w], in their dtype, under one state.

    F to 2F UNet rows a step. newest: asked before each later step for the state that holds from there on (prompt
    switch "immediate"). Raises EngineError when a state lacks the negative prompt that its guidance needs.
    """
    steps, frames = admission.schedule.steps, latents.shape[0]
    dreams = admission.start == "noise"
    z = torch.zeros_like(latents, dtype=torch.float32) if dreams else latents.float()
    anchor: Tensor | None = None
    denoised = z
    for k in range(steps):
        if newest is not None and k > 0:
            admission = newest()
        admission.check(steps)
        schedule, form = admission.schedule, admission.form
        if schedule.bypass:
            denoised = z
            continue
        noise = admission.noise.to(latents.device, torch.float32)
        a, b = schedule.a[k], schedule.b[k]

        # 1. the noisy latents of this step
        if k == 0:
            x = latents.float() if dreams else noised(z, noise[0], a, b)
        else:
            x = noised(denoised, noise[k], a, b if add_noise else 0.0)

        # 2. the UNet, with a negative row beside each where the form asks for one
        asks_negative = form == "full" or (form == "onetime" and anchor is None)
        context, rows = admission.context, x
        if asks_negative and admission.negative is not None:
            context = TextContext.stack([context] * frames + [admission.negative] * frames)
            rows = torch.cat([x, x])
        tau = torch.full((rows.shape[0],), schedule.timesteps[k], device=x.device)
        output = predict(rows.to(latents.dtype), tau, context).float()
        epsilon = epsilon_from(output[:frames], x, a, b, prediction_type)

        # 3. guidance
        if asks_negative:
            epsilon_n = epsilon_from(output[frames:], x, a, b, prediction_type)
        if asks_negative and form == "onetime":
            anchor = clean_from(epsilon_n, x, a, b)
        if form == "full":
            epsilon = guided_noise(epsilon, epsilon_n, admission.guidance_scale)
        elif form != "none":
            clean = anchor if form == "onetime" and anchor is not None else z
            virtual = admission.delta * residual_noise(x, clean, a, b)
            epsilon = guided_noise(epsilon, virtual, admission.guidance_scale)

        # 4. the consistency function
        denoised = consistency(epsilon, x, a, b, schedule.c_skip[k], schedule.c_out[k])
    return denoised.to(latents.dtype)
