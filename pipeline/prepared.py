"""Frames on their way to the denoiser, and what rides beside each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.frame import Rect, Size, now_ns
from pipeline.pixels import shrink, size_of

Pictures = npt.NDArray[np.uint8]
"""RGB uint8 [F, H, W, 3]."""


class Tag(NamedTuple):
    """What rides beside a frame's latents. content: where on the camera's canvas its picture lies.

    camera: the picture [H, W, 3] that was painted, where the painting is steadied by it.
    """

    seq: int
    t_capture: int
    content: Rect | None
    revision: int
    camera: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """F frames that the filter has let through.

    pixels: as the camera gave them, in staging memory. small: the same on a smaller canvas, where the model paints
    on one. ready_ns: since when it waits for the denoiser.
    """

    pixels: Pictures
    tags: tuple[Tag, ...]
    small: Pictures | None = None
    ready_ns: int = field(default_factory=now_ns)

    def on(self, canvas: Size) -> Pictures:
        """The frames on `canvas`; resized here only where they were prepared for another one."""
        for pictures in (self.pixels, self.small):
            if pictures is not None and size_of(pictures[0]) == canvas:
                return pictures
        return shrunk(self.pixels, canvas)


def shrunk(pixels: Pictures, canvas: Size, out: Pictures | None = None) -> Pictures:
    """Every picture on another canvas: a mean over areas, so that nothing flickers that was still."""
    if out is None:
        out = np.empty((len(pixels), canvas.height, canvas.width, 3), np.uint8)
    for picture, into in zip(pixels, out, strict=True):
        shrink(picture, canvas, into)
    return out
