"""The tiny autoencoder (TAESD, by Ollin Boer Bohan): one picture in some milliseconds.

Parameters have the names of diffusers' AutoencoderTiny; unlike there, pictures are in [0, 1], as the network
itself sees them, so that no frame is mapped to [−1, 1] and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import ModelError

_DEFAULTS: dict[str, Any] = {
    "act_fn": "relu",
    "upsample_fn": "nearest",
    "upsampling_scaling_factor": 2,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "encoder_block_out_channels": (64, 64, 64, 64),
    "decoder_block_out_channels": (64, 64, 64, 64),
    "num_encoder_blocks": (1, 3, 3, 3),
    "num_decoder_blocks": (3, 3, 3, 1),
}
"""diffusers' own: a config.json may leave them out."""


class TinyVae(nn.Module):
    """encoder: pictures [F, 3, H, W] in [0, 1] → latents [F, C, h, w]; decoder: back, about [0, 1]."""

    def __init__(self, config: Mapping[str, Any], where: Path) -> None:
        """Raises ModelError for settings that no tiny autoencoder of Stable Diffusion has."""
        super().__init__()
        c = {**_DEFAULTS, **config}
        for key in ("act_fn", "upsample_fn", "upsampling_scaling_factor", "in_channels", "out_channels"):
            if c[key] != _DEFAULTS[key]:
                raise ModelError(
                    f"{where}: {key} {c[key]!r} is not supported", "choose another VAE in model.vae"
                )
        self.latent_channels: int = c["latent_channels"]
        encoder, decoder = c["encoder_block_out_channels"], c["decoder_block_out_channels"]
        self.scale = 2 ** (len(encoder) - 1)
        self.encoder = _layers(_encoder_layers(encoder, c["num_encoder_blocks"], self.latent_channels))
        self.decoder = _layers(_decoder_layers(decoder, c["num_decoder_blocks"], self.latent_channels))

    def encode(self, pictures: Tensor) -> Tensor:
        out: Tensor = self.encoder.layers(pictures)
        return out

    def decode(self, latents: Tensor) -> Tensor:
        out: Tensor = self.decoder.layers(torch.tanh(latents / 3.0) * 3.0)
        return out


def _layers(layers: Sequence[nn.Module]) -> Any:
    holder = nn.Module()
    holder.layers = nn.Sequential(*layers)
    return holder


def _encoder_layers(widths: Sequence[int], blocks: Sequence[int], latent_channels: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        if i == 0:
            layers.append(nn.Conv2d(3, width, 3, padding=1))
        else:
            layers.append(nn.Conv2d(width, width, 3, padding=1, stride=2, bias=False))
        layers += [_Block(width) for _ in range(count)]
    return [*layers, nn.Conv2d(widths[-1], latent_channels, 3, padding=1)]


def _decoder_layers(widths: Sequence[int], blocks: Sequence[int], latent_channels: int) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(latent_channels, widths[0], 3, padding=1), nn.ReLU(inplace=True)]
    for i, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        is_last = i == len(widths) - 1
        layers += [_Block(width) for _ in range(count)]
        if not is_last:
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        layers.append(nn.Conv2d(width, 3 if is_last else width, 3, padding=1, bias=is_last))
    return layers


class _Block(nn.Module):
    """relu(x + conv(relu(conv(relu(conv(x))))))"""

    def __init__(self, width: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(width, width, 3, padding=1) for _ in range(3)]
        first, second, third = convolutions
        self.conv = nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True), third)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        out += x
        return out.relu_()
