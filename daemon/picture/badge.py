"""Says of a painted picture that it is one: a small sign in a corner, and a mark that only a reader finds."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from daemon.config.value_types import Corner
from pipeline.frame import Image, Size

if TYPE_CHECKING:
    from pipeline.mark import Mark


@dataclass(frozen=True, slots=True)
class Badge:
    """What is put on painted pictures. text: "" for no sign. invisible: see `pipeline.mark`."""

    text: str = ""
    corner: Corner = "bottom-right"
    invisible: bool = False

    def put_on(self, image: Image) -> None:
        """In place; `image`: HWC RGB uint8 of the output's size, not yet marked."""
        height, width = image.shape[:2]
        size = Size(width, height)
        if self.invisible:
            _mark(size, threading.get_ident()).weave(image)
        if self.text:
            _sign(size, self.text, self.corner).put_on(image)


NO_BADGE: Final = Badge()


@lru_cache(maxsize=16)
def _mark(size: Size, thread: int) -> Mark:
    """One for each sink's thread: a mark has memory of its own."""
    from pipeline.mark import Mark  # OpenCV: not needed by commands that only read settings

    return Mark(size)


@dataclass(frozen=True, slots=True)
class _Sign:
    """A rounded plate with words. share: how much of the picture stays, [h, w, 1]; ink: what is added, [h, w, 3]."""

    x: int
    y: int
    share: npt.NDArray[np.float32]
    ink: npt.NDArray[np.float32]

    def put_on(self, image: Image) -> None:
        height, width = self.share.shape[:2]
        place = image[self.y : self.y + height, self.x : self.x + width]
        place[:] = (place * self.share + self.ink).astype(np.uint8)


@lru_cache(maxsize=4)
def _sign(size: Size, text: str, corner: Corner) -> _Sign:
    from PIL import Image as PilImage
    from PIL import ImageDraw, ImageFont

    unit = size.height / 100
    font = ImageFont.load_default(max(10.0, 3.6 * unit))
    left, top, right, bottom = font.getbbox(text)
    pad_x, pad_y = max(4, round(1.6 * unit)), max(3, round(1.0 * unit))
    width = min(int(right - left) + 2 * pad_x, size.width)
    height = min(int(bottom - top) + 2 * pad_y, size.height)
    plate = PilImage.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(plate)
    draw.rounded_rectangle((0, 0, width - 1, height - 1), radius=height // 4, fill=(16, 16, 24, 150))
    draw.text((pad_x - left, pad_y - top), text, font=font, fill=(255, 255, 255, 235))
    pixels = np.asarray(plate, np.float32)
    alpha = pixels[..., 3:] / 255
    margin = round(2.4 * unit)
    x = margin if corner.endswith("left") else size.width - width - margin
    y = margin if corner.startswith("top") else size.height - height - margin
    stays, ink = np.float32(1) - alpha, pixels[..., :3] * alpha
    return _Sign(max(0, x), max(0, y), stays.astype(np.float32), ink.astype(np.float32))
