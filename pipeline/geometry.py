"""Where pictures go: camera → model canvas → output. Pure functions; an aspect is never distorted.

    camera picture ──look──▶ crop, rotation, mirror ──fit──▶ model canvas (content + reflected padding)
    painted canvas ──content cut out──▶ upscaled, placed by the same fit ──▶ output

With `cover` the model sees what the output shows: the camera's picture cut to the output's aspect. With
`contain` and `blur-fill` it sees the whole camera picture, and the output stage adds the bars: black, or
the painted picture itself, enlarged and blurred. A bar never shows a pixel that was not painted.

Arithmetic here is in whole pixels; rounding moves an edge by at most one pixel of the larger picture. The pixels
themselves are moved by `pipeline.pixels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from pipeline.frame import Rect, Size

Fit = Literal["cover", "contain", "blur-fill"]
"""How a picture of one aspect is shown in another: cut off, black bars, or its own blurred bars."""

Upscale = Literal["bilinear", "bicubic", "sharp", "lanczos"]
"""How the painted picture is enlarged. sharp: an unsharp mask at the model's size, then bicubic."""

PIXEL_BUDGET: Final = 256 * 256
"""Pixels of the built-in model's canvas."""

MULTIPLE: Final = 32
"""Canvas sides are multiples of this: 8 of the autoencoder times 4 of the UNet's two halvings."""


@dataclass(frozen=True, slots=True)
class Look:
    """What of the camera's picture is used, applied in this order: crop, rotate, mirror.

    crop: left, top, width, height as parts of 1 of the camera's own picture. rotate: degrees clockwise.
    """

    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    rotate: Literal[0, 90, 180, 270] = 0
    mirror: bool = False


class Placement(NamedTuple):
    """crop: the part of the picture that is shown. dest: where it lands. Equal aspects, up to rounding."""

    crop: Rect
    dest: Rect


class Canvas(NamedTuple):
    """size: what the model paints. content: the part of it that shows the picture; the rest is padding."""

    size: Size
    content: Rect


def even(value: float, least: int = 2) -> int:
    """The nearest even number, not below `least`. Chroma planes of I420 and NV12 are half as wide and
    high."""
    return max(least, 2 * round(value / 2))


def inscribe(picture: Size, box: Size) -> Rect:
    """The largest centred even-sized rectangle of `picture`'s aspect inside `box` (even sizes), at even
    offsets."""
    scale = min(box.width / picture.width, box.height / picture.height)
    width = min(even(picture.width * scale), box.width)
    height = min(even(picture.height * scale), box.height)
    return Rect((box.width - width) // 4 * 2, (box.height - height) // 4 * 2, width, height)


def cut_to_aspect(picture: Size, aspect: Size) -> Rect:
    """The largest centred rectangle of `aspect`'s proportions inside `picture`."""
    if picture.width * aspect.height >= picture.height * aspect.width:
        width = max(1, min(picture.width, round(picture.height * aspect.width / aspect.height)))
        return Rect((picture.width - width) // 2, 0, width, picture.height)
    height = max(1, min(picture.height, round(picture.width * aspect.height / aspect.width)))
    return Rect(0, (picture.height - height) // 2, picture.width, height)


def fit(picture: Size, box: Size, how: Fit) -> Placement:
    """Show `picture` in `box`. For `contain` and `blur-fill`, `dest` is where the sharp picture goes."""
    if how == "cover":
        return Placement(cut_to_aspect(picture, box), Rect(0, 0, *box))
    dest = inscribe(picture, box)
    return Placement(cut_to_aspect(picture, Size(dest.width, dest.height)), dest)


def canvas_for(output: Size, pixel_budget: int = PIXEL_BUDGET, multiple: int = MULTIPLE) -> Canvas:
    """The model canvas for an output: the sides (multiples of `multiple`) with the largest picture of the
    output's aspect in at most `pixel_budget` pixels, e.g. 1280x720 → 320x192 with a content of 320x180.

    Raises ValueError when not even one `multiple` squared fits the budget.
    """
    if multiple * multiple > pixel_budget:
        raise ValueError(f"a canvas side of {multiple} does not fit {pixel_budget} pixels")
    best: tuple[int, int, Canvas] | None = None
    for width in range(multiple, pixel_budget // multiple + 1, multiple):
        height = pixel_budget // (width * multiple) * multiple
        content = inscribe(output, Size(width, height))
        used = Size(_round_up(content.width, multiple), _round_up(content.height, multiple))
        candidate = Canvas(used, inscribe(output, used))
        # the largest content; of equal ones the smaller canvas, which is less work
        score = (content.width * content.height, -used.width * used.height)
        if best is None or score > best[:2]:
            best = (*score, candidate)
    assert best is not None
    return best[2]


def scaled_canvas(canvas: Size, scale: float, multiple: int) -> Size:
    """A canvas of `scale` times these sides in multiples of `multiple`, never larger, never without a pixel.

    Its aspect is the canvas' own up to that rounding: a picture is squeezed by it and stretched back after painting.
    """

    def side(length: int) -> int:
        return min(length, max(multiple, round(length * scale / multiple) * multiple))

    return canvas if scale >= 1 else Size(side(canvas.width), side(canvas.height))


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def look_size(picture: Size, look: Look) -> Size:
    """What is left of `picture` after `look`'s crop and rotation."""
    rect = crop_rect(picture, look)
    return Size(rect.height, rect.width) if look.rotate in (90, 270) else Size(rect.width, rect.height)


def crop_rect(picture: Size, look: Look) -> Rect:
    """`look.crop` in pixels of `picture`; at least one pixel, never outside."""
    left, top, width, height = look.crop
    x = min(int(left * picture.width), picture.width - 1)
    y = min(int(top * picture.height), picture.height - 1)
    return Rect(
        x,
        y,
        max(1, min(round(width * picture.width), picture.width - x)),
        max(1, min(round(height * picture.height), picture.height - y)),
    )


def unrotate(rect: Rect, before: Size, rotate: int) -> Rect:
    """Where a rectangle of the clockwise-rotated picture lies in the picture `before` its rotation."""
    x, y, width, height = rect
    if rotate == 90:
        return Rect(y, before.height - x - width, height, width)
    if rotate == 180:
        return Rect(before.width - x - width, before.height - y - height, width, height)
    if rotate == 270:
        return Rect(before.width - y - height, x, height, width)
    return rect
