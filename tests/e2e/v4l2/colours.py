"""Finds the test pattern's colour bars in a picture that came through a device, and says whether they are
right."""

from __future__ import annotations

from itertools import groupby, pairwise

import numpy as np

from pipeline.sources.test_pattern import BARS


def nearest_bar(colour: np.ndarray) -> int:
    return int(np.abs(np.array(BARS, float) - colour).sum(axis=1).argmin())


def assert_bars(image: np.ndarray) -> None:
    """`image`: HWC RGB uint8 of a `test_pattern`, from an eighth of its height down to two eighths.

    Going right, the bars come in the pattern's order (at any shift), and close to their colours: swapped
    channels or chroma planes fail both.
    """
    height, width = image.shape[:2]
    band = image[height // 8 : height // 5].mean(axis=0)
    columns = [nearest_bar(colour) for colour in band]
    runs = [(bar, len(list(group))) for bar, group in groupby(columns)]
    order = [bar for bar, length in runs if length > width // 64]  # chroma bleeds over a bar's edge
    steps = [(b - a) % len(BARS) for a, b in pairwise(order)]
    assert len(steps) >= 7, order
    assert set(steps) == {1}, order
    right = [np.abs(band[x] - np.array(BARS[columns[x]], float)).max() < 40 for x in range(width)]
    assert np.mean(right) > 0.9
