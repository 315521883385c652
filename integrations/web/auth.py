"""Who may do what: the daemon's token (everything) and the stream key (look at the picture, nothing else).

Both are 256 random bits in a file of mode 0600. They are compared in constant time and never logged.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import PhospheneError

SECRET_BYTES = 32
SHORTEST = 16
"""Characters. A shorter secret in a file was damaged or typed by hand."""


def same_secret(given: str, expected: str) -> bool:
    """Constant-time comparison of two secrets of any characters. An empty secret never matches."""
    if not given or not expected:
        return False
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass")
    )


def load_secret(path: Path) -> str:
    """The secret kept in `path`; made there (mode 0600, folder 0700) when there is none.

    Raises PhospheneError when the file cannot be read or made, or holds no secret.
    """
    try:
        if not path.exists():
            return write_secret(path)
        if os.name == "posix":
            path.chmod(0o600)
        secret = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PhospheneError(
            f"The secret file {path} cannot be used: {error}.",
            f"Delete {path}; a new one is made at the next start.",
        ) from error
    if len(secret) < SHORTEST or not secret.isprintable() or " " in secret:
        raise PhospheneError(
            f"The secret file {path} holds no usable secret (at least {SHORTEST} printable characters).",
            f"Delete {path}; a new one is made at the next start.",
        )
    return secret


def write_secret(path: Path) -> str:
    """Make a new secret, replace `path` with it in one step and return it. Raises OSError."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
        os.replace(name, path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    return secret


class StreamKey:
    """The read-only key that stands in a stream's address. `rotate` makes every address given out useless.

    path: where it is kept; None keeps it in memory only. Used from the event loop's thread alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._value = load_secret(path) if path else secrets.token_urlsafe(SECRET_BYTES)
        self._listeners: list[Callable[[], None]] = []

    @property
    def value(self) -> str:
        return self._value

    def fits(self, given: str) -> bool:
        """Whether `given` is the key as it is now."""
        return same_secret(given, self._value)

    def rotate(self) -> str:
        """Replace the key and return the new one. Raises PhospheneError when it cannot be written."""
        if self._path is None:
            self._value = secrets.token_urlsafe(SECRET_BYTES)
        else:
            try:
                self._value = write_secret(self._path)
            except OSError as error:
                raise PhospheneError(
                    f"The stream key {self._path} cannot be written: {error}.",
                    f"Make the folder {self._path.parent} writable.",
                ) from error
        for listener in self._listeners:
            listener()
        return self._value

    def on_rotate(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every rotation."""
        self._listeners.append(listener)
