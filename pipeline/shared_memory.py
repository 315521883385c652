"""Anonymous memory and bells that child processes inherit: nothing with a name, so nothing can stay behind.

POSIX: a memfd (Linux) or an unlinked temporary file (macOS), inherited by descriptor; bells are non-blocking pipes.
Windows (untested): a page-file mapping under a random name, which the system frees with its last user; bells poll.
"""

from __future__ import annotations

import mmap
import os
import secrets
import select
import sys
import tempfile
import time
from typing import Final

from pipeline.frame import Size
from pipeline.slot import SlotReader, SlotWriter, ring_bytes

_POLL_S: Final = 0.002  # Windows only: how often a reader looks


class SharedRing:
    """Memory of one slot. The host makes it; `argument` is what a child's `attach` needs."""

    def __init__(self, largest: Size, memory: mmap.mmap, handle: str, fd: int | None) -> None:
        self.largest = largest
        self._memory = memory
        self._handle = handle
        self._fd = fd

    @classmethod
    def create(cls, largest: Size) -> SharedRing:
        size = ring_bytes(largest)
        if sys.platform == "win32":
            name = f"phosphene-{secrets.token_hex(16)}"
            return cls(largest, mmap.mmap(-1, size, tagname=name), name, None)
        fd = _anonymous_file()
        os.ftruncate(fd, size)
        return cls(largest, mmap.mmap(fd, size), str(fd), fd)

    @classmethod
    def attach(cls, argument: str) -> SharedRing:
        """In a child: the ring whose `argument` it was given."""
        handle, width, height = argument.rsplit(":", 2)
        largest = Size(int(width), int(height))
        size = ring_bytes(largest)
        if sys.platform == "win32":
            return cls(largest, mmap.mmap(-1, size, tagname=handle), handle, None)
        return cls(largest, mmap.mmap(int(handle), size), handle, int(handle))

    @property
    def argument(self) -> str:
        return f"{self._handle}:{self.largest.width}:{self.largest.height}"

    @property
    def fds(self) -> tuple[int, ...]:
        """Descriptors a child must inherit."""
        return () if self._fd is None else (self._fd,)

    def writer(self, bell: PipeBell | None = None) -> SlotWriter:
        return SlotWriter(memoryview(self._memory), self.largest, bell.ring if bell else None)

    def reader(self, bell: PipeBell | None = None) -> SlotReader:
        return SlotReader(memoryview(self._memory), self.largest, bell)

    def close(self) -> None:
        """Close the descriptor. The mapping lives as long as a reader or writer uses it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("phosphene", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class PipeBell:
    """A bell over a non-blocking pipe: one byte wakes the reader; a full pipe is already a ringing bell."""

    def __init__(self, read_fd: int | None, write_fd: int | None) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd

    @classmethod
    def create(cls) -> PipeBell:
        if sys.platform == "win32":
            return cls(None, None)
        read_fd, write_fd = os.pipe()
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        return cls(read_fd, write_fd)

    @classmethod
    def attach(cls, argument: str) -> PipeBell:
        """In a child: the bell whose `argument` it was given."""
        ends = [None if e == "-" else int(e) for e in argument.split(":")]
        return cls(*ends)

    @property
    def argument(self) -> str:
        return ":".join("-" if e is None else str(e) for e in (self._read_fd, self._write_fd))

    @property
    def fds(self) -> tuple[int, ...]:
        return tuple(e for e in (self._read_fd, self._write_fd) if e is not None)

    def ring(self) -> None:
        if self._write_fd is None:
            return
        try:
            os.write(self._write_fd, b"\0")
        except (BlockingIOError, BrokenPipeError):
            return  # full: it rings already; broken: nobody reads

    def wait(self, timeout_s: float) -> bool:
        if self._read_fd is None:
            time.sleep(min(timeout_s, _POLL_S))
            return True
        ready, _, _ = select.select([self._read_fd], [], [], max(timeout_s, 0))
        if ready:
            try:
                os.read(self._read_fd, 4096)
            except BlockingIOError:
                return False
        return bool(ready)

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self._read_fd = self._write_fd = None
