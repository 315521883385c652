"""The virtual camera's own faults, on the whole program: not there yet, unloaded and loaded again, written to by
somebody else, fixed to another format. Runs inside the guest (test_v4l2.py starts it, without v4l2loopback loaded).
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.sources.test_pattern import BARS
from tests.faults import camera_faults
from tests.faults.viewer import LoopbackViewer, is_slate
from tests.running import Daemon

OUT = "/dev/video10"
LOAD = ["modprobe", "v4l2loopback", "devices=1", "video_nr=10", "exclusive_caps=1", "card_label=Virtual"]
CONFIG = f"""
source: {{kind: test_pattern, width: 320, height: 240}}
sinks: [{{kind: virtual_camera, device: {OUT}}}, preview]
output: {{size: 640x360, fps: 20}}
web: {{port: 0}}
model: /nonexistent
"""
WITHIN_S = 3.0


def load() -> None:
    subprocess.run(LOAD, check=True)


def unload() -> int:
    return subprocess.run(["rmmod", "v4l2loopback"], capture_output=True, check=False).returncode


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as made:
        (tmp_path / "config" / "phosphene").mkdir()
        (tmp_path / "config" / "phosphene" / "config.yaml").write_text(CONFIG)
        made.start()
        yield made
        assert made.end() == 0


def sink(daemon: Daemon) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        facts: dict[str, Any] = daemon.http("/api/v1/status")["sinks"][0]
        return facts
    return {"status": "", "error": "", "mend": ""}


def failed(daemon: Daemon, words: str) -> None:
    deadline = time.monotonic() + 40
    while words not in (sink(daemon)["error"] or ""):
        assert time.monotonic() < deadline, (words, sink(daemon), daemon.output)
        time.sleep(0.1)
    assert sink(daemon)["mend"]
    assert words in daemon.output


def opened(daemon: Daemon, what: str) -> None:
    began = time.monotonic()
    while sink(daemon)["status"] != "open":
        assert time.monotonic() < began + 20, (sink(daemon), daemon.output)
        time.sleep(0.05)
    took = time.monotonic() - began
    with LoopbackViewer(OUT, BARS) as viewer:
        viewer.picture()
        viewer.mark()
        assert is_slate(viewer.picture())
        time.sleep(1)
        gap, raw = viewer.longest_gap_s, viewer.raw
    print(f"{what}: reattached after {took:.1f} s, then a gap of {gap * 1e3:.0f} ms at most, {raw} raw")
    assert took < WITHIN_S
    assert raw == 0


def test_loaded_later_held_while_used_and_loaded_again(daemon):
    failed(daemon, "no device /dev/video10")
    load()
    opened(daemon, "device made while the program runs")
    assert unload() != 0, "the kernel lets nobody take it away while pictures go in"
    assert sink(daemon)["status"] == "open"


def test_written_to_by_another_program_then_free_then_gone_and_made_again(daemon):
    unload()
    failed(daemon, "no device /dev/video10")
    daemon.end()
    load()
    with camera_faults.fed("640", "360"):
        daemon.start()
        failed(daemon, "already written to by another program")
    opened(daemon, "device freed by another program")


def test_fixed_to_another_format_then_free(daemon):
    daemon.end()
    with camera_faults.fed("320", "240"):
        subprocess.run(["v4l2-ctl", "-d", OUT, "-c", "keep_format=1"], check=True)
    daemon.start()
    failed(daemon, "format")
    subprocess.run(["v4l2-ctl", "-d", OUT, "-c", "keep_format=0"], check=True)
    opened(daemon, "format let go")
