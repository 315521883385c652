"""A steady clock for sources that make their own pictures."""

from __future__ import annotations

import time
from typing import Final

from pipeline.frame import now_ns

_NS: Final = 1_000_000_000


class Pace:
    """Ticks `fps` times a second. A late caller loses ticks instead of getting a burst of them."""

    def __init__(self, fps: float) -> None:
        self._interval = round(_NS / fps)
        self._start: int | None = None
        self.tick = -1

    def wait(self) -> int:
        """Sleep until the next tick; its number is then in `tick`. Returns the tick's own time in ns."""
        now = now_ns()
        if self._start is None:
            self._start = now
        self.tick = max(self.tick + 1, (now - self._start) // self._interval)
        due = self._start + self.tick * self._interval
        sleep_until(due)
        return due


def sleep_until(due_ns: int) -> None:
    """Return at `due_ns` (of `now_ns`) or at once when that is past."""
    while (left := due_ns - now_ns()) > 0:
        time.sleep(left / _NS)
