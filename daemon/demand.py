"""`activate: on_demand`: the camera is open and the model works only while somebody consumes pictures.

Consumers are programs that stream from the virtual camera, viewers of the preview, and every sink that cannot tell
(a running recorder). Awake at once; asleep once nobody has been there for `LINGER_S`, so that a call program that
closes and opens the device while it is being set up does not make the camera flicker.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Final, Literal, Protocol

Activate = Literal["always", "on_demand"]

LINGER_S: Final = 5.0


class Consumed(Protocol):
    """A sink's thread."""

    kind: str

    @property
    def watched(self) -> bool:
        """Whether somebody consumes its pictures now."""
        ...


class Demand:
    """Used by the host's own thread; `asleep` may be read by any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = -math.inf  # nobody has been there yet
        self.asleep = False
        self.consumers: tuple[str, ...] = ()

    def look(self, activate: Activate, sinks: Iterable[Consumed]) -> bool:
        """Whether `asleep` has changed."""
        if activate == "always":
            self.consumers = ()
            return self._become(asleep=False)
        self.consumers = tuple(sink.kind for sink in sinks if sink.watched)
        if self.consumers:
            self._left = self._clock()
        return self._become(asleep=self._clock() - self._left > LINGER_S)

    def _become(self, *, asleep: bool) -> bool:
        changed, self.asleep = asleep != self.asleep, asleep
        return changed
