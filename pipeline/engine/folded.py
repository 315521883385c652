"""Layers that no nonlinearity parts, executed as one: the same function, with fewer multiplications and less memory.

A nearest-neighbour upsampling before a 3×3 convolution reads every latent cell four times; as one transposed
convolution of 4×4 with stride 2 it reads it once (16 products in place of 36). Where a tiny autoencoder has no block
at full resolution, its last two convolutions follow each other and the upsampling directly, and all three are one 3×3
convolution at half the resolution whose 12 channels are the four pixels of a cell; its first two are one of 5×5.

Two convolutions that pad with zeros are not one at the edge: there the second reads zeros where the composed one reads
what the first would have made outside of the picture. So the outermost row or column comes from the layers themselves.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.models.model import Model
from pipeline.models.tiny_vae import TinyVae


@torch.no_grad()
def fold(model: Model) -> None:
    """In place, for a model that only executes from here on: folded parameters take no LoRA and keep no names."""
    for level in model.unet.up_blocks:
        if hasattr(level, "upsamplers"):
            level.upsamplers[0] = UpsampledConvolution(level.upsamplers[0].conv)
    autoencoder = model.vae.autoencoder
    if isinstance(autoencoder, TinyVae):
        autoencoder.encoder.layers = folded_encoder(autoencoder.encoder.layers)
        autoencoder.decoder.layers = folded_decoder(autoencoder.decoder.layers)


def folded_encoder(layers: nn.Sequential) -> nn.Sequential:
    """A tiny autoencoder's encoder; itself where a block parts the first two convolutions."""
    first, second, *rest = layers
    if isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d) and second.stride == (2, 2):
        return nn.Sequential(FirstConvolutions(first, second), *rest)
    return layers


def folded_decoder(layers: nn.Sequential) -> nn.Sequential:
    """A tiny autoencoder's decoder."""
    left, folded = list(layers), list[nn.Module]()
    while left:
        match left:
            case [nn.Upsample() as upsample, nn.Conv2d() as first, nn.Conv2d() as second, *left]:
                folded.append(LastConvolutions(upsample, first, second))
            case [nn.Upsample(), nn.Conv2d() as conv, *left]:
                folded.append(UpsampledConvolution(conv))
            case [layer, *left]:
                folded.append(layer)
    return nn.Sequential(*folded)


class UpsampledConvolution(nn.Module):
    """`conv(interpolate(x))`, [N, C, h, w] → [N, C', 2h, 2w], or to another `size` as it is.

    Each output pixel sees the cells under its 3×3 pixels, some of them twice: k[u − d + 2] += w[d] for the pixels
    u ∈ {0, 1} of a cell and the taps d ∈ {0, 1, 2}, in both directions.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.transposed = nn.ConvTranspose2d(conv.in_channels, conv.out_channels, 4, 2, 1)
        kernel = torch.zeros(conv.in_channels, conv.out_channels, 4, 4, dtype=torch.float64)
        for u, v, d, e in product((0, 1), (0, 1), range(3), range(3)):
            kernel[:, :, u - d + 2, v - e + 2] += conv.weight[:, :, d, e].t()
        self.transposed.weight = _parameter(kernel, conv)
        self.transposed.bias = conv.bias

    def forward(self, x: Tensor, size: torch.Size | None = None) -> Tensor:
        twice = (2 * x.shape[-2], 2 * x.shape[-1])
        if size is None or tuple(size) == twice:
            out: Tensor = self.transposed(x)
            return out
        resized: Tensor = self.conv(functional.interpolate(x, size=tuple(size), mode="nearest"))
        return resized


class LastConvolutions(nn.Module):
    """`second(first(upsample(x)))` of two 3×3 convolutions, [N, C, h, w] → [N, 3, 2h, 2w]; first has no bias."""

    def __init__(self, upsample: nn.Upsample, first: nn.Conv2d, second: nn.Conv2d) -> None:
        super().__init__()
        self.layers = nn.Sequential(upsample, first, second)
        # Read off an impulse per channel, far from every edge: cell (3, 3) reaches the cells 2 to 4.
        upsampled = functional.interpolate(_impulses(first.in_channels, 7), scale_factor=2.0, mode="nearest")
        cells = functional.pixel_unshuffle(_convolved(_convolved(upsampled, first), second), 2)
        kernel = cells[:, :, 2:5, 2:5].flip(-1, -2).transpose(0, 1)
        self.composed = nn.Conv2d(first.in_channels, 4 * second.out_channels, 3, padding=1)
        self.composed.weight = _parameter(kernel, first)
        assert second.bias is not None
        self.composed.bias = _parameter(second.bias.repeat_interleave(4), first)

    def forward(self, x: Tensor) -> Tensor:
        out = functional.pixel_shuffle(self.composed(x), 2)
        top, bottom = self.layers(x[:, :, :2])[:, :, :1], self.layers(x[:, :, -2:])[:, :, -1:]
        out = torch.cat([top, out[:, :, 1:-1], bottom], 2)
        left, right = self.layers(x[..., :2])[..., :1], self.layers(x[..., -2:])[..., -1:]
        return torch.cat([left, out[..., 1:-1], right], 3)


class FirstConvolutions(nn.Module):
    """`second(first(x))` of two 3×3 convolutions, the second with stride 2, [N, 3, H, W] → [N, C, H/2, W/2]."""

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d) -> None:
        super().__init__()
        self.layers = nn.Sequential(first, second)
        answers = _convolved(_convolved(_impulses(first.in_channels, 9), first), second)
        kernel = answers[:, :, 2:7, 2:7].flip(-1, -2).transpose(0, 1)
        self.composed = nn.Conv2d(first.in_channels, second.out_channels, 5, 2, 2)
        self.composed.weight = _parameter(kernel, first)
        assert first.bias is not None
        bias = second.weight.double().sum((2, 3)) @ first.bias.double()
        self.composed.bias = _parameter(bias if second.bias is None else bias + second.bias, first)

    def forward(self, x: Tensor) -> Tensor:
        """Even H and W: with stride 2 only the first row and column see the padding between the two."""
        out = torch.cat([self.layers(x[:, :, :4])[:, :, :1], self.composed(x)[:, :, 1:]], 2)
        return torch.cat([self.layers(x[..., :4])[..., :1], out[..., 1:]], 3)


def _impulses(channels: int, side: int) -> Tensor:
    """One in the middle of each channel in turn, [channels, channels, side, side] float64."""
    middle = functional.pad(torch.ones(1, 1, dtype=torch.float64), [side // 2] * 4)
    return torch.eye(channels, dtype=torch.float64)[..., None, None] * middle


def _convolved(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """With stride 1 and without the bias, in float64."""
    return functional.conv2d(x, conv.weight.double(), padding=1)


def _parameter(values: Tensor, like: nn.Conv2d) -> nn.Parameter:
    return nn.Parameter(values.to(like.weight).contiguous(), requires_grad=False)
