"""Pictures for the page: JPEG in memory, made only while somebody looks. `integrations.web` serves them.

Opening it cannot fail, so the program makes it once for both its sink thread and the web server:

    preview = create(options, output)
    with preview.subscribe(on_jpeg) as viewer:    # `on_jpeg(jpeg)` runs on the sink's thread, must not block,
        ...                                       # e.g. loop.call_soon_threadsafe(event.set)
    jpeg = preview.latest_jpeg()                  # newest wins; a slow viewer delays nobody
    jpeg = preview.wait_newer(jpeg.number, 1.0)   # for threads
    png = preview.snapshot()                      # full size; works without viewers
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.errors import SinkError
from pipeline.frame import Frame, Image, Size, now_ns
from pipeline.geometry import even
from pipeline.options import Options as BaseOptions
from pipeline.options import setting
from pipeline.sink import OutputFormat

_NS: Final = 1_000_000_000


class Options(BaseOptions):
    quality: int = setting(80, "JPEG quality", applies="prepare", ge=1, le=100)
    fps: float = setting(30.0, "most pictures a second", applies="prepare", gt=0, le=240)
    width: int = setting(
        960, "widest picture, pixels; 0: the output's own width", applies="prepare", ge=0, le=7680
    )


def available() -> str | None:
    return None


def create(options: Options, output: OutputFormat) -> Preview:
    return Preview(options, output)


@dataclass(frozen=True, slots=True)
class Jpeg:
    """One encoded picture. number: counts up by one a picture. The rest is its frame's (see
    `pipeline.frame`)."""

    data: bytes
    number: int
    size: Size
    seq: int
    revision: int
    t_capture: int
    t_published: int


class Viewer:
    """A subscription: while one is open, pictures are made. Closing twice is fine."""

    def __init__(self, preview: Preview, listener: Callable[[Jpeg], None] | None) -> None:
        self._preview = preview
        self.listener = listener

    def close(self) -> None:
        self._preview._leave(self)

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Preview:
    """Bounded: it keeps one JPEG. All methods may be called from any thread."""

    def __init__(self, options: Options, output: OutputFormat) -> None:
        size = output.size
        if 0 < options.width < size.width:
            size = Size(even(options.width), even(size.height * options.width / size.width))
        self._size = size
        self._quality = options.quality
        self._least_gap = round(_NS / options.fps * 0.9)  # a tenth of slack: the sink's own pace jitters
        self._changed = threading.Condition()
        self._viewers: set[Viewer] = set()
        self._jpeg: Jpeg | None = None
        self._encoded_at = 0
        self._number = 0
        self._shown: tuple[int, int, int] | None = None
        self._snapshots_wanted = 0
        self._snapshot: Image | None = None
        self._closed = False
        self.skipped = 0  # pictures not encoded because of the `fps` option

    @property
    def detail(self) -> str:
        return f"page, JPEG {self._size} quality {self._quality}"

    @property
    def wanted(self) -> bool:
        return bool(self._viewers) or self._snapshots_wanted > 0

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def subscribe(self, listener: Callable[[Jpeg], None] | None = None) -> Viewer:
        """Ask for pictures until the returned viewer is closed."""
        viewer = Viewer(self, listener)
        with self._changed:
            self._closed = False
            if not self._viewers:
                # what was encoded for an earlier viewer is old by now, and the newest frame is not yet
                # encoded
                self._jpeg, self._shown = None, None
            self._viewers.add(viewer)
        return viewer

    def latest_jpeg(self) -> Jpeg | None:
        """The newest picture; None before the first one after somebody began to look."""
        return self._jpeg

    def wait_newer(self, number: int, timeout_s: float) -> Jpeg | None:
        """Block for a picture with a higher `number` than this (-1: any). None after `timeout_s` or at
        close."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or _is_newer(self._jpeg, number), timeout_s)
            return self._jpeg if _is_newer(self._jpeg, number) else None

    def snapshot(self, timeout_s: float = 2.0) -> bytes:
        """The frame that is shown now, at full size, as PNG. Raises SinkError when none comes within
        `timeout_s`."""
        import cv2

        with self._changed:
            self._closed = False
            self._snapshots_wanted += 1
            self._snapshot = None
            came = self._changed.wait_for(lambda: self._snapshot is not None or self._closed, timeout_s)
            self._snapshots_wanted -= 1
            image = self._newest_snapshot()
        if not came or image is None:
            raise SinkError(
                f"preview: no picture came within {timeout_s:g} s", "see what `phosphene status` says"
            )
        return _encode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])

    def send(self, frame: Frame) -> None:
        import cv2

        if self._snapshots_wanted:
            with self._changed:
                self._snapshot = frame.image.copy()
                self._changed.notify_all()
        if not self._viewers:
            return
        shown = (frame.seq, frame.t_published, frame.revision)
        if shown == self._shown:
            return
        now = now_ns()
        if now - self._encoded_at < self._least_gap:
            self.skipped += 1
            return
        self._encoded_at, self._shown = now, shown
        from pipeline.pixels import resize

        picture = resize(frame.image, self._size, "bilinear")
        data = _encode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        jpeg = Jpeg(
            data, self._number, self._size, frame.seq, frame.revision, frame.t_capture, frame.t_published
        )
        self._number += 1
        with self._changed:
            self._jpeg = jpeg
            listeners = [viewer.listener for viewer in self._viewers if viewer.listener]
            self._changed.notify_all()
        for listener in listeners:
            listener(jpeg)

    def forget(self) -> None:
        """Drop the newest picture: viewers get the next one and nothing from before."""
        with self._changed:
            self._jpeg, self._shown, self._encoded_at = None, None, 0

    def close(self) -> None:
        """End every wait. Viewers are gone; a later `subscribe` starts anew."""
        with self._changed:
            self._closed = True
            self._viewers.clear()
            self._changed.notify_all()

    def _newest_snapshot(self) -> Image | None:
        return self._snapshot

    def _leave(self, viewer: Viewer) -> None:
        with self._changed:
            self._viewers.discard(viewer)


def _is_newer(jpeg: Jpeg | None, number: int) -> bool:
    return jpeg is not None and jpeg.number > number


def _encode(kind: Literal[".png", ".jpg"], image: Image, parameters: list[int]) -> bytes:
    import cv2

    # OpenCV writes BGR
    good, data = cv2.imencode(kind, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), parameters)
    if not good:
        raise SinkError(f"preview: OpenCV could not encode a picture of {image.shape[1]}x{image.shape[0]}")
    encoded: bytes = data.tobytes()
    return encoded
