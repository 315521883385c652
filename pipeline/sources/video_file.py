"""A video file as a camera, shown at the pace of its own timestamps."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.errors import SourceError
from pipeline.frame import Image, Size, now_ns
from pipeline.options import setting
from pipeline.source import Picture, SourceInfo
from pipeline.sources._options import PictureOptions
from pipeline.sources._pace import sleep_until

ARGUMENT: Final = "path"
_NS: Final = 1_000_000_000
_DEFAULT_FPS: Final = 30.0
_LATE_NS: Final = _NS // 4  # a reader this late loses pictures, as it would of a camera


class Options(PictureOptions):
    path: str = setting(..., "video file (mp4, mkv, webm, …)", applies="prepare", min_length=1)
    loop: bool = setting(True, "start again at the end; off: the source ends there", applies="prepare")
    pace: bool = setting(True, "keep the file's own timing; off: as fast as it is read", applies="prepare")


def available() -> str | None:
    try:
        import av  # noqa: F401
    except ImportError as error:
        return f"PyAV cannot be imported ({error}): pip install av"
    return None


def create(options: Options) -> VideoFile:
    return VideoFile(options)


class VideoFile:
    """Decodes with PyAV. `t_capture` is the moment a picture was due, so that jitter of the reader does not
    show."""

    def __init__(self, options: Options) -> None:
        import av

        self._path = Path(options.path).expanduser()
        self._loop, self._paced = options.loop, options.pace
        try:
            self._container: Any = av.open(str(self._path))
        except FileNotFoundError:
            raise SourceError(
                f"video_file: there is no file {self._path}", "give the path of a video file"
            ) from None
        except (av.FFmpegError, OSError) as error:
            raise SourceError(
                f"video_file: {self._path} cannot be opened: {error}", "check that it is a video file"
            ) from error
        if not self._container.streams.video:
            self._container.close()
            raise SourceError(
                f"video_file: {self._path} has no video in it", "use a file with a video stream"
            )
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        fps = float(self._stream.average_rate or 0)
        self._start: int | None = None  # when the file's time 0 is shown
        self._interval = round(_NS / (fps or _DEFAULT_FPS))
        self._frames = self._decode()
        self._first = (
            self._next()
        )  # only a decoded picture tells whether a phone recorded it lying on its side
        if self._first is None:
            raise SourceError(f"video_file: {self._path} has no pictures in it", "use another file")
        height, width = self._rgb(self._first[1]).shape[:2]
        size = Size(width, height)
        codec = self._stream.codec_context.name
        loop = "looped" if options.loop else "once"
        self._info = SourceInfo(
            "video_file",
            self._path.name,
            str(self._path.absolute()),
            size,
            fps,
            detail=f"{codec} {size} at {fps:.4g} fps, {loop}",
        )

    @property
    def info(self) -> SourceInfo:
        return self._info

    def read(self) -> Picture | None:
        while (decoded := self._first or self._next()) is not None:
            self._first = None
            offset, frame = decoded
            now = now_ns()
            if not self._paced:
                return Picture(self._rgb(frame), now)
            if self._start is None:
                self._start = now - offset
            due = self._start + offset
            if now - due > max(_LATE_NS, 2 * self._interval):
                if now - due > 8 * _LATE_NS:  # the reader stood still for seconds: go on from here
                    self._start = now - offset
                    return Picture(self._rgb(frame), now)
                continue
            sleep_until(due)
            return Picture(self._rgb(frame), due)
        return None

    def close(self) -> None:
        self._frames.close()
        self._container.close()

    def _rgb(self, frame: Any) -> Image:
        """HWC RGB uint8, turned upright: `rotation` is what the file's display matrix says, counter-
        clockwise."""
        quarter_turns = round(getattr(frame, "rotation", 0) / 90)
        return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns))

    def _next(self) -> tuple[int, Any] | None:
        import av

        try:
            return next(self._frames, None)
        except (av.FFmpegError, OSError) as error:
            raise SourceError(
                f"video_file: {self._path} cannot be decoded: {error}", "the file may be damaged; try another"
            ) from error

    def _decode(self) -> Generator[tuple[int, Any], None, None]:
        """(ns since the first picture of the first pass, frame), over all passes, never going back."""
        base = 0
        while True:
            first: int | None = None
            offset = base - self._interval
            for frame in self._container.decode(self._stream):
                if frame.pts is None:
                    offset += self._interval
                else:
                    time = int(frame.pts * frame.time_base * _NS)
                    first = time if first is None else first
                    offset = max(offset + 1, base + time - first)
                yield offset, frame
            if offset < base or not self._loop:
                return
            base = offset + self._interval
            self._container.seek(0)
