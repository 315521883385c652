"""JSON lines between the host and a child: over the child's standard input and output, or between threads.

The host's end of file on the child's standard input means that the host is gone: the child ends, on every system.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import IO, Any, Final, Protocol

Message = dict[str, Any]

_BACKLOG: Final = 1000  # messages a slow receiver may lag; far above one second of events


class Channel(Protocol):
    """One end. `send` never raises for a dead peer; `receive` gives None on timeout and raises EOFError at the end."""

    def send(self, message: Message) -> None: ...

    def receive(self, timeout_s: float | None) -> Message | None: ...


class QueueChannel:
    """One end of a channel between threads of one process."""

    def __init__(self, incoming: queue.Queue[Message | None], outgoing: queue.Queue[Message | None]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    @classmethod
    def pair(cls) -> tuple[QueueChannel, QueueChannel]:
        a: queue.Queue[Message | None] = queue.Queue(_BACKLOG)
        b: queue.Queue[Message | None] = queue.Queue(_BACKLOG)
        return cls(a, b), cls(b, a)

    def send(self, message: Message | None) -> None:
        try:
            self._outgoing.put_nowait(message)
        except queue.Full:
            return

    def receive(self, timeout_s: float | None) -> Message | None:
        try:
            message = self._incoming.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if message is None:
            raise EOFError("the other end has closed")
        return message

    def close(self) -> None:
        """Tell the other end that this one is gone."""
        self.send(None)


class PipeChannel:
    """A child's end: lines come in on standard input and go out on what was standard output.

    Standard output itself is pointed at standard error first, so that a library's `print` cannot break a line.
    """

    def __init__(self, on_closed: Callable[[], None] = lambda: None) -> None:
        """`on_closed` is called, on a thread of its own, when the host has gone."""
        self._on_closed = on_closed
        self._out: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self._lock = threading.Lock()
        self._incoming: queue.Queue[Message | None] = queue.Queue(_BACKLOG)
        threading.Thread(target=self._pump, name="host-lines", daemon=True).start()

    def send(self, message: Message) -> None:
        try:
            with self._lock:
                self._out.write(json.dumps(message) + "\n")
                self._out.flush()
        except (BrokenPipeError, ValueError):
            return  # the host is gone; the reading side notices and ends

    def receive(self, timeout_s: float | None) -> Message | None:
        try:
            message = self._incoming.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if message is None:
            self._incoming.put(None)  # whoever asks again hears it again
            raise EOFError("the host has closed the pipe")
        return message

    def _pump(self) -> None:
        for message in lines(sys.stdin):
            self._incoming.put(message)
        self._incoming.put(None)
        self._on_closed()


def lines(stream: IO[str]) -> Iterator[Message]:
    """Every JSON object of a stream of lines; a line that is none (a library's stray output) is left out."""
    try:
        for line in stream:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                yield message
    except ValueError:  # the stream was closed while it was read
        return
