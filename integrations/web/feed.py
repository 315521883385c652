"""The newest picture for many readers of different speed: each takes the newest when it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from integrations.web.preview import Picture, Preview, is_raw


class Feed:
    """Joins the preview's threads to the event loop. All but `_on_picture` runs on the loop's thread."""

    def __init__(self, preview: Preview) -> None:
        self._preview = preview
        self._readers: set[Reader] = set()
        self._wake_pending = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def close(self) -> None:
        """End every reader."""
        for reader in self._readers:
            reader.end()

    @property
    def readers(self) -> int:
        return len(self._readers)

    @contextmanager
    def reader(self, *, raw: bool) -> Iterator[Reader]:
        """One that looks for the length of the `with`. raw: whether it may see the camera's own picture."""
        self._loop = asyncio.get_running_loop()
        reader = Reader(self._preview, raw=raw)
        self._readers.add(reader)
        viewer = self._preview.subscribe(self._on_picture)
        try:
            yield reader
        finally:
            viewer.close()
            self._readers.discard(reader)

    def _on_picture(self, _: object) -> None:
        """On the preview's thread. At most one wake-up is on its way to the loop at a time."""
        if not self._readers or self._wake_pending or self._loop is None:
            return
        self._wake_pending = True
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop was closed in the meantime: nobody is left to wake
            self._wake_pending = False

    def _wake(self) -> None:
        self._wake_pending = False
        for reader in self._readers:
            reader.wake()


class Reader:
    """One reader's place in the stream. `ended`: no picture will follow."""

    def __init__(self, preview: Preview, *, raw: bool) -> None:
        self._preview = preview
        self._raw = raw
        self._fresh = asyncio.Event()
        self._seen = -1
        self.ended = False

    def wake(self) -> None:
        self._fresh.set()

    def end(self) -> None:
        self.ended = True
        self._fresh.set()

    def newest(self) -> Picture | None:
        """The newest picture this reader may see, or None."""
        picture = self._preview.latest_jpeg()
        return None if picture is None or (is_raw(picture) and not self._raw) else picture

    async def next(self, timeout: float) -> Picture | None:
        """The newest picture not yet seen, waiting for it up to `timeout` seconds; None if there was none."""
        deadline = asyncio.get_running_loop().time() + timeout
        while not self.ended:
            self._fresh.clear()
            picture = self.newest()
            if picture is not None and picture.number != self._seen:
                self._seen = picture.number
                return picture
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return None
            try:
                await asyncio.wait_for(self._fresh.wait(), left)
            except asyncio.TimeoutError:
                return None
        return None
