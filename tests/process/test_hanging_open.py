"""A call that opens a source and never returns: its process is killed, and the next one opens it. Real processes."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable

import pytest

from daemon.children import capture
from daemon.children.roles import Roles
from daemon.settings import Settings
from pipeline.frame import Size
from pipeline.messages import Event, LiveState
from tests.clips import write_video
from tests.running import alive

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="named pipes of this kind are POSIX'")


def test_a_source_whose_opening_hangs_is_opened_by_a_new_process(tmp_path, monkeypatch):
    monkeypatch.setattr(capture, "OPENING_S", 3.0)
    path = tmp_path / "clip.mp4"
    os.mkfifo(path)  # nobody writes into it: to open it is to wait for ever
    settings = Settings.model_validate({"source": {"kind": "video_file", "path": str(path)}})
    events: list[Event] = []
    roles = Roles(settings, Size(64, 64), LiveState, events.append, lambda: None)
    try:
        roles.capture.open()
        watch(roles, lambda: roles.capture.role.pid is not None)
        hung = roles.capture.role.pid
        assert hung is not None
        watch(roles, lambda: roles.capture.facts.status == "stalled")
        assert re.search(r"video_file is still being opened after \d+ s", roles.capture.facts.error or "")
        (said,) = [event for event in events if event.kind == "fault"]
        assert "it is opened again" in said.message
        path.unlink()
        write_video(path, [0, 40])
        watch(roles, lambda: roles.capture.facts.status == "open")
        assert roles.capture.role.pid != hung
        assert not alive(hung)
        assert roles.capture.role.causes == {"hang": roles.capture.role.restarts}
    finally:
        roles.stop()


def watch(roles: Roles, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, roles.capture.facts
        roles.watch()
        time.sleep(0.05)
