"""Which of a camera's modes comes closest to what is wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

from pipeline.geometry import cut_to_aspect
from pipeline.v4l2 import Mode

DECODED: Final = ("MJPG", "YUYV", "UYVY", "NV12", "YU12", "RGB3", "BGR3")
"""Formats that OpenCV turns into pictures, best first. MJPG is the one with which most cameras reach full
rate."""

_NEAR: Final = 0.8  # a rate this part of the wanted one counts as reached: 25 of 30, 24 of 30


def closest(modes: Sequence[Mode], wanted: Mode, prefer: Literal["rate", "size"]) -> Mode | None:
    """The best mode, with the rate to ask for. None when the camera lists none.

    prefer "rate": the nearest size of those that (nearly) reach the wanted rate: a model paints small
    pictures, and a camera that offers 1280x720 at 10 fps is better used at 640x480 and 30. "size": the
    nearest size whatever its rate.
    """
    if not modes:
        return None

    def cost(mode: Mode) -> tuple[float, ...]:
        rate, size = _rate_cost(mode, wanted), _size_cost(mode, wanted)
        wasted = mode.size.width * mode.size.height
        known = DECODED.index(mode.fourcc) if mode.fourcc in DECODED else len(DECODED)
        first = (rate, size) if prefer == "rate" else (size, rate)
        return (*first, wasted, -min(mode.fps, wanted.fps), known)

    best = min(modes, key=cost)
    return best._replace(fps=min(best.fps, wanted.fps) if best.fps else wanted.fps)


def _rate_cost(mode: Mode, wanted: Mode) -> float:
    if not mode.fps or mode.fps >= _NEAR * wanted.fps:
        return 0.0
    return 1.0 - mode.fps / wanted.fps


def _size_cost(mode: Mode, wanted: Mode) -> float:
    """0 for the same number of pixels once cut to the wanted aspect; too few cost twice what too many do."""
    cut = cut_to_aspect(mode.size, wanted.size)
    excess = math.log(cut.width * cut.height / (wanted.size.width * wanted.size.height))
    return round(-2.0 * excess if excess < 0 else excess, 6)
