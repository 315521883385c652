"""Whether anybody streams from a v4l2loopback device. Linux only.

From 0.13 on the driver says so itself (event V4L2_EVENT_PRI_CLIENT_USAGE), and means streaming and not mere opening.
Before, it is guessed from who has the device open: programs that stream have its buffers mapped into their memory,
programs that only ask what it is have not. A program that takes pictures with read(2), which hardly one does, is then
not seen. One that this user may not look into (a sandbox) counts as streaming for as long as it has the device open:
better a camera too long than a card in a call.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Iterator
from typing import Final

from pipeline import v4l2

QUICK_S, QUICK_FOR_S = (
    0.1,
    2.0,
)  # how often, and for how long, open files are looked at after somebody opened the device
LOOK_S: Final = 0.5  # … while somebody has it open
IDLE_S: Final = 5.0  # … and while nobody seems to


class Readers:
    """Watches one device from a thread of its own until `close`. `streaming` may be read by any thread."""

    def __init__(self, path: str) -> None:
        """Raises OSError when the device cannot be asked."""
        self._path = path
        self.streaming = False
        self._stop_read, self._stop_write = os.pipe()
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            tells = v4l2.subscribe_client_usage(self._fd)
        except OSError:
            os.close(self._stop_read)
            os.close(self._stop_write)
            raise
        if not tells:
            os.close(self._fd)
            self._fd = -1
        self.how = "the driver says so" if tells else "by open files"
        watch = self._by_event if tells else self._by_open_files
        self._thread = threading.Thread(target=watch, name="loopback-readers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """May be called twice."""
        if self._stop_write >= 0:
            os.write(self._stop_write, b"\0")
            self._thread.join(2.0)
            for fd in (self._stop_read, self._stop_write, self._fd):
                if fd >= 0:
                    os.close(fd)
            self._stop_read = self._stop_write = self._fd = -1

    def _by_event(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLPRI)
        poll.register(self._stop_read, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self._stop_read in ready:
                return
            try:
                while (count := v4l2.client_usage(self._fd)) is not None:
                    self.streaming = count > 0
            except OSError:
                return  # the device is going; its sink will find out

    def _by_open_files(self) -> None:
        quick_until = 0.0
        opened = 0  # times by others since the watch began, less the times closed
        with _inotify(self._path) as events:
            poll = select.poll()
            poll.register(self._stop_read, select.POLLIN)
            if events is not None:
                poll.register(events, select.POLLIN)
            while True:
                mapped, holding, all_seen = v4l2.streaming_holders(self._path)
                self.streaming = mapped > 0 or (opened > 0 and holding == 0 and not all_seen)
                wait_s = LOOK_S if holding or opened > 0 or events is None else IDLE_S
                wait_s = QUICK_S if time.monotonic() < quick_until else wait_s
                ready = dict(poll.poll(int(wait_s * 1000)))
                if self._stop_read in ready:
                    return
                if events is not None and events in ready:
                    opened = max(0, opened + v4l2.opened_less_closed(os.read(events, 65536)))
                    quick_until = time.monotonic() + QUICK_FOR_S


@contextlib.contextmanager
def _inotify(path: str) -> Iterator[int | None]:
    """A descriptor that tells when `path` is opened or closed; None where the system has none to give."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(path), v4l2.IN_OPEN | v4l2.IN_CLOSE) < 0:
        if fd >= 0:
            os.close(fd)
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)
