"""Niceness of threads, as the kernel tells it."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from pipeline.engine.courteous import NICE, courteously

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="niceness of threads is Linux's")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_threads_started_in_it_inherit_a_lower_priority_and_the_caller_keeps_its_own():
    mine, theirs = niceness(), []

    def work() -> str:
        thread = threading.Thread(target=lambda: theirs.append(niceness()))
        thread.start()
        thread.join()
        return "made"

    assert courteously(work) == "made"
    assert theirs == [min(19, mine + NICE)]
    assert niceness() == mine


def test_what_it_raises_comes_to_the_caller():
    with pytest.raises(ValueError, match="not this"):
        courteously(lambda: (_ for _ in ()).throw(ValueError("not this")))
