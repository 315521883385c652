"""Palettes that go with any style: pictures [N, 3, H, W] in 0–1 to the same, on their device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Palette = Callable[[Tensor], Tensor]
Colour = tuple[int, int, int]


def brightness(pictures: Tensor) -> Tensor:
    """Luma [N, 1, H, W]."""
    weights = pictures.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (pictures * weights).sum(1, keepdim=True)


def toned(*colours: Colour) -> Palette:
    """Luma to evenly spaced colours, linear between them."""
    table = torch.tensor(colours).float() / 255

    def apply(pictures: Tensor) -> Tensor:
        colour = table.to(pictures)
        position = brightness(pictures).clamp(0, 1) * (len(colours) - 1)
        index = position.floor().clamp(max=len(colours) - 2).long()
        share = position - index
        low, high = (colour[index[:, 0] + step].permute(0, 3, 1, 2) for step in (0, 1))
        return low * (1 - share) + high * share

    return apply


def saturated(factor: float) -> Palette:
    """Colours moved away from their luma (above 1) or towards it."""

    def apply(pictures: Tensor) -> Tensor:
        luma = brightness(pictures)
        return (luma + (pictures - luma) * factor).clamp(0, 1)

    return apply


def _pastel(pictures: Tensor) -> Tensor:
    return (0.45 + 0.55 * saturated(0.7)(pictures)).clamp(0, 1)


def _moody(pictures: Tensor) -> Tensor:
    return (saturated(0.8)(pictures) ** 1.7 * 0.8).clamp(0, 1)


PALETTES: dict[str, Palette] = {
    "in blue tones": toned((4, 8, 40), (30, 80, 180), (225, 240, 255)),
    "in sepia tones": toned((25, 14, 6), (150, 105, 60), (255, 240, 210)),
    "black and white": saturated(0.0),
    "in green tones": toned((2, 20, 8), (40, 140, 70), (235, 255, 225)),
    "in warm sunset colors": toned((30, 5, 50), (200, 50, 60), (255, 160, 60), (255, 245, 190)),
    "in purple tones": toned((15, 3, 35), (120, 40, 170), (250, 225, 255)),
    "in pastel colors": _pastel,
    "vivid colors": saturated(1.7),
    "dark and moody": _moody,
    "in red tones": toned((25, 2, 2), (180, 30, 30), (255, 225, 215)),
}
