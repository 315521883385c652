"""An animated portrait, for a look at the program without a camera.

The picture (a public-domain NASA portrait, see docs/credits.md) sways, turns and comes nearer as a person
before a webcam does, and its light changes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.frame import Image, Size, new_image
from pipeline.options import setting
from pipeline.source import Picture, SourceInfo
from pipeline.sources._options import PictureOptions
from pipeline.sources._pace import Pace

if TYPE_CHECKING:
    import numpy as np

PORTRAIT: Final = Path(__file__).parent / "_demo" / "astronaut.jpg"
CENTRE: Final = (246.0, 136.0)  # pixels of the portrait: at the chin, where a webcam would look
VIEW_HEIGHT: Final = (
    236.0  # pixels of the portrait that the view is high on average; keeps 16:9 inside its edges
)


class Options(PictureOptions):
    width: int = setting(640, "pixels, even", applies="prepare", ge=64, le=3840, multiple_of=2)
    height: int = setting(360, "pixels, even", applies="prepare", ge=64, le=2160, multiple_of=2)
    fps: float = setting(30.0, "pictures a second", applies="prepare", gt=0, le=240)


def available() -> str | None:
    return None


def create(options: Options) -> DemoSource:
    return DemoSource(options)


class DemoSource:
    """`Picture.image` is valid until the next `read`. The movement repeats after some minutes."""

    def __init__(self, options: Options) -> None:
        from pipeline.sources.image import load_image

        size = Size(options.width, options.height)
        self._info = SourceInfo(
            "demo", "demo portrait", "demo", size, options.fps, detail=f"animated portrait {size}, no camera"
        )
        self._size = size
        self._portrait = load_image(PORTRAIT)
        self._image: Image = new_image(size)
        self._pace = Pace(options.fps)

    @property
    def info(self) -> SourceInfo:
        return self._info

    def read(self) -> Picture | None:
        import cv2

        due = self._pace.wait()
        seconds = self._pace.tick / self._info.fps
        linear = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warp = view_at(seconds, self._size)
        cv2.warpAffine(self._portrait, warp, self._size, self._image, linear, cv2.BORDER_REFLECT_101)
        gain, offset = light_at(seconds)
        cv2.convertScaleAbs(self._image, self._image, gain, offset)
        return Picture(self._image, due)

    def close(self) -> None:
        return


def _wave(seconds: float, period_s: float, phase: float = 0.0) -> float:
    return math.sin(2.0 * math.pi * (seconds / period_s + phase))


def view_at(seconds: float, size: Size) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """2x3 matrix from a pixel of the view to a pixel of the portrait: turn, uniform scale, shift."""
    scale = VIEW_HEIGHT / size.height * (1.0 - 0.08 * _wave(seconds, 13.0))
    angle = math.radians(3.5 * _wave(seconds, 7.0, 0.2) + 1.5 * _wave(seconds, 2.9))
    x = CENTRE[0] + 14.0 * _wave(seconds, 9.0) + 4.0 * _wave(seconds, 3.3, 0.4)
    y = CENTRE[1] + 6.0 * _wave(seconds, 6.1, 0.1)
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    middle_x, middle_y = size.width / 2, size.height / 2
    import numpy as np

    return np.array([[a, -b, x - a * middle_x + b * middle_y], [b, a, y - b * middle_x - a * middle_y]])


def light_at(seconds: float) -> tuple[float, float]:
    """Gain and offset (grey levels) of the light."""
    return 1.0 + 0.13 * _wave(seconds, 11.0), 5.0 * _wave(seconds, 17.0)
