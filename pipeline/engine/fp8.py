"""Linear layers in 8-bit floating point (E4M3), for cards that multiply such numbers. Off unless asked for.

W is rounded once, with a scale for each output; x at every call, with a scale for each token:
    y = (s_x s_W) · (x/s_x)₈ (W/s_W)₈ᵀ + bias
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

E4M3 = torch.float8_e4m3fn
LARGEST = 448.0
"""Of E4M3's finite numbers."""


def supported(device: torch.device) -> str | None:
    """None, or why this device does not multiply 8-bit numbers."""
    if device.type != "cuda":
        return "8-bit layers need a CUDA card"
    if torch.cuda.get_device_capability(device) < (8, 9):
        return f"{torch.cuda.get_device_name(device)} has no 8-bit numbers (compute capability 8.9 and newer have)"
    return None


class Fp8Linear(nn.Module):
    """In place of an `nn.Linear` whose sides are multiples of 16; input and output keep its dtype."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        scale = linear.weight.float().abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / LARGEST
        self.register_buffer("weight8", (linear.weight.float() / scale).to(E4M3))
        self.register_buffer("scale", scale.t().contiguous())
        self.bias = linear.bias
        self.out_features = linear.out_features
        self.weight8: Tensor
        self.scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, x.shape[-1])
        scale = tokens.float().abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / LARGEST
        rounded = (tokens.float() / scale).to(E4M3)
        out = torch._scaled_mm(
            rounded, self.weight8.t(), scale_a=scale, scale_b=self.scale, out_dtype=torch.bfloat16
        ).to(x.dtype)
        if self.bias is not None:
            out = out + self.bias
        return out.view(*x.shape[:-1], self.out_features)


def quantize(module: nn.Module, least: int = 64) -> int:
    """Every linear layer below `module` with both sides multiples of 16 and at least `least`, in place. Returns how
    many."""
    count = 0
    if callable(unfuse := getattr(module, "unfuse", None)):
        unfuse()  # else one matrix of 16 bits would stand in for three of 8
    for name, child in list(module.named_children()):
        if name in ("proj_in", "proj_out"):
            continue  # their weights are read as matrices by the transformer itself
        if isinstance(child, nn.Linear):
            sides = child.in_features, child.out_features
            if min(sides) >= least and not any(side % 16 for side in sides):
                setattr(module, name, Fp8Linear(child))
                count += 1
        else:
            count += quantize(child, least)
    return count
