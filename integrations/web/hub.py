"""Events for many listeners: numbered, the last ones kept, each listener with a bounded queue of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from integrations.control import Control
from pipeline.messages import Event, to_dict

KEPT = 200
"""Events a new listener gets first."""


class Hub:
    """Joins `Control.subscribe` (any thread) to the loop. All but `_on_event` runs on the loop's thread."""

    def __init__(self, control: Control, queue_size: int) -> None:
        self._control = control
        self._queue_size = queue_size
        self._listeners: set[Listener] = set()
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def open(self) -> None:
        """Start to hear events; called on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = self._control.subscribe(self._on_event)

    def close(self) -> None:
        """Stop hearing and end every listener."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        for listener in self._listeners:
            listener.end()

    @contextmanager
    def listener(self, after: int | None = None) -> Iterator[Listener]:
        """Hears for the length of the `with`, first the kept events after number `after` (None: all)."""
        kept = [event for event in self._kept if after is None or after > self._count or event["id"] > after]
        listener = Listener(self._queue_size, kept)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def _on_event(self, event: Event) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._spread, event)
        except RuntimeError:  # the loop was closed: nobody listens any more
            return

    def _spread(self, event: Event) -> None:
        self._count += 1
        numbered = {"id": self._count, **to_dict(event), "data": dict(event.data)}
        self._kept.append(numbered)
        for listener in self._listeners:
            listener.put(numbered)


class Listener:
    """A bounded queue. When it is full the oldest goes, and the listener is told how many it missed."""

    def __init__(self, size: int, first: list[dict[str, Any]]) -> None:
        self._queue: deque[dict[str, Any]] = deque(first, maxlen=max(size, len(first)))
        self._filled = asyncio.Event()
        self._missed = 0
        self.ended = False
        if first:
            self._filled.set()

    def put(self, event: dict[str, Any]) -> None:
        self._missed += len(self._queue) == self._queue.maxlen
        self._queue.append(event)
        self._filled.set()

    def end(self) -> None:
        self.ended = True
        self._filled.set()

    async def next(self, timeout: float) -> list[dict[str, Any]]:
        """All waiting events, waiting up to `timeout` seconds for the first; empty if none came."""
        try:
            await asyncio.wait_for(self._filled.wait(), timeout)
        except asyncio.TimeoutError:
            return []
        self._filled.clear()
        events, missed = list(self._queue), self._missed
        self._queue.clear()
        self._missed = 0
        if missed:
            message = f"{missed} events were not shown: this reader was too slow."
            gap = {"id": events[0]["id"], "kind": "log", "message": message, "data": {"missed": missed}}
            events.insert(0, {**gap, "level": "warning", "t": events[0]["t"]})
        return events
