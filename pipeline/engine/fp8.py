"""Layers in 8-bit floating point (E4M3), for cards that multiply such numbers. Off unless asked for.

W is rounded once, with a scale for each output; x at every call:
    y = (s_x s_W) · (x/s_x)₈ (W/s_W)₈ᵀ + bias
with a scale for each token (linear layers) or for each row of the call (convolutions, whose rows are frames at other
noise levels: a scale has to hold for all of a window's pixels).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

E4M3 = torch.float8_e4m3fn
LARGEST = 448.0
"""Of E4M3's finite numbers."""

EightBit = Literal["linear", "all"]
"""Linear layers, or convolutions too."""


def supported(device: torch.device) -> str | None:
    """None, or why this device does not multiply 8-bit numbers."""
    if device.type != "cuda":
        return "8-bit layers need a CUDA card"
    if torch.cuda.get_device_capability(device) < (8, 9):
        return f"{torch.cuda.get_device_name(device)} has no 8-bit numbers (compute capability 8.9 and newer have)"
    return None


class _Fp8Product(nn.Module):
    """x Wᵀ + bias of rounded x [M, K], with its scales [M, 1], and W [N, K]; K and N are multiples of 16."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        scale = _scale(weight.float().abs().amax(dim=1, keepdim=True))
        self.register_buffer("weight8", (weight.float() / scale).to(E4M3))
        self.register_buffer("scale", scale.t().contiguous())
        self.bias = bias
        self.weight8: Tensor
        self.scale: Tensor

    def forward(self, rounded: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
        out = torch._scaled_mm(
            rounded, self.weight8.t(), scale_a=scale, scale_b=self.scale, out_dtype=torch.bfloat16,
            use_fast_accum=rounded.is_cuda,
        ).to(dtype)  # fmt: skip
        return out if self.bias is None else out + self.bias


class Fp8Linear(nn.Module):
    """In place of an `nn.Linear` whose sides are multiples of 16; input and output keep its dtype."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.product = _Fp8Product(linear.weight, linear.bias)
        self.out_features = linear.out_features

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, x.shape[-1])
        scale = _scale(tokens.abs().amax(dim=1, keepdim=True))
        out: Tensor = self.product((tokens.float() / scale).to(E4M3), scale, x.dtype)
        return out.view(*x.shape[:-1], self.out_features)


class Fp8Convolution(nn.Module):
    """In place of an `nn.Conv2d` of one group, without dilation, padded with zeros, whose widths are multiples of 16.

    x [N, C, H, W] is rounded before its windows are laid out as rows of a matrix: they move as bytes, half of what
    they would in 16 bits. The result [N, C', H', W'] is channels_last.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.product = _Fp8Product(conv.weight.permute(0, 2, 3, 1).flatten(1), conv.bias)
        (self.high, self.wide), (self.down, self.right) = conv.kernel_size, conv.stride
        assert not isinstance(conv.padding, str)
        self.above, self.left = conv.padding

    def forward(self, x: Tensor) -> Tensor:
        rows = x.shape[0]
        scale = _scale(x.abs().amax(dim=(1, 2, 3), keepdim=True))
        rounded = (x.float() / scale).to(E4M3).permute(0, 2, 3, 1)
        edged = functional.pad(
            rounded.view(torch.uint8), (0, 0, self.left, self.left, self.above, self.above)
        )
        # [N, H', W', C, k, k] without a copy, then one row a window, channels innermost as the memory has them
        windows = edged.unfold(1, self.high, self.down).unfold(2, self.wide, self.right)
        height, width = windows.shape[1:3]
        matrix = windows.permute(0, 1, 2, 4, 5, 3).reshape(rows * height * width, -1).view(E4M3)
        scales = scale.reshape(rows, 1).expand(rows, height * width).reshape(-1, 1).contiguous()
        out: Tensor = self.product(matrix, scales, x.dtype)
        return out.view(rows, height, width, -1).permute(0, 3, 1, 2)


def quantize(module: nn.Module, what: EightBit, least: int = 64) -> int:
    """Every suitable layer below `module` in place: widths that are multiples of 16 and at least `least`. Returns how
    many."""
    count = 0
    if callable(unfuse := getattr(module, "unfuse", None)):
        unfuse()  # else one matrix of 16 bits would stand in for three of 8
    for name, child in list(module.named_children()):
        if name in ("proj_in", "proj_out"):
            continue  # their weights are read as matrices by the transformer itself
        match child:
            case nn.Linear() if _suits(child.in_features, child.out_features, least):
                setattr(module, name, Fp8Linear(child))
                count += 1
            case nn.Conv2d() if what == "all" and _plain(child):
                if _suits(child.in_channels, child.out_channels, least):
                    setattr(module, name, Fp8Convolution(child))
                    count += 1
            case _:
                count += quantize(child, what, least)
    return count


def _suits(width_in: int, width_out: int, least: int) -> bool:
    return min(width_in, width_out) >= least and not (width_in % 16 or width_out % 16)


def _plain(conv: nn.Conv2d) -> bool:
    known = conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    return known and conv.groups == 1 and conv.dilation == (1, 1)


def _scale(largest: Tensor) -> Tensor:
    """float32, so that the largest number becomes the format's."""
    return largest.float().clamp_min(1e-12) / LARGEST
