"""Which kernel computes attention fastest on this card, at this model's shapes: measured, once a process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

CANDIDATES = (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)
ROUNDS = 20

Timer = Callable[[Callable[[], object]], float]
"""Milliseconds of a call on the device."""


def order_for(
    shapes: Sequence[tuple[int, ...]],
    device: torch.device,
    dtype: torch.dtype,
    milliseconds: Timer,
    candidates: Sequence[SDPBackend] = CANDIDATES,
) -> list[SDPBackend]:
    """Backends from the fastest on; those that cannot compute these shapes last, plain mathematics at the very end.

    shapes: of the queries of self-attention, [N, heads, tokens, head width]; their times are summed.
    """

    def total(backend: SDPBackend) -> float:
        try:
            with sdpa_kernel(backend):
                return sum(_time(shape, device, dtype, milliseconds) for shape in shapes)
        except RuntimeError:  # not built in, or no kernel for this head width
            return float("inf")

    return [*sorted(candidates, key=total), SDPBackend.MATH]


def _time(shape: tuple[int, ...], device: torch.device, dtype: torch.dtype, milliseconds: Timer) -> float:
    q, k, v = (torch.randn(shape, device=device, dtype=dtype) for _ in range(3))
    return milliseconds(lambda: scaled_dot_product_attention(q, k, v))


def on_card(call: Callable[[], object]) -> float:
    """A `Timer` of CUDA events."""
    call()
    begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    begin.record()
    for _ in range(ROUNDS):
        call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / ROUNDS


def shapes_of(config: object, rows: int, height: int, width: int) -> list[tuple[int, ...]]:
    """Queries of self-attention at every crossed level of a UNet, for latents of height × width."""
    from pipeline.models.unet_config import UNetConfig

    assert isinstance(config, UNetConfig)
    found: list[tuple[int, ...]] = []
    for level, channels in enumerate(config.block_out_channels):
        if config.crossed_down[level]:
            heads, tokens = config.heads[level], (height >> level) * (width >> level)
            found.append((rows, heads, tokens, channels // heads))
    return found
