"""RGB → I420, the format of virtual cameras: planar YUV 4:2:0, BT.601, limited range."""

from __future__ import annotations

from pipeline.errors import SinkError
from pipeline.frame import Image, Size


class I420:
    """Converts into one buffer of its own; a result is valid until the next call."""

    def __init__(self, size: Size) -> None:
        if size.width % 2 or size.height % 2:
            raise SinkError(
                f"a virtual camera cannot have the odd size {size}", "set output.size to even numbers"
            )
        import numpy as np

        self._size = size
        self._planes: Image = np.empty((size.height * 3 // 2, size.width), np.uint8)

    @property
    def nbytes(self) -> int:
        return self._planes.nbytes

    def __call__(self, image: Image) -> Image:
        """HWC RGB uint8 of the size given at construction → (height * 3/2, width) uint8."""
        import cv2

        if image.shape != (self._size.height, self._size.width, 3):
            raise SinkError(f"a frame of {image.shape[1]}x{image.shape[0]} came to an output of {self._size}")
        cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420, self._planes)
        return self._planes
