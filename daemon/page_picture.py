"""The preview sink as the web server sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.sinks.preview import Jpeg, Preview, Viewer


@dataclass(frozen=True, slots=True)
class PagePicture:
    """One encoded picture. raw: it shows the camera's own picture, so only the token's holder may see it."""

    seq: int
    jpeg: bytes
    revision: int
    raw: bool


class PagePreview:
    """Implements `integrations.web.preview.Preview` on the preview sink. Thread-safe."""

    def __init__(self, preview: Preview) -> None:
        self._preview = preview
        self._lock = threading.Lock()
        self._viewers: list[Viewer] = []
        self._listeners: tuple[Callable[[], None], ...] = ()

    def add_viewer(self) -> None:
        viewer = self._preview.subscribe(self._tell)
        with self._lock:
            self._viewers.append(viewer)

    def remove_viewer(self) -> None:
        with self._lock:
            viewer = self._viewers.pop() if self._viewers else None
        if viewer is not None:
            viewer.close()

    def latest(self) -> PagePicture | None:
        picture = self._preview.latest_jpeg()
        if picture is None:
            return None
        # A slate's count is −1; every other picture that no state painted is the camera's own.
        raw = picture.revision == 0 and picture.seq >= 0
        return PagePicture(picture.number, picture.data, picture.revision, raw)

    def add_listener(self, callback: Callable[[], None]) -> Callable[[], None]:
        with self._lock:
            self._listeners += (callback,)

        def remove() -> None:
            with self._lock:
                self._listeners = tuple(known for known in self._listeners if known is not callback)

        return remove

    def _tell(self, jpeg: Jpeg) -> None:
        # Every viewer's subscription calls here; telling once a picture is enough.
        with self._lock:
            if not self._viewers or self._preview.latest_jpeg() is not jpeg:
                return
            listeners = self._listeners
        for listener in listeners:
            listener()
