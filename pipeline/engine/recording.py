"""What a recording needs as long as it is replayed, beside the tensors it returns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_KEPT: ContextVar[list[object] | None] = ContextVar("kept", default=None)


@contextmanager
def keeping() -> Iterator[list[object]]:
    """While it is open on this thread, `keep` adds to the list; whoever holds the list holds what was kept."""
    kept: list[object] = []
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)


def keep(needed: object) -> None:
    """Called by what is being recorded; without effect outside of a recording."""
    if (kept := _KEPT.get()) is not None:
        kept.append(needed)
