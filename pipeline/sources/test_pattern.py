"""Moving colour bars with a circle and a frame counter; on request the time in pixels, to measure latency."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.frame import Image, Size
from pipeline.options import setting
from pipeline.pixel_clock import write_time
from pipeline.source import Picture, SourceInfo
from pipeline.sources._options import PictureOptions
from pipeline.sources._pace import Pace

BARS: Final = (
    (235, 235, 235),
    (235, 235, 16),
    (16, 235, 235),
    (16, 235, 16),
    (235, 16, 235),
    (235, 16, 16),
    (16, 16, 235),
    (16, 16, 16),
)
"""RGB, left to right: white, yellow, cyan, green, magenta, red, blue, black."""

SECONDS_A_TURN: Final = 8.0


class Options(PictureOptions):
    width: int = setting(640, "pixels, even", applies="prepare", ge=80, le=3840, multiple_of=2)
    height: int = setting(480, "pixels, even", applies="prepare", ge=60, le=2160, multiple_of=2)
    fps: float = setting(30.0, "pictures a second", applies="prepare", gt=0, le=240)
    clock: bool = setting(
        False, "write the capture time into the top rows (pipeline.pixel_clock)", applies="prepare"
    )


def available() -> str | None:
    return None


def create(options: Options) -> TestPattern:
    return TestPattern(options)


class TestPattern:
    """The bars move left, one turn in 8 s. `Picture.image` is valid until the next `read`."""

    __test__ = False  # not a test class, for pytest

    def __init__(self, options: Options) -> None:
        size = Size(options.width, options.height)
        clock = ", with the time in its pixels" if options.clock else ""
        self._info = SourceInfo(
            "test_pattern",
            "test pattern",
            "test_pattern",
            size,
            options.fps,
            detail=f"colour bars {size}{clock}",
        )
        self._clock = options.clock
        self._step = size.width / (SECONDS_A_TURN * options.fps)
        columns = np.arange(2 * size.width) % size.width * len(BARS) // size.width
        row = np.array(BARS, np.uint8)[columns]
        self._bars = np.ascontiguousarray(np.broadcast_to(row, (size.height, *row.shape)))
        self._image: Image = np.empty((size.height, size.width, 3), np.uint8)
        self._pace = Pace(options.fps)

    @property
    def info(self) -> SourceInfo:
        return self._info

    def read(self) -> Picture | None:
        import cv2

        due = self._pace.wait()
        number, image = self._pace.tick, self._image
        height, width = image.shape[:2]
        shift = int(number * self._step) % width
        np.copyto(image, self._bars[:, shift : shift + width])
        cv2.circle(
            image, (width // 2, height // 2), min(width, height) * 3 // 8, (255, 255, 255), 3, cv2.LINE_AA
        )
        scale = height / 480
        place = (int(24 * scale), height - int(28 * scale))
        for colour, weight in (((0, 0, 0), 8), ((255, 255, 255), 2)):
            weight = max(1, round(weight * scale))
            cv2.putText(image, f"{number:06d}", place, cv2.FONT_HERSHEY_SIMPLEX, 1.4 * scale, colour, weight)
        if self._clock:
            write_time(image, due)
        return Picture(image, due)

    def close(self) -> None:
        return
