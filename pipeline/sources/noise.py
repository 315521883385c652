"""No camera at all: a clock for text-to-image. The engine paints from noise, walking slowly between seeds."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.frame import Image, Size
from pipeline.options import Options as BaseOptions
from pipeline.options import setting
from pipeline.source import Picture, SourceInfo
from pipeline.sources._pace import Pace

SIZE: Final = Size(2, 2)


class Options(BaseOptions):
    fps: float = setting(30.0, "pictures a second asked of the engine", applies="prepare", gt=0, le=240)
    drift: float = setting(
        4.0,
        "seconds for the walk (slerp) from one noise to the next; 0 keeps one",
        applies="prepare",
        ge=0,
        le=3600,
    )


def available() -> str | None:
    return None


def create(options: Options) -> NoiseSource:
    return NoiseSource(options)


class NoiseSource:
    """Its pictures are a 2x2 black square: only their times mean something (`SourceInfo.pictures` is
    False)."""

    def __init__(self, options: Options) -> None:
        walk = f"a new noise every {options.drift:g} s" if options.drift else "one noise"
        self._info = SourceInfo(
            "noise", "text-to-image", "noise", SIZE, options.fps, detail=f"no camera, {walk}", pictures=False
        )
        self._pace = Pace(options.fps)
        self._image: Image = np.zeros((SIZE.height, SIZE.width, 3), np.uint8)
        self._image.flags.writeable = False

    @property
    def info(self) -> SourceInfo:
        return self._info

    def read(self) -> Picture | None:
        return Picture(self._image, self._pace.wait())

    def close(self) -> None:
        return
