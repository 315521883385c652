"""What every child process does first: ends with its host, leaves Ctrl-C to it, keeps its hands off its output."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from pipeline.channel import PipeChannel

_GRACE_S: Final = (
    2.0  # after the host has gone: time to close a camera before the process is ended regardless
)


def run_child(name: str, body: Callable[[PipeChannel], int]) -> int:
    """Run `body` with the channel to the host and return its exit code.


    Three things end the child with its host: `body` sees the end of file; two seconds later the process is ended
    whatever it is doing; on Linux the kernel ends it even where a device call holds the interpreter.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the host decides
    die_with_parent()
    _die_before_parent()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=f"{name}: %(levelname)s %(message)s")
    channel = PipeChannel(on_closed=_end_soon)
    return body(channel)


def _end_soon() -> None:
    timer = threading.Timer(_GRACE_S, lambda: os._exit(0))
    timer.daemon = True
    timer.start()


def die_with_parent() -> None:
    """On Linux the kernel ends this process when the thread that started it ends, whatever holds the interpreter."""
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal: Final = 1  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)


def _die_before_parent() -> None:
    """When memory runs out, the kernel takes this process and not the host: the one can be started again, the other is
    the picture in the call."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("500")
