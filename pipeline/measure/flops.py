"""Arithmetic of one call of the denoiser, counted by PyTorch as the eager engine runs it, and not guessed."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.conditioning import TextContext
from pipeline.engine.eager import EagerEngine
from pipeline.frame import Size


@torch.inference_mode()
def flops_of_call(eager: EagerEngine, context: TextContext, canvas: Size, frames: int, rows: int) -> int:
    """FLOP (2 a multiply-add) to encode F frames, run the UNet on `rows` rows and decode F frames.

    Matrix products, convolutions and attention; what is element by element is not counted.
    """
    model = eager.model
    pictures = torch.zeros(frames, canvas.height, canvas.width, 3, dtype=torch.uint8)
    sides = canvas.height // model.vae_scale, canvas.width // model.vae_scale
    x = torch.zeros(rows, model.latent_channels, *sides, device=eager.device)
    with FlopCounterMode(display=False) as counter:
        eager.encode(pictures)
        eager.predict(x, torch.full((rows,), 99.0, device=eager.device), context)
        eager.decode(x[:frames] if frames <= rows else x[:1].expand(frames, -1, -1, -1))
    return int(counter.get_total_flops())
