"""Small stand-ins for a UNet, and admissions with random contents, for the tests of the denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from hypothesis import settings
from torch import Tensor

from pipeline.admission import Admission, Emitted
from pipeline.conditioning import TextContext
from pipeline.noise import noise_for
from pipeline.schedule import Schedule
from pipeline.stream_batch import StreamBatch

ALPHAS_CUMPROD: list[float] = torch.cumprod(
    1.0 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0
).tolist()
"""Stable Diffusion's scaled-linear noise schedule."""

WIDTH = 6

untimed = settings(deadline=None, max_examples=50)
"""For hypothesis: no limit of time on an example, which another program's load would break."""


class TinyUNet:
    """Random, smooth, sensitive to all a UNet reads: latents, timestep, the prompt's tokens.

    Rows do not see each other. It counts its calls and their rows.
    """

    def __init__(self, channels: int, seed: int = 0) -> None:
        g = torch.Generator().manual_seed(seed)
        self.inner = torch.randn((8, channels, 3, 3), generator=g) * 0.3
        self.outer = torch.randn((channels, 8, 3, 3), generator=g) * 0.2
        self.time = torch.randn((8,), generator=g)
        self.text = torch.randn((WIDTH, 8), generator=g) * 0.5
        self.rows: list[int] = []

    def __call__(self, x: Tensor, timesteps: Tensor, context: TextContext) -> Tensor:
        assert timesteps.shape == (x.shape[0],)
        embeds = context.expand(x.shape[0]).embeds
        self.rows.append(x.shape[0])
        bias = torch.sin(timesteps[:, None] / 300.0) * self.time + embeds.float().mean(1) @ self.text
        hidden = torch.nn.functional.conv2d(x.float(), self.inner, padding=1) + bias[:, :, None, None]
        return torch.nn.functional.conv2d(torch.tanh(hidden), self.outer, padding=1).to(x.dtype)


def context(seed: int, tokens: int = 5, dtype: torch.dtype = torch.float32) -> TextContext:
    drawn = torch.randn((1, tokens, WIDTH), generator=torch.Generator().manual_seed(seed))
    return TextContext(drawn.to(dtype))


def admission(
    t_index_list: tuple[int, ...] = (20, 40),
    *,
    channels: int = 4,
    size: int = 6,
    seed: int = 0,
    **changes: object,
) -> Admission:
    """Self guidance, g = 1.4, δ = 0.8, strength 0.5; `changes` replaces fields, or gives `strength`."""
    schedule = Schedule.of(ALPHAS_CUMPROD, t_index_list, float(changes.pop("strength", 0.5)))  # type: ignore[arg-type]
    made = Admission(
        context=context(seed),
        negative=context(seed + 1000),
        guidance="self",
        guidance_scale=1.4,
        delta=0.8,
        schedule=schedule,
        noise=noise_for(seed, len(t_index_list), channels, size, size),
        revision=seed,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


FORMS = ("none", "full", "self", "onetime")
LISTS = {1: (35,), 2: (20, 40), 4: (12, 20, 32, 45)}


def run(batch: StreamBatch, buffers: Sequence[Tensor], states: Sequence[Admission]) -> list[Emitted | None]:
    """One step a buffer; tags are the frames' numbers."""
    F = batch.frame_buffer_size
    return [
        batch.step(z, state, range(i * F, (i + 1) * F))
        for i, (z, state) in enumerate(zip(buffers, states, strict=True))
    ]


def buffers_of(count: int, F: int = 1, channels: int = 4, seed: int | None = None) -> list[Tensor]:
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return list(torch.randn((count, F, channels, 6, 6), generator=generator))


def assert_alike(got: Tensor, expected: Tensor) -> None:
    """Equal to 1e-4 of the picture's range (extreme guidance makes latents of hundreds)."""
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(got / scale, expected / scale, rtol=0, atol=1e-4)
