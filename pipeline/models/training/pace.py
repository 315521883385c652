"""How long a stage runs, and how many of its share is done: by the clock, or by a number of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

Say = Callable[[str], None]


class Pace:
    """Counts the steps of a stage that lasts `seconds`, or `steps` steps where that is given."""

    def __init__(self, seconds: float, steps: int | None = None) -> None:
        self._seconds = seconds
        self._steps = steps

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """(step from 0, share done in 0–1) until the stage is over."""
        began = time.monotonic()
        step = 0
        while True:
            if self._steps is not None:
                share = step / max(1, self._steps)
            else:
                share = (time.monotonic() - began) / max(1e-6, self._seconds)
            if share >= 1:
                return
            yield step, share
            step += 1
