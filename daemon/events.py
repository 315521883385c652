"""Events to listeners, in order, from one thread of its own: no listener can hold up whoever emits."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from pipeline.messages import Event

log = logging.getLogger(__name__)

Listener = Callable[[Event], None]

WAITING = 1024
"""Events kept while listeners are slow; the oldest go first, and are counted."""

KEPT = 256
"""Past events kept for `recent`."""

SLOW_S = 0.25


class EventBus:
    """Thread-safe. A listener that raises is dropped with a log line; a slow one only delays its fellows."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._listeners: tuple[Listener, ...] = ()
        self._past: deque[Event] = deque(maxlen=KEPT)
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def emit(self, event: Event) -> None:
        """Hand an event over and return at once."""
        with self._changed:
            self._past.append(event)
            if self._closed or not self._listeners:
                return
            if len(self._waiting) >= WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(event)
            self._changed.notify_all()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` for every event from now on, until the returned function is called."""
        with self._changed:
            self._listeners += (listener,)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._deliver, name="events", daemon=True)
                self._thread.start()

        def unsubscribe() -> None:
            with self._changed:
                self._listeners = tuple(known for known in self._listeners if known is not listener)

        return unsubscribe

    def recent(self) -> list[Event]:
        """The last `KEPT` events, oldest first."""
        with self._changed:
            return list(self._past)

    def settle(self, timeout_s: float = 2.0) -> bool:
        """Wait until everything emitted so far was delivered; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)

    def close(self) -> None:
        """Deliver what waits, for at most a second, and end the thread. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _deliver(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                event = self._waiting.popleft()
                listeners = self._listeners
                self._busy = True
            for listener in listeners:
                self._call(listener, event)

    def _call(self, listener: Listener, event: Event) -> None:
        started = time.monotonic()
        try:
            listener(event)
        except Exception:
            with self._changed:
                self._listeners = tuple(known for known in self._listeners if known is not listener)
            log.exception("dropped a listener that raised on %s", event.kind)
        if (took := time.monotonic() - started) > SLOW_S:
            log.warning("a listener took %.2f s for one event (%s); it must not block", took, event.kind)
