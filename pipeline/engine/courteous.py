"""Threads that a library starts for itself, at a priority somewhat below the rest of the process."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

Result = TypeVar("Result")

NICE: Final = 4  # against decoding, a sink or the camera on the same core: three parts of ten


def courteously(work: Callable[[], Result]) -> Result:
    """What `work` returns or raises. On Linux the threads that are started in it give way to those of others.

    A thread inherits its niceness from the one that starts it, and may never lower it again: so `work` runs on a
    thread of its own. Elsewhere niceness belongs to whole processes, and `work` is just called.
    """
    if not sys.platform.startswith("linux"):
        return work()
    done: Future[Result] = Future()

    def run() -> None:
        try:
            with contextlib.suppress(OSError):  # a sandbox may forbid it
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, os.nice(0) + NICE))
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 handed to the caller whole
            done.set_exception(error)

    thread = threading.Thread(target=run, name="courteous", daemon=True)
    thread.start()
    thread.join()
    return done.result()
