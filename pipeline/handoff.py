"""One-deep handover between two threads of a role: newest wins, and the giver may take its offer back."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Handoff(Generic[Item]):
    """The lock is held for the swap of one reference and never across work."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._item: Item | None = None
        self._closed = False
        self._woken = False

    def offer(self, item: Item) -> Item | None:
        """Put `item` in place; the one that was still waiting, which nobody took, comes back."""
        with self._change:
            waiting, self._item = self._item, item
            self._change.notify()
            return waiting

    def withdraw(self) -> Item | None:
        """Take back what nobody took; None when it was taken."""
        with self._change:
            item, self._item = self._item, None
            return item

    def take(self, timeout_s: float) -> Item | None:
        """The waiting item, or None after `timeout_s`, once woken or once closed."""
        with self._change:
            self._change.wait_for(lambda: self._item is not None or self._woken or self._closed, timeout_s)
            self._woken = False
            item, self._item = self._item, None
            return item

    def wake(self) -> None:
        """Let a taker that waits come back at once, with or without an item."""
        with self._change:
            self._woken = True
            self._change.notify_all()

    def close(self) -> None:
        """Wake the taker for good."""
        with self._change:
            self._closed = True
            self._change.notify_all()
