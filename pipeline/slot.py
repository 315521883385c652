"""Newest-frame slots: one writer, several readers, the newest frame wins and drops are counted.

Two transports behind one interface: `Ring` over any writable buffer. Between processes the buffer is anonymous
memory inherited by file descriptor (`pipeline.shared_memory`); between threads it is a plain bytearray.

A ring has N ≥ 4 places. Each place carries its sequence number before and after the picture; the writer sets the
first before it touches the picture and the second when it is done. A reader copies the newest place, then looks at
both numbers again: a writer that overtook it has changed the first one, and the reader takes the newer frame
instead. No lock exists that a dying process could hold: a writer killed inside a frame leaves one place whose
numbers differ, which no reader ever takes.

Sequence numbers are aligned 8-byte words, written by one store each. x86-64 keeps the order of stores; on a
weakly ordered machine (AArch64) the N − 1 places between the newest and the one being written are what keeps
a reader clear of the writer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.frame import Frame, Image, Rect, Size, now_ns

PLACES: Final = 4
_WORDS: Final = 16  # 8-byte words in front of each picture; see _META
_HEAD: Final = (
    64  # bytes in front of the first place: word 0 is the newest sequence number, word 1 the frames written
)
_LINE: Final = 64  # places start on cache lines

# Meaning of a place's words; word 0 and word 1 are the sequence number before and after.
_BEFORE, _AFTER, _SEQ, _CAPTURED, _PUBLISHED, _REVISION, _WIDTH, _HEIGHT = range(8)
_CONTENT: Final = slice(8, 12)


def ring_bytes(largest: Size) -> int:
    """Bytes of memory a ring needs for RGB pictures of at most `largest`."""
    return _HEAD + PLACES * _place_bytes(largest)


def _place_bytes(largest: Size) -> int:
    picture = largest.width * largest.height * 3
    return _WORDS * 8 + -(-picture // _LINE) * _LINE


class Bell(Protocol):
    """Wakes one reader. `ring` never blocks; `wait` returns True when it rang within `timeout_s`."""

    def ring(self) -> None: ...

    def wait(self, timeout_s: float) -> bool: ...


class ThreadBell:
    """A bell between threads of one process."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        self._event.set()

    def wait(self, timeout_s: float) -> bool:
        rang = self._event.wait(timeout_s)
        self._event.clear()
        return rang


class _Ring:
    """Views of one ring's memory."""

    def __init__(self, memory: memoryview | bytearray, largest: Size) -> None:
        if len(memory) < ring_bytes(largest):
            raise ValueError(f"a ring for {largest} needs {ring_bytes(largest)} bytes, got {len(memory)}")
        flat = np.frombuffer(memory, np.uint8)
        self.largest = largest
        self.head: npt.NDArray[np.int64] = flat[:_HEAD].view(np.int64)
        stride = _place_bytes(largest)
        places = [flat[_HEAD + i * stride : _HEAD + (i + 1) * stride] for i in range(PLACES)]
        self.words: list[npt.NDArray[np.int64]] = [p[: _WORDS * 8].view(np.int64) for p in places]
        self.pictures: list[npt.NDArray[np.uint8]] = [p[_WORDS * 8 :] for p in places]


class SlotWriter:
    """The one writer of a ring. Restarting the writing process is safe: numbering goes on where it stopped."""

    def __init__(
        self, memory: memoryview | bytearray, largest: Size, ring_bell: Callable[[], None] | None = None
    ) -> None:
        self._ring = _Ring(memory, largest)
        self._bell = ring_bell
        self._number = int(self._ring.head[0])

    def begin(self, size: Size) -> Image:
        """A view of shared memory to paint the next picture into: HWC RGB uint8 of `size`. `commit` publishes it."""
        if size.width * size.height > self._ring.largest.width * self._ring.largest.height:
            raise ValueError(f"a picture of {size} does not fit a slot for {self._ring.largest}")
        # The place after the newest one; numbers start at 1, place = number mod N.
        place = (self._number + 1) % PLACES
        words = self._ring.words[place]
        words[_BEFORE] = self._number + 1
        words[_WIDTH], words[_HEIGHT] = size
        return self._ring.pictures[place][: size.width * size.height * 3].reshape(size.height, size.width, 3)

    def commit(self, *, seq: int, t_capture: int, revision: int = 0, content: Rect | None = None) -> None:
        """Publish what `begin` gave, with its metadata (see `pipeline.frame.Frame`)."""
        self._number += 1
        words = self._ring.words[self._number % PLACES]
        words[_SEQ], words[_CAPTURED], words[_REVISION] = seq, t_capture, revision
        words[_CONTENT] = content or (0, 0, 0, 0)
        words[_PUBLISHED] = now_ns()
        words[_AFTER] = self._number
        self._ring.head[0] = self._number
        if self._bell:
            self._bell()

    def put(self, frame: Frame) -> None:
        """Copy one finished frame in and publish it."""
        height, width = frame.image.shape[:2]
        np.copyto(self.begin(Size(width, height)), frame.image)
        self.commit(seq=frame.seq, t_capture=frame.t_capture, revision=frame.revision, content=frame.content)


class SlotReader:
    """One reader of a ring, used by one thread. `dropped` counts frames that were never seen here."""

    def __init__(self, memory: memoryview | bytearray, largest: Size, bell: Bell | None = None) -> None:
        self._ring = _Ring(memory, largest)
        self._bell = bell
        self._seen = int(self._ring.head[0])
        self._own: list[npt.NDArray[np.uint8]] = []  # two picture buffers, filled in turn
        self._turn = 0
        self.dropped = 0
        self.torn = 0  # copies that a writer overtook, and that were taken again

    def newest_number(self) -> int:
        """How many frames the writer has published since the ring was made; grows by one a frame."""
        return int(self._ring.head[0])

    def times(self) -> dict[int, int]:
        """When each frame that still has a place was published (`now_ns`), by its number."""
        words = [place.copy() for place in self._ring.words]
        return {int(w[_AFTER]): int(w[_PUBLISHED]) for w in words if w[_BEFORE] == w[_AFTER] > 0}

    def take(self) -> Frame | None:
        """The newest frame, if it was not taken before; else None. Never blocks.

        The picture is a copy in memory of this reader's own; it stays valid until the second take after this one.
        """
        while (number := int(self._ring.head[0])) > self._seen:
            frame = self._copy(number)
            if frame is None:
                self.torn += 1
                continue
            self.dropped += number - self._seen - 1
            self._seen = number
            self._turn ^= 1
            return frame
        return None

    def wait(self, timeout_s: float) -> Frame | None:
        """Like `take`, but wait up to `timeout_s` for a frame. Needs a bell."""
        if (frame := self.take()) is not None or self._bell is None:
            return frame
        deadline = now_ns() + int(timeout_s * 1e9)
        while (left := deadline - now_ns()) > 0:
            self._bell.wait(left / 1e9)
            if (frame := self.take()) is not None:
                return frame
        return None

    def forget(self) -> None:
        """Treat everything published so far as seen."""
        self._seen = int(self._ring.head[0])

    def rewind(self) -> None:
        """Let the next `take` give the newest frame even if it was published before this reader began."""
        self._seen = min(self._seen, max(0, int(self._ring.head[0]) - 1))

    def _copy(self, number: int) -> Frame | None:
        place = number % PLACES
        words = self._ring.words[place].copy()
        if words[_BEFORE] != number or words[_AFTER] != number:
            return None
        width, height = int(words[_WIDTH]), int(words[_HEIGHT])
        image = self._buffer(width * height * 3).reshape(height, width, 3)
        np.copyto(image, self._ring.pictures[place][: image.size].reshape(image.shape))
        if self._ring.words[place][_BEFORE] != number:
            return None
        x, y, w, h = (int(v) for v in words[_CONTENT])
        return Frame(
            image=image,
            seq=int(words[_SEQ]),
            t_capture=int(words[_CAPTURED]),
            t_published=int(words[_PUBLISHED]),
            revision=int(words[_REVISION]),
            content=Rect(x, y, w, h) if w else None,
        )

    def _buffer(self, size: int) -> npt.NDArray[np.uint8]:
        if not self._own:
            largest = self._ring.largest.width * self._ring.largest.height * 3
            self._own = [np.empty(largest, np.uint8) for _ in range(2)]
        return self._own[self._turn][:size]
