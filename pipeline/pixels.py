"""Pixels moved as `pipeline.geometry` says: camera picture → model canvas, painted canvas → output.

OpenCV is imported when the first pixel is touched.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pipeline.frame import Image, Rect, Size
from pipeline.geometry import Fit, Look, Upscale, crop_rect, cut_to_aspect, fit, inscribe, look_size, unrotate


def place_on_canvas(
    image: Image, canvas: Size, output: Size, how: Fit, look: Look | None = None, out: Image | None = None
) -> tuple[Image, Rect]:
    """A camera picture (HWC RGB uint8) as the model gets it: `canvas` with reflected padding, and its
    content.

    `output` decides the aspect under `cover`. `out`, where given, has the canvas' shape and receives the
    result.
    """
    look = look or Look()
    whole = look_size(size_of(image), look)
    content = inscribe(output if how == "cover" else whole, canvas)
    crop = cut_to_aspect(whole, Size(content.width, content.height))
    if out is None:
        out = np.empty((canvas.height, canvas.width, 3), np.uint8)
    pixels = _looked_at(image, crop, Size(content.width, content.height), look)
    _reflect_into(out, pixels, content)
    return out, content


def place_on_output(
    image: Image, output: Size, how: Fit, look: Look | None = None, out: Image | None = None
) -> Image:
    """A camera picture as the output shows it unpainted (bypass; the raw or blur picture after a fault)."""
    look = look or Look()
    placement = fit(look_size(size_of(image), look), output, how)
    if out is None:
        out = np.empty((output.height, output.width, 3), np.uint8)
    size = Size(placement.dest.width, placement.dest.height)
    pixels = _looked_at(image, placement.crop, size, look)
    return _onto_output(pixels, placement.dest, output, how, out)


def take_from_canvas(
    painted: Image,
    content: Rect | None,
    output: Size,
    how: Fit,
    upscale: Upscale = "sharp",
    out: Image | None = None,
) -> Image:
    """The painted canvas (HWC RGB uint8) as the output shows it: padding cut off, enlarged, placed by `how`.

    content: as `place_on_canvas` returned it (`None`: all of `painted`). `out`, where given, is C-contiguous,
    has the output's shape and receives the result.
    """
    picture = part(painted, content) if content is not None else painted
    if out is None:
        out = np.empty((output.height, output.width, 3), np.uint8)
    if how == "cover":
        crop = cut_to_aspect(size_of(picture), output)
        return resize(part(picture, crop), output, upscale, out)
    dest = inscribe(size_of(picture), output)
    return _onto_output(resize(picture, Size(dest.width, dest.height), upscale), dest, output, how, out)


def resize(image: Image, size: Size, upscale: Upscale = "sharp", out: Image | None = None) -> Image:
    """Resample to `size`: averages where it gets smaller (no moiré), else as `upscale` says."""
    import cv2

    if size_of(image) == size:
        if out is None:
            return image
        np.copyto(out, image)
        return out
    if size.width < image.shape[1] or size.height < image.shape[0]:
        return _shrink(image, size, out)
    if upscale == "sharp":
        image = _unsharp(image)
    interpolation = {"bilinear": cv2.INTER_LINEAR, "lanczos": cv2.INTER_LANCZOS4}.get(
        upscale, cv2.INTER_CUBIC
    )
    return _cv(cv2.resize(image, size, out, interpolation=interpolation), out)


def shrink(image: Image, size: Size, out: Image) -> Image:
    """Every pixel the mean of the area it covers. For a canvas; see `_shrink` for a camera's picture."""
    import cv2

    return _cv(cv2.resize(image, size, out, interpolation=cv2.INTER_AREA), out)


def _shrink(image: Image, size: Size, out: Image | None) -> Image:
    """Halve by averaging while that leaves enough pixels, then interpolate: an average over a ratio that is not
    whole costs OpenCV ten times as much (1280x720 → 288x216: 13 ms against 1)."""
    import cv2

    while image.shape[1] >= 2 * size.width and image.shape[0] >= 2 * size.height:
        half = Size(image.shape[1] // 2, image.shape[0] // 2)
        into = out if half == size else None
        exact = image[: 2 * half.height, : 2 * half.width]
        image = _cv(cv2.resize(exact, half, into, interpolation=cv2.INTER_AREA), into)
    if size_of(image) == size:
        return image
    return _cv(cv2.resize(image, size, out, interpolation=cv2.INTER_LINEAR), out)


def size_of(image: Image) -> Size:
    return Size(image.shape[1], image.shape[0])


def part(image: Image, rect: Rect) -> Image:
    """A view of `rect` (not C-contiguous)."""
    return image[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]


def _cv(result: Any, out: Image | None) -> Image:
    """OpenCV's result, in `out` even where OpenCV could not use it (a view with gaps)."""
    if out is None or result is out:
        return np.ascontiguousarray(result)
    if not np.shares_memory(result, out):
        np.copyto(out, result)
    return out


def _unsharp(image: Image, amount: float = 0.4) -> Image:
    # 0.3 to 0.4 is nearest to the original on photographs; 1.0 shows halos
    import cv2

    soft = cv2.GaussianBlur(image, (3, 3), 0)
    return np.asarray(cv2.addWeighted(image, 1.0 + amount, soft, -amount, 0))


def _looked_at(image: Image, crop: Rect, size: Size, look: Look) -> Image:
    """Cut `crop` (in pixels after look's crop and rotation) out of `image`, resample it to `size`, turn,
    mirror.

    Turning and mirroring come last: they cost least on the smaller picture and change no pixel's value.
    """
    import cv2

    base = crop_rect(size_of(image), look)
    if look.mirror:
        whole = look_size(size_of(image), look)
        crop = crop._replace(x=whole.width - crop.x - crop.width)
    window = unrotate(crop, Size(base.width, base.height), look.rotate)
    source = part(image, Rect(base.x + window.x, base.y + window.y, window.width, window.height))
    turned = look.rotate in (90, 270)
    pixels = resize(source, Size(size.height, size.width) if turned else size, "bicubic")
    if look.rotate:
        code = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}[
            look.rotate
        ]
        pixels = np.asarray(cv2.rotate(pixels, code))
    if look.mirror:
        pixels = np.asarray(cv2.flip(pixels, 1))
    return pixels


def _reflect_into(out: Image, pixels: Image, content: Rect) -> None:
    import cv2

    right = out.shape[1] - content.x - content.width
    bottom = out.shape[0] - content.y - content.height
    if content.x or content.y or right or bottom:
        padded = cv2.copyMakeBorder(pixels, content.y, bottom, content.x, right, cv2.BORDER_REFLECT_101)
        np.copyto(out, padded)
    else:
        np.copyto(out, pixels)


def _onto_output(pixels: Image, dest: Rect, output: Size, how: Fit, out: Image) -> Image:
    """`pixels` at `dest`; the bars are black, or under `blur-fill` the same pixels enlarged, blurred and
    dimmed."""
    if (dest.width, dest.height) != output:
        if how == "blur-fill":
            np.copyto(out, _backdrop(pixels, output))
        else:
            out[:] = 0
    np.copyto(part(out, dest), pixels)
    return out


def _backdrop(pixels: Image, output: Size) -> Image:
    import cv2

    # blurred at a sixteenth of the output: a wide blur costs little there, and the eye cannot tell
    small = Size(max(8, output.width // 16), max(8, output.height // 16))
    cut = part(pixels, cut_to_aspect(size_of(pixels), output))
    soft = cv2.GaussianBlur(_shrink(cut, small, None), (0, 0), sigmaX=max(1.0, math.hypot(*small) / 40))
    dimmed = cv2.convertScaleAbs(soft, alpha=0.6)
    return np.asarray(cv2.resize(dimmed, output, interpolation=cv2.INTER_LINEAR))
