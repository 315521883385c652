"""Pictures ↔ latents as the UNet was trained on them, the same for the tiny and the full autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn


class Autoencoder(Protocol):
    """Pictures [F, 3, H, W] in [0, 1] → latents [F, C, H/scale, W/scale], and back (about [0, 1], not
    clamped)."""

    latent_channels: int
    scale: int

    def encode(self, pictures: Tensor) -> Tensor: ...

    def decode(self, latents: Tensor) -> Tensor: ...


class FullVae(nn.Module):
    """diffusers' AutoencoderKL. Its distribution's mean, never a sample: a fresh one a frame would
    flicker."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae
        self.latent_channels: int = vae.config.latent_channels
        self.scale = 2 ** (len(vae.config.block_out_channels) - 1)

    def encode(self, pictures: Tensor) -> Tensor:
        moments = self.vae.encoder(pictures * 2.0 - 1.0)
        if self.vae.quant_conv is not None:
            moments = self.vae.quant_conv(moments)
        mean: Tensor = moments.chunk(2, dim=1)[0]
        return mean

    def decode(self, latents: Tensor) -> Tensor:
        if self.vae.post_quant_conv is not None:
            latents = self.vae.post_quant_conv(latents)
        pictures: Tensor = self.vae.decoder(latents) * 0.5 + 0.5
        return pictures


class LatentCodec(nn.Module):
    """An autoencoder and the scale of its latents: z = (mean − shift_factor) · scaling_factor."""

    def __init__(self, autoencoder: nn.Module, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.autoencoder: Any = autoencoder
        factor, shift = config.get("scaling_factor"), config.get("shift_factor")
        default = 0.18215 if isinstance(autoencoder, FullVae) else 1.0
        self.scaling_factor = float(default if factor is None else factor)
        self.shift_factor = float(shift or 0.0)

    @property
    def latent_channels(self) -> int:
        return int(self.autoencoder.latent_channels)

    @property
    def scale(self) -> int:
        """Pixels per latent pixel, along one side."""
        return int(self.autoencoder.scale)

    def encode(self, pictures: Tensor) -> Tensor:
        """[F, 3, H, W] in [0, 1] → latents [F, C, H/scale, W/scale], same dtype. Deterministic."""
        mean: Tensor = self.autoencoder.encode(pictures)
        return (mean - self.shift_factor) * self.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [F, C, h, w] → pictures [F, 3, h·scale, w·scale], about [0, 1] (not clamped), same
        dtype."""
        pictures: Tensor = self.autoencoder.decode(latents / self.scaling_factor + self.shift_factor)
        return pictures
