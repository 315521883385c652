"""What a viewer sees, taken down by somebody who is not the program: gaps, and whether the camera's own picture ever
appeared. In the guest kernel a viewer reads the virtual camera; elsewhere it listens to the `tap` sink."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Colours = tuple[tuple[int, int, int], ...]


def shows_bars(picture: np.ndarray, colours: Colours, tolerance: float = 30) -> bool:
    """Whether a known pattern's pure colours are to be seen unpainted: most of them, each on some of the picture."""
    shares = [
        (np.abs(picture.astype(np.int16) - np.array(c, np.int16)).max(axis=2) < tolerance).mean()
        for c in colours
    ]
    return bool(sum(share > 0.03 for share in shares) >= len(colours) - 1)


def is_slate(picture: np.ndarray) -> bool:
    """Dark and bluish, as `daemon.picture.slate` paints it."""
    red, _, blue = picture.reshape(-1, 3).mean(axis=0)
    return bool(picture.mean() < 60 and blue > red)


class Viewer(ABC, threading.Thread):
    """Reads on a thread of its own from `with` on. `mark` begins a new record."""

    def __init__(self, *patterns: Colours) -> None:
        super().__init__(name="viewer", daemon=True)
        self._patterns = patterns
        self._lock = threading.Lock()
        self._halt = threading.Event()
        self._failed: BaseException | None = None
        self.newest: np.ndarray | None = None
        self.newest_at = 0.0
        self.count = 0
        self.mark()

    def mark(self) -> None:
        """Forget what was seen. A gap that has begun goes on."""
        with self._lock:
            self._longest_s = 0.0
            self.raw = 0
            self.slates = 0
            self.total = 0

    @property
    def longest_gap_s(self) -> float:
        """Between two pictures since `mark`, the time since the newest one included."""
        with self._lock:
            return max(self._longest_s, time.monotonic() - self.newest_at if self.newest_at else 0.0)

    @abstractmethod
    def open(self) -> None: ...

    @abstractmethod
    def read(self) -> np.ndarray | None:
        """The next picture, HWC RGB; None when none came for a while. Raises OSError when the device is gone."""

    @abstractmethod
    def close(self) -> None: ...

    def run(self) -> None:
        try:
            while not self._halt.is_set():
                picture = self.read()
                now = time.monotonic()
                if picture is not None:
                    self._take(picture, now)
        except BaseException as error:  # noqa: BLE001 said to whoever asks for a picture
            self._failed = error

    def _take(self, picture: np.ndarray, now: float) -> None:
        raw, slate = any(shows_bars(picture, p) for p in self._patterns), is_slate(picture)
        with self._lock:
            if self.newest_at:
                self._longest_s = max(self._longest_s, now - self.newest_at)
            self.newest, self.newest_at = picture, now
            self.count += 1
            self.total += 1
            self.raw += int(raw)
            self.slates += int(slate)

    def picture(self, seconds: float = 10) -> np.ndarray:
        """One that was read after this call."""
        seen, deadline = self.count, time.monotonic() + seconds
        while self.count < seen + 2:
            assert self._failed is None, self._failed
            assert time.monotonic() < deadline, f"no picture within {seconds:g} s"
            time.sleep(0.005)
        assert self.newest is not None
        return self.newest

    def until_slate_after(self, act: Any) -> float:
        """Seconds from before `act` to the first card that was read."""
        self.mark()
        began = time.monotonic()
        act()
        while not self.slates:
            assert time.monotonic() < began + 10, "no card within 10 s"
            time.sleep(0.001)
        self.before_slate = self.total - self.slates
        return time.monotonic() - began

    def until(self, condition: Any, seconds: float) -> float:
        """Wait for a picture that meets `condition`; seconds it took."""
        began = time.monotonic()
        while not condition(self.picture()):
            assert time.monotonic() < began + seconds, f"not seen within {seconds:g} s"
        return time.monotonic() - began

    def __enter__(self) -> Any:
        self.open()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._halt.set()
        self.join(15)
        self.close()


class TapViewer(Viewer):
    """Listens to the `tap` sink of `tests.faults.kinds` at `path`."""

    def __init__(self, path: Path, *patterns: Colours) -> None:
        super().__init__(*patterns)
        self._path = path

    def open(self) -> None:
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._socket.settimeout(0.2)

    def read(self) -> np.ndarray | None:
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return None
        return np.frombuffer(data, np.uint8).reshape(54, 96, 3)

    def close(self) -> None:
        self._socket.close()


class LoopbackViewer(Viewer):
    """Opens the virtual camera as a call program does, through OpenCV."""

    def __init__(self, device: str, *patterns: Colours) -> None:
        super().__init__(*patterns)
        self._device = device
        self._device_lock = threading.Lock()
        self._capture: Any = None

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Somebody else may read the device: a camera has one reader at a time. Not judged."""
        with self._device_lock:
            self._capture.release()
            self._capture = None
        yield
        self.open()
        self.newest_at = 0.0
        self.picture()
        self.mark()

    def open(self) -> None:
        import cv2

        deadline = time.monotonic() + 20
        while not (capture := cv2.VideoCapture(self._device, cv2.CAP_V4L2)).isOpened():
            assert time.monotonic() < deadline, f"{self._device} does not open"
            time.sleep(0.1)
        self._capture = capture

    def read(self) -> np.ndarray | None:
        import cv2

        with self._device_lock:
            good, bgr = self._capture.read() if self._capture is not None else (False, None)
        if not good:
            time.sleep(0.01)
            return None
        small = cv2.resize(bgr, (96, 72), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
