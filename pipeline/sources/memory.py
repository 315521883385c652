"""A still scene before a noisy sensor, drawn once and given from memory: for benchmarks."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.frame import Image, Size
from pipeline.options import Options as BaseOptions
from pipeline.options import setting
from pipeline.source import Picture, SourceInfo
from pipeline.sources._pace import Pace

PICTURES: Final = 8
NOISE: Final = 1.0  # grey levels: what a camera's sensor adds, and the similarity filter discounts


class Options(BaseOptions):
    width: int = setting(1280, "pixels, even", applies="prepare", ge=64, le=3840, multiple_of=2)
    height: int = setting(720, "pixels, even", applies="prepare", ge=64, le=2160, multiple_of=2)
    fps: float = setting(60.0, "pictures a second", applies="prepare", gt=0, le=2000)


def available() -> str | None:
    return None


def create(options: Options) -> Memory:
    return Memory(options)


class Memory:
    """`PICTURES` pictures in turn; they differ by sensor noise alone."""

    def __init__(self, options: Options) -> None:
        size = Size(options.width, options.height)
        self._info = SourceInfo(
            "memory", "pictures from memory", "memory", size, options.fps, detail=f"a still scene {size}"
        )
        random = np.random.default_rng(0)
        scene = _scene(size)
        noise = (random.standard_normal(scene.shape, np.float32) * NOISE for _ in range(PICTURES))
        self._pictures: list[Image] = [np.clip(scene + n + 0.5, 0, 255).astype(np.uint8) for n in noise]
        self._pace = Pace(options.fps)

    @property
    def info(self) -> SourceInfo:
        return self._info

    def read(self) -> Picture | None:
        due = self._pace.wait()
        return Picture(self._pictures[self._pace.tick % PICTURES], due)

    def close(self) -> None:
        return


def _scene(size: Size) -> np.ndarray:
    """Smooth random colours with some detail, [H, W, 3] float32, clear of black and white."""
    import cv2

    random = np.random.default_rng(7)
    layers = [
        cv2.resize(random.random((rows, rows * 16 // 9, 3), np.float32), size, interpolation=cv2.INTER_CUBIC)
        for rows in (4, 18)
    ]
    return np.asarray(40 + 175 * np.clip(0.75 * layers[0] + 0.25 * layers[1], 0, 1), np.float32)
