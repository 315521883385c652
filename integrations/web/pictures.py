"""What the API asks for pictures of styles; the daemon's side is `daemon.bank.pictures`."""

from __future__ import annotations

from typing import Protocol


class Pictures(Protocol):
    """Thread-safe. `get` reads a file, `live` waits for the engine: not for an event loop's thread."""

    def ready(self, name: str) -> tuple[bool, str]:
        """Whether there is one, and its key: another one once anything that shows changes. Raises KeyError."""
        ...

    def get(self, name: str) -> tuple[bytes | None, str, str]:
        """(JPEG or None, key, why there is none yet). Raises KeyError."""
        ...

    def live(self, name: str, timeout_s: float) -> bytes:
        """JPEG of the style on the camera's newest picture. Raises KeyError, PhospheneError."""
        ...
