"""What a source is (`pipeline/sources/<kind>.py` makes them)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pipeline.frame import Image, Size


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What was really opened, read back from the device and not from what was asked for.

    name: what a person would call it ("Logitech C920", "clip.mp4"). identity: what finds the same device again
    after a replug (stable path, serial; the file's path). fps: frames a second, 0 when unknown.
    pixel_format: FourCC or "RGB". detail: one line for people ("MJPG 1280x720 at 30 fps, asked for 60").
    pictures: False for `noise`, whose frames are only a clock (text-to-image).
    """

    kind: str
    name: str
    identity: str
    size: Size
    fps: float
    pixel_format: str = "RGB"
    detail: str = ""
    pictures: bool = True


class Picture(NamedTuple):
    """One camera picture. image: HWC RGB uint8 of the source's own size. t_capture: `frame.now_ns()`."""

    image: Image
    t_capture: int


class Source(Protocol):
    """An opened camera or file. Used by one thread; another thread or process may only kill it."""

    @property
    def info(self) -> SourceInfo: ...

    def read(self) -> Picture | None:
        """Block until the next picture, at the source's own pace.

        None at the end of a source that ends (a file without loop). Raises SourceError when the device failed:
        the caller closes this source and opens a new one later. Never retries by itself.
        """
        ...

    def close(self) -> None:
        """Let go of the device. May be called twice."""
        ...
