"""Which of a camera's modes comes closest to what is wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

from pipeline.v4l2 import Mode

DECODED: Final = ("MJPG", "YUYV", "UYVY", "NV12", "YU12", "RGB3", "BGR3")
"""Formats that OpenCV turns into pictures, best first. MJPG is the one with which most cameras reach full rate."""

_NEAR: Final = 0.8  # a rate this part of the wanted one counts as reached: 25 of 30, 24 of 30


def closest(modes: Sequence[Mode], wanted: Mode, prefer: Literal["rate", "size"]) -> Mode | None:
    """The best mode, with the rate to ask for. None when the camera lists none.

    prefer "rate": the nearest size of those that (nearly) reach the wanted rate: a model paints small pictures, and a
    camera that offers 1280x720 at 10 fps is better used at 640x480 and 30. "size": the nearest size whatever its rate.
    """
    if not modes:
        return None

    def cost(mode: Mode) -> tuple[float, ...]:
        rate, size = _rate_cost(mode, wanted), _size_cost(mode, wanted)
        known = DECODED.index(mode.fourcc) if mode.fourcc in DECODED else len(DECODED)
        return (rate, size, known) if prefer == "rate" else (size, rate, known)

    best = min(modes, key=cost)
    return best._replace(fps=min(best.fps, wanted.fps) if best.fps else wanted.fps)


def _rate_cost(mode: Mode, wanted: Mode) -> float:
    if not mode.fps or mode.fps >= _NEAR * wanted.fps:
        return 0.0
    return 1.0 - mode.fps / wanted.fps


def _size_cost(mode: Mode, wanted: Mode) -> float:
    """0 for the same size. Too small costs twice what too large does; a different aspect is cut off, and costs."""
    wide = math.log(mode.size.width / wanted.size.width)
    high = math.log(mode.size.height / wanted.size.height)
    return sum(-2.0 * part if part < 0 else part for part in (wide, high)) + abs(wide - high)
