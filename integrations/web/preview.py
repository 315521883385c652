"""What the page and the streams ask of the preview sink (`pipeline.sinks.preview`), which knows no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pipeline.errors import PhospheneError


class Picture(Protocol):
    """One encoded picture. Immutable."""

    @property
    def data(self) -> bytes:
        """JPEG."""
        ...

    @property
    def number(self) -> int:
        """Counts encoded pictures."""
        ...

    @property
    def seq(self) -> int:
        """The source's count; −1: a slate."""
        ...

    @property
    def revision(self) -> int:
        """The `LiveState.revision` that painted it; 0: not painted."""
        ...

    @property
    def t_capture(self) -> int:
        """When the camera took it, ns: the same for a painting and the camera's own picture it was made from."""
        ...


class Viewer(Protocol):
    """While one is open, pictures are made."""

    def close(self) -> None: ...


class Preview(Protocol):
    """The newest picture as JPEG, encoded only while somebody looks. Thread-safe; only `snapshot` blocks."""

    def subscribe(self, listener: Callable[[object], None] | None = None) -> Viewer:
        """Make pictures until the viewer is closed. `listener`: called on another thread; must not block."""
        ...

    def latest_jpeg(self) -> Picture | None:
        """The newest picture; None before the first."""
        ...

    def snapshot(self, timeout_s: float = 2.0) -> bytes:
        """The picture shown now, full size, as PNG. Raises PhospheneError when none comes in time."""
        ...


class CameraPictures(Protocol):
    """The camera's own picture, for before and after."""

    @property
    def preview(self) -> Preview: ...

    def refused(self) -> PhospheneError | None:
        """Why it may not be shown now; None: it may."""
        ...


def is_raw(picture: Picture) -> bool:
    """Whether it may show the camera's own picture (sharp or blurred): neither painted nor a slate."""
    return picture.revision == 0 and picture.seq >= 0
