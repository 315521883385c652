"""Which kernel computes attention fastest on this card, at this model's shapes: measured, once a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend

if TYPE_CHECKING:
    from pipeline.engine.job import Job
    from pipeline.models.model import Model

Kernel = Callable[[Tensor, Tensor, Tensor], object]
Timer = Callable[[Callable[[], object]], float]
"""Milliseconds of a call on the device."""

KERNELS: Mapping[SDPBackend, Kernel] = {
    SDPBackend.CUDNN_ATTENTION: lambda q, k, v: torch.ops.aten._scaled_dot_product_cudnn_attention(
        q, k, v, None, False
    ),
    SDPBackend.FLASH_ATTENTION: lambda q, k, v: torch.ops.aten._scaled_dot_product_flash_attention(q, k, v),
    SDPBackend.EFFICIENT_ATTENTION: lambda q, k, v: torch.ops.aten._scaled_dot_product_efficient_attention(
        q, k, v, None, False
    ),
}
"""Called by name, and not through `sdpa_kernel`: what that forbids, it forbids to every thread of the process, the
painting one too."""

WIDTHS = 8
"""Heads are as wide as a multiple of it: flash attention is given padded ones, the others refuse them."""


def order_for(
    shapes: tuple[tuple[int, ...], ...],
    device: torch.device,
    dtype: torch.dtype,
    milliseconds: Timer,
    kernels: Mapping[SDPBackend, Kernel] = KERNELS,
) -> list[SDPBackend]:
    """Backends from the fastest on; those that cannot compute these shapes last, plain mathematics at the very end.

    shapes: of the queries of self-attention, [N, heads, tokens, head width]; their times are summed.
    """

    def total(backend: SDPBackend) -> float:
        try:
            return sum(_time(backend, kernels[backend], shape) for shape in shapes)
        except (RuntimeError, NotImplementedError):  # not built in, or no kernel for this head width
            return float("inf")

    def _time(backend: SDPBackend, kernel: Kernel, shape: tuple[int, ...]) -> float:
        *rest, width = shape
        if width % WIDTHS and backend is not SDPBackend.FLASH_ATTENTION:
            return float("inf")
        padded = (*rest, -(-width // WIDTHS) * WIDTHS)
        # Drawn on the CPU: the card's generator belongs to whoever records a graph.
        q, k, v = (torch.randn(padded).to(device, dtype) for _ in range(3))
        return milliseconds(lambda: kernel(q, k, v))

    return [*sorted(kernels, key=total), SDPBackend.MATH]


@lru_cache
def order_on_card(
    shapes: tuple[tuple[int, ...], ...], device: torch.device, dtype: torch.dtype
) -> list[SDPBackend]:
    """`order_for`, measured beside whatever the card does meanwhile."""
    from pipeline.engine.card_timer import CardTimer

    return order_for(shapes, device, dtype, CardTimer(device))


def order_for_model(model: Model, job: Job) -> list[SDPBackend]:
    """`order_on_card` for the UNet calls of a job."""
    sides = job.height // model.vae_scale, job.width // model.vae_scale
    return order_on_card(shapes_of(model.unet.config, job.rows[0], *sides), model.device, model.dtype)


def shapes_of(config: object, rows: int, height: int, width: int) -> tuple[tuple[int, ...], ...]:
    """Queries of self-attention at every crossed level of a UNet, for latents of height × width."""
    from pipeline.models.unet_config import UNetConfig

    assert isinstance(config, UNetConfig)
    found: list[tuple[int, ...]] = []
    for level, channels in enumerate(config.block_out_channels):
        if config.crossed_down[level]:
            heads, tokens = config.heads[level], (height >> level) * (width >> level)
            found.append((rows, heads, tokens, channels // heads))
    return tuple(found)
