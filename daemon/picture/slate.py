"""The card a viewer sees when there is nothing else that may be shown: a quiet glow, a title and the reason."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.frame import Image, Size

_NIGHT = (11, 11, 18)
_GLOW = (124, 92, 255)
_INK = (236, 234, 246)
_FAINT = (158, 154, 180)


@lru_cache(maxsize=16)
def slate(size: Size, title: str, reason: str = "") -> Image:
    """A card of `size`: HWC RGB uint8, read-only. `reason` is wrapped to the width and may be empty."""
    from PIL import Image as PilImage
    from PIL import ImageDraw

    card = PilImage.fromarray(_glow(size).copy())
    draw = ImageDraw.Draw(card)
    unit = min(size.width, size.height * 16 // 9) / 100
    big, small = font(max(9, 4.2 * unit)), font(max(7, 2.1 * unit))
    middle = (size.width / 2, size.height * 0.5)
    draw.text(middle, title, font=big, fill=_INK, anchor="ms")
    y = middle[1] + 3.6 * unit
    for line in _wrap(reason, lambda text: draw.textlength(text, font=small) <= size.width * 0.8):
        draw.text((middle[0], y), line, font=small, fill=_FAINT, anchor="ms")
        y += 3.0 * unit
    image = np.asarray(card).copy()
    image.flags.writeable = False
    return image


@lru_cache(maxsize=16)
def font(points: float) -> Any:
    """Pillow's own, which is there on every system."""
    from PIL import ImageFont

    return ImageFont.load_default(points)


@lru_cache(maxsize=2)
def _glow(size: Size) -> Image:
    """A dark field with one soft light above the middle, dithered so that no banding shows after compression."""
    y, x = np.mgrid[0 : size.height, 0 : size.width].astype(np.float32)
    reach = 0.55 * max(size.width, size.height)
    distance = np.hypot(x - size.width / 2, y - size.height * 0.36) / reach
    light = np.exp(-3.2 * distance**2)[..., None] * 0.34
    picture = np.array(_NIGHT, np.float32) * (1 - light) + np.array(_GLOW, np.float32) * light
    dither = np.random.default_rng(0).uniform(0, 1, (size.height, size.width, 1)).astype(np.float32)
    card: Image = np.floor(picture + dither).clip(0, 255).astype(np.uint8)
    return card


def _wrap(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Words of `text` in lines that fit; at most three lines, the last cut with an ellipsis."""
    lines: list[str] = []
    for word in text.split():
        if lines and fits(f"{lines[-1]} {word}"):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines if len(lines) <= 3 else [*lines[:2], lines[2] + " …"]
