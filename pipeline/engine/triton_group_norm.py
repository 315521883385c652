"""Group normalisation and its SiLU of channels_last tensors, in Triton. Imported only where Triton is wanted.

x lies in memory as [N, pixels, C]. Three small kernels:

    moments   of every channel of a chunk of pixels: mean and sum of squared deviations
    affine    of every group: those of its channels and chunks joined (Chan, Golub & LeVeque 1983, so that a large mean
              costs no digits), then a = γ / √(σ² + ε), b = β − a μ for each channel
    apply     y = a x + b, and y · σ(y)

x is read twice and y written once. PyTorch's GroupNorm on a card copies x to planar memory, reads it twice and writes
it, SiLU reads and writes it, and the convolution behind copies it back.
"""

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

PIXELS: Final = 64
CHANNELS: Final = 64
"""Of a program's tile: 128 bytes of 16-bit channels side by side, and 32 numbers for each of its 128 threads."""
CHUNKS: Final = 64
JOINED: Final = 2048
"""Chunks, and numbers of theirs, that are joined at a time."""


def group_norm(x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float, *, silu: bool) -> Tensor:
    """x [N, C, h, w], channels_last, float32 or 16 bits; weight, bias [C] → the same shape, dtype and layout.

    Computed in float32, rounded once. Raises ValueError for a tensor in other memory, or of 2³¹ numbers and more.
    """
    rows, channels, height, width = x.shape
    if not x.is_contiguous(memory_format=torch.channels_last):
        raise ValueError(f"a tensor with strides {x.stride()} is not channels_last")
    if x.numel() >= 1 << 31:
        raise ValueError(f"{x.numel()} numbers are more than the kernels count")
    pixels = height * width
    chunks, parts = -(-pixels // PIXELS), -(-channels // CHANNELS)
    moments = torch.empty((2, rows, chunks, channels), dtype=torch.float32, device=x.device)
    affine = torch.empty((2, rows, channels), dtype=torch.float32, device=x.device)
    out = torch.empty_like(x)
    tiles = (chunks, parts, rows)
    # Said, since Triton's own default changes (and 3.9 warns of it): a x + b in one rounding.
    fused = {"enable_fp_fusion": True}
    _moments[tiles](x, moments[0], moments[1], pixels, channels, PIXELS, CHANNELS, **fused)
    each = channels // groups
    width = triton.next_power_of_2(each)
    joined = min(CHUNKS, triton.next_power_of_2(chunks), max(1, JOINED // width))
    _affine[(groups, rows)](
        moments[0], moments[1], weight, bias, affine[0], affine[1], pixels, channels, chunks, each, eps,
        PIXELS, joined, width, **fused,
    )  # fmt: skip
    _apply[tiles](x, affine[0], affine[1], out, pixels, channels, silu, PIXELS, CHANNELS, **fused)
    return out


@triton.jit
def _tile(pixels, channels, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    """Of this program: its channels, where its numbers of x lie [PIXELS, CHANNELS], and which of them there are."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (pixel[:, None] < pixels) & (channel[None, :] < channels)
    return channel, (tl.program_id(2) * pixels + pixel[:, None]) * channels + channel[None, :], inside


@triton.jit
def _of_chunks(
    first, pixels, channels, chunks, each, PIXELS: tl.constexpr, CHUNKS: tl.constexpr, WIDTH: tl.constexpr
):
    """Where the moments of this program's group lie in the chunks from `first` on [CHUNKS, WIDTH], which of them there
    are, and how many pixels each chunk has [CHUNKS, 1]."""
    chunk = (first + tl.arange(0, CHUNKS))[:, None]
    within = tl.arange(0, WIDTH)[None, :]
    at = (tl.program_id(1) * chunks + chunk) * channels + tl.program_id(0) * each + within
    count = tl.minimum(pixels - chunk * PIXELS, PIXELS).to(tl.float32)
    return at, (chunk < chunks) & (within < each), count


@triton.jit(do_not_specialize=["pixels"])
def _moments(x, mean, squares, pixels, channels, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    chunk, row = tl.program_id(0), tl.program_id(2)
    channel, at, inside = _tile(pixels, channels, PIXELS, CHANNELS)
    values = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    count = tl.minimum(pixels - chunk * PIXELS, PIXELS).to(tl.float32)
    of_chunk = tl.sum(values, axis=0) / count
    away = tl.where(inside, values - of_chunk[None, :], 0.0)
    to = (row * tl.num_programs(0) + chunk) * channels + channel
    tl.store(mean + to, of_chunk, mask=channel < channels)
    tl.store(squares + to, tl.sum(away * away, axis=0), mask=channel < channels)


@triton.jit(do_not_specialize=["pixels", "chunks", "each"])
def _affine(
    mean, squares, weight, bias, scale, shift, pixels, channels,
    chunks, each, eps, PIXELS: tl.constexpr, CHUNKS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    group, row = tl.program_id(0), tl.program_id(1)
    within = tl.arange(0, WIDTH)
    channel = group * each + within
    numbers = 1.0 * pixels * each
    sums = tl.zeros([CHUNKS, WIDTH], tl.float32)
    for first in range(0, chunks, CHUNKS):
        at, inside, count = _of_chunks(first, pixels, channels, chunks, each, PIXELS, CHUNKS, WIDTH)
        sums += tl.load(mean + at, mask=inside, other=0.0) * count
    average = tl.sum(tl.sum(sums, axis=1), axis=0) / numbers
    sums = tl.zeros([CHUNKS, WIDTH], tl.float32)
    for first in range(0, chunks, CHUNKS):
        at, inside, count = _of_chunks(first, pixels, channels, chunks, each, PIXELS, CHUNKS, WIDTH)
        away = tl.where(inside, tl.load(mean + at, mask=inside, other=0.0) - average, 0.0)
        sums += tl.load(squares + at, mask=inside, other=0.0) + away * away * count
    variance = tl.sum(tl.sum(sums, axis=1), axis=0) / numbers
    mine = within < each
    a = tl.load(weight + channel, mask=mine, other=0.0).to(tl.float32) / tl.sqrt(variance + eps)
    b = tl.load(bias + channel, mask=mine, other=0.0).to(tl.float32) - average * a
    tl.store(scale + row * channels + channel, a, mask=mine)
    tl.store(shift + row * channels + channel, b, mask=mine)


@triton.jit(do_not_specialize=["pixels"])
def _apply(
    x, scale, shift, out, pixels, channels, SILU: tl.constexpr,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(2)
    channel, at, inside = _tile(pixels, channels, PIXELS, CHANNELS)
    a = tl.load(scale + row * channels + channel, mask=channel < channels, other=0.0)
    b = tl.load(shift + row * channels + channel, mask=channel < channels, other=0.0)
    y = tl.load(x + at, mask=inside, other=0.0).to(tl.float32) * a[None, :] + b[None, :]
    if SILU:
        y = y / (1.0 + tl.exp(-y))
    tl.store(out + at, y, mask=inside)
