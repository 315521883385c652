"""A time written into pixels, so that latency can be read off a picture that has been through real devices.

Two rows of 40 square cells along the top edge: the bits of the time in tenths of a millisecond, most
significant first, and below each bit its opposite. A bit is read as the brighter of its two cells, which
survives colour conversion, JPEG, resampling and changes of brightness; cells that do not differ make the
time unreadable.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.frame import Image

BITS: Final = 40
UNIT_NS: Final = 100_000
_CLEAR: Final = 48.0  # grey levels by which a cell and its opposite differ at least
_BRIGHT, _DARK = 230, 24


def cell_side(width: int) -> int:
    """Pixels of one cell's side in a picture of this width."""
    return width // BITS


def write_time(image: Image, time_ns: int) -> None:
    """Write `time_ns` (of `frame.now_ns`, kept to 0.1 ms) into HWC uint8 `image`. Needs a width of 80 or
    more."""
    side = cell_side(image.shape[1])
    if side < 2 or image.shape[0] < 2 * side:
        raise ValueError(f"a picture of {image.shape[1]}x{image.shape[0]} is too small for a time")
    value = time_ns // UNIT_NS & (1 << BITS) - 1
    bits = value >> np.arange(BITS - 1, -1, -1, dtype=np.int64) & 1
    row = np.repeat(np.where(bits, _BRIGHT, _DARK).astype(np.uint8), side)
    image[:side, : BITS * side] = row[None, :, None]
    image[side : 2 * side, : BITS * side] = (_BRIGHT + _DARK - row)[None, :, None]


def read_time(image: Image) -> int | None:
    """The time in ns (±0.1 ms) that `write_time` left in HWC uint8 `image`, of any scale; None when
    unreadable."""
    # cells keep their parts of the width when the whole picture is resized
    side = image.shape[1] / BITS
    centres = ((np.arange(BITS) + 0.5) * side).astype(int)
    reach = max(1, int(side / 5))

    def row(centre: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        top, bottom = max(0, int(centre) - reach), int(centre) + reach + 1
        return np.array([image[top:bottom, max(0, c - reach) : c + reach + 1].mean() for c in centres])

    difference = row(side * 0.5) - row(side * 1.5)
    if np.abs(difference).min() < _CLEAR:
        return None
    value = 0
    for bit in difference > 0:
        value = value << 1 | int(bit)
    return value * UNIT_NS
