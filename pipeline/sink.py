"""What a sink is (`pipeline/sinks/<kind>.py` makes them)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pipeline.frame import Frame, Size


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """What every sink receives for as long as the daemon lives: even sizes, constant rate (frames a second)."""

    size: Size
    fps: float


class Sink(Protocol):
    """An opened virtual camera, page or file. `send` is called by this sink's own thread at a constant rate."""

    @property
    def detail(self) -> str:
        """One line for people: the device and the format really in use ("/dev/video10, I420 1280x720")."""
        ...

    @property
    def wanted(self) -> bool:
        """False while nobody looks (a page with no viewer): `send` is then skipped and costs nothing."""
        ...

    # A sink that can tell whether anybody looks has `watched` too (see `pipeline.sinks.virtual_camera`); where there is
    # none, `wanted` says it.

    def send(self, frame: Frame) -> None:
        """Publish one frame: `frame.image` has exactly the format's size. Repeats of a frame are normal.

        Must not keep a reference to `frame.image` after it returns (the memory is reused).
        Raises SinkError when the device failed; the caller closes this sink and opens a new one later.
        """
        ...

    def close(self) -> None:
        """Let go of the device; flush a file. May be called twice."""
        ...
