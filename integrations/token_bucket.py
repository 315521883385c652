"""How often something may happen."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """`rate` takings a second on average, `burst` at once."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._level = burst
        self._then = clock()

    def take(self) -> bool:
        """True, and one less, while there is one left."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._then) * self._rate)
        self._then = now
        if self._level < 1.0:
            return False
        self._level -= 1.0
        return True
