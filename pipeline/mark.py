"""An invisible mark woven into painted pictures, and how to find it again.

Spread spectrum in the luma (Cox et al., 1997, "Secure spread spectrum watermarking for multimedia"): a fixed pattern
of pseudo-random signs on a grid that lies over the whole picture, whatever its size, is added at an amplitude of one
or two grey levels. A reader takes the picture down to that grid, removes what is smooth, and correlates with the
pattern: in a picture without the mark the score is a standard normal variable, in one with it, it is large.

What it survives: the virtual camera's I420, JPEG, scaling as a whole, H.264 at the rates of a call (see
`benchmarks/mark.py` for figures). What it does not: cropping, turning, mirroring, letterboxing, a camera pointed at a
screen, strong blur. It is no proof: whoever reads this file can take it out of a picture, or weave it into any other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.frame import Image, Size

GRID: Final = Size(160, 90)
AMPLITUDE: Final = 1.0  # grey levels, standard deviation of what is added to a plain picture
BUSY_SHARE: Final = 0.15  # of what a busy picture has of its own, beside that
MOST: Final = 5.0
FOUND: Final = 6.0
"""Scores above this are the mark: one unmarked picture in a billion scores as high, were its noise Gaussian."""

_ROOM: Final = 3  # grey levels kept free at both ends: pure white and black must hold the mark too
_SEED: Final = 0x50484F53  # "PHOS"

Plane = npt.NDArray[np.float32]


class Mark:
    """Weaves it into pictures of one size. Keeps memory between calls: one thread."""

    def __init__(self, size: Size) -> None:
        self._size = size
        large = cv2.resize(_signs(), size, interpolation=cv2.INTER_CUBIC)
        self._signs = _signs() / float(large.std())
        self._levels: Plane = np.empty((size.height, size.width), np.float32)

    def weave(self, image: Image) -> None:
        """Add it to `image`, HWC RGB uint8, in place: more where the picture is busy, and hides it."""
        cv2.convertScaleAbs(image, dst=image, alpha=(255 - 2 * _ROOM) / 255, beta=_ROOM)
        few = cv2.resize(image, GRID, interpolation=cv2.INTER_AREA)
        busy = _busy(_rest(cv2.cvtColor(few, cv2.COLOR_RGB2GRAY).astype(np.float32)))
        strength = np.minimum(AMPLITUDE + BUSY_SHARE * busy, MOST)
        cv2.resize(self._signs * strength, self._size, dst=self._levels, interpolation=cv2.INTER_LINEAR)
        more = cv2.convertScaleAbs(np.maximum(self._levels, 0))
        less = cv2.convertScaleAbs(np.minimum(self._levels, 0))
        cv2.add(image, cv2.cvtColor(more, cv2.COLOR_GRAY2RGB), dst=image)
        cv2.subtract(image, cv2.cvtColor(less, cv2.COLOR_GRAY2RGB), dst=image)


def score(image: Image) -> float:
    """How surely `image` (HWC RGB uint8, any size of at least 160x90) carries the mark: see `FOUND`.

    Scores of several pictures of one recording may be added and divided by the root of their number.
    """
    height, width = image.shape[:2]
    if width < GRID.width or height < GRID.height:
        return 0.0
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = _fine(cv2.resize(luma, GRID, interpolation=cv2.INTER_AREA))
    expected = _fine(_signs())
    product = fine * expected
    return float(product.sum() / np.sqrt((product**2).sum() + 1e-12))


def _rest(plane: Plane) -> Plane:
    """Without what is smooth."""
    rest: Plane = plane - cv2.GaussianBlur(plane, (0, 0), 1.0)
    return rest


def _busy(rest: Plane) -> Plane:
    """How much there is around each place: a standard deviation, grey levels."""
    busy: Plane = np.sqrt(cv2.GaussianBlur(rest * rest, (0, 0), 3.0))
    return busy


def _fine(plane: Plane) -> Plane:
    """What is not smooth, with edges brought down to the size of the rest, so that none outweighs it."""
    rest = _rest(plane)
    fine: Plane = rest / (_busy(rest) + 0.25)
    return fine


@lru_cache(maxsize=1)
def _signs() -> Plane:
    random = np.random.Generator(np.random.PCG64(_SEED))
    signs: Plane = random.choice(np.array([-1, 1], np.float32), (GRID.height, GRID.width))
    return signs
