"""Pictures ↔ latents, the same for the tiny and the full autoencoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class LatentCodec(nn.Module):
    """An AutoencoderTiny or AutoencoderKL between pictures in [0, 1] and latents as the UNet was trained on
    them.

    Latents are (mean − shift_factor) · scaling_factor. AutoencoderKL gives its distribution's mean, never a
    sample: a fresh sample for every frame would flicker.
    """

    def __init__(self, vae: Any) -> None:
        super().__init__()
        config = vae.config
        self.vae = vae
        self.is_tiny = hasattr(config, "latent_magnitude")
        self.latent_channels: int = config.latent_channels
        self.scale = 2 ** (len(getattr(config, "encoder_block_out_channels", config.block_out_channels)) - 1)
        self.scaling_factor = float(config.scaling_factor if config.scaling_factor is not None else 1.0)
        self.shift_factor = float(getattr(config, "shift_factor", None) or 0.0)

    def encode(self, pictures: Tensor) -> Tensor:
        """[F, 3, H, W] in [0, 1] → latents [F, C, H/scale, W/scale], same dtype."""
        if self.is_tiny:
            mean = self.vae.encoder.layers(pictures)  # its forward() maps [−1, 1] to [0, 1] first
        else:
            moments = self.vae.encoder(pictures * 2.0 - 1.0)
            if self.vae.quant_conv is not None:
                moments = self.vae.quant_conv(moments)
            mean = moments.chunk(2, dim=1)[0]
        out: Tensor = (mean - self.shift_factor) * self.scaling_factor
        return out

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [F, C, h, w] → pictures [F, 3, h·scale, w·scale], about [0, 1] (not clamped), same
        dtype."""
        z = latents / self.scaling_factor + self.shift_factor
        if self.is_tiny:
            decoded: Tensor = self.vae.decoder.layers(torch.tanh(z / 3.0) * 3.0)  # forward() ends in 2x − 1
            return decoded
        if self.vae.post_quant_conv is not None:
            z = self.vae.post_quant_conv(z)
        out: Tensor = self.vae.decoder(z) * 0.5 + 0.5
        return out
