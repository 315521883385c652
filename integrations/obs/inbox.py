"""What other threads tell the one that talks to OBS: bounded, and nobody who puts something in ever waits."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import Any, Final

from pipeline.messages import Event

MOST: Final = 1024


@dataclass(frozen=True, slots=True)
class ObsEvent:
    """An event as OBS sends it: `CurrentProgramSceneChanged`, {"sceneName": …}."""

    name: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection has ended."""


Item = ObsEvent | Event | Ended
"""`Event`: of Phosphene's own control hub."""


class Inbox:
    """Items in order. What does not fit is dropped and counted: the reader then asks OBS how things stand."""

    def __init__(self, most: int = MOST) -> None:
        self._queue: queue.Queue[Item] = queue.Queue(most)
        self.dropped = 0

    def put(self, item: Item) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.dropped += 1

    def take(self, timeout_s: float) -> Item | None:
        """The oldest item, waiting up to `timeout_s` for one."""
        try:
            return self._queue.get(timeout=max(timeout_s, 0.0)) if timeout_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None

    def clear(self) -> None:
        while self.take(0) is not None:
            pass
