"""The one policy for everything that may fail: when to try again, and when to say that it is no use.

Two kinds of failure, told apart by whoever counts them:

fault    the part broke (a crash, an error nobody foresaw, a model that cannot be loaded). Trying for ever would only
         heat the machine: after `limit` in a row it is given up, which is said, and `phosphene resume` tries again.
waiting  the world is not ready (no camera there, a device in use). It may be ready at any moment: tried for ever.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds before try n: first · factor^(n − 1), at most `most`, ± 10 % so that parts do not move in step.

    A run that went well for `calm_s` makes the next failure the first one. limit: faults in a row until it is given up.
    """

    first_s: float
    most_s: float
    limit: int
    factor: float = 2.0
    calm_s: float = 10.0

    def seconds(self, failures: int) -> float:
        """The wait after so many failures in a row (1: the first)."""
        wait = min(self.most_s, self.first_s * self.factor ** min(failures - 1, 32))
        return float(wait * random.uniform(0.9, 1.1))


CAPTURE: Final = Policy(first_s=0.1, most_s=2.0, limit=12)
ENGINE: Final = Policy(first_s=0.2, most_s=30.0, limit=8, calm_s=30.0)
"""About a minute of trying; a call that hangs is noticed after ten seconds, and is not calm."""
SINK: Final = Policy(first_s=0.5, most_s=2.0, limit=12)
"""A device that is there again is taken within `most_s`: below the three seconds that a viewer may wait."""


class Attempts:
    """Failures in a row of one part. One thread counts."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._failures = 0
        self._faults = 0

    def failed(self, well_s: float, *, waiting: bool = False) -> float | None:
        """A run that went well for `well_s` seconds has failed: seconds to wait before the next; None: give it up."""
        if well_s > self._policy.calm_s:
            self.reset()
        self._failures += 1
        if not waiting:
            self._faults += 1
            if self._faults >= self._policy.limit:
                return None
        return self._policy.seconds(self._failures)

    @property
    def faults(self) -> int:
        return self._faults

    def reset(self) -> None:
        """Begin anew: it went well, or somebody asked."""
        self._failures = self._faults = 0
