"""`activate: on_demand` on real drivers: who streams wakes the camera, who only asks does not.

Runs inside the guest (test_v4l2.py starts it), on v4l2loopback before and after it tells by itself.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from daemon.demand import LINGER_S
from tests.faults import camera_faults, campaign
from tests.faults.viewer import LoopbackViewer
from tests.running import Daemon

CAMERA, OUT = "/dev/video0", "/dev/video10"
SLOW_GUEST_S = 6.0
"""A second is the aim; here one slow processor runs daemon, reader and tests."""
CONFIG = f"""
activate: on_demand
source: {{kind: webcam, device: vivid, width: 320, height: 180}}
sinks: [{{kind: virtual_camera, device: {OUT}}}, preview]
output: {{size: 640x360, fps: 20}}
web: {{port: 0}}
similarity: {{enabled: false}}
model: {{size: 96x64}}
"""


def camera_is_open() -> bool:
    return any(_link(fd) == CAMERA for fd in Path("/proc").glob("[0-9]*/fd/*"))


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    home = tmp_path_factory.mktemp("home")
    with Daemon(home) as made:
        (home / "config" / "phosphene").mkdir()
        (home / "config" / "phosphene" / "config.yaml").write_text(CONFIG)
        made.start()
        ready(made, 150)
        yield made
        assert made.end() == 0


def ready(daemon: Daemon, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, ValueError):
            if daemon.http("/api/v1/status")["engine"]["status"] == "ready":
                return
        assert time.monotonic() < deadline, daemon.output
        time.sleep(0.5)


def asleep(daemon: Daemon, seconds: float) -> float:
    began = time.monotonic()
    while daemon.http("/api/v1/status")["source"]["status"] != "asleep" or camera_is_open():
        assert time.monotonic() < began + seconds, daemon.http("/api/v1/status")["source"]
        time.sleep(0.05)
    return time.monotonic() - began


def awake(daemon: Daemon, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while (status := daemon.http("/api/v1/status"))["source"]["status"] != "open":
        assert time.monotonic() < deadline, f"{status['source']} {status['demand']}\n{daemon.output[-2000:]}"
        time.sleep(0.02)


def test_nobody_watches_so_nothing_runs(daemon):
    status = daemon.http("/api/v1/status")
    assert status["source"]["status"] == "asleep"
    assert status["demand"] == {"activate": "on_demand", "asleep": True, "consumers": []}
    assert not camera_is_open()
    children = [psutil.Process(pid) for name, pid in status["processes"].items() if name != "host"]
    spent: list[float] = []
    for _ in range(10):  # an engine that has only just come up may still take its built successor in
        before = [sum(child.cpu_times()[:2]) for child in children]
        time.sleep(3)
        spent = [sum(child.cpu_times()[:2]) - was for child, was in zip(children, before, strict=True)]
        if max(spent) < 0.3:
            return
    raise AssertionError(f"seconds of CPU in three of sleep: {spent}")


def test_programs_that_only_ask_do_not_wake_it(daemon):
    for _ in range(3):
        subprocess.run(["v4l2-ctl", "-d", OUT, "--all"], capture_output=True, check=True)
    holder = f"import os, time; fd = os.open({OUT!r}, os.O_RDWR); print(1, flush=True); time.sleep(30)"
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            assert daemon.http("/api/v1/status")["source"]["status"] == "asleep"
            assert not camera_is_open()
            time.sleep(0.1)
        process.kill()


def test_a_reader_wakes_it_within_a_second_and_its_going_lets_it_sleep(daemon):
    for _ in range(2):
        with LoopbackViewer(OUT, camera_faults.BARS) as viewer:
            began = time.monotonic()
            awake(daemon)
            opened = time.monotonic() - began
            scene = campaign.Scene(daemon, viewer)
            scene.painting(20)
            painted = time.monotonic() - began
            assert viewer.raw == 0
        slept = asleep(daemon, LINGER_S + 3)
        print(
            f"camera open after {opened:.2f} s, painted after {painted:.2f} s, closed {slept:.1f} s after the last"
        )
        assert opened < SLOW_GUEST_S
        assert slept > LINGER_S - 1


def test_a_viewer_of_the_preview_is_a_consumer(daemon):
    run = daemon.http("/api/v1/stream-key")
    key = next(iter(value for value in run.values() if isinstance(value, str) and len(value) > 15))
    address = daemon.http("/api/v1/status")["address"]
    with contextlib.closing(
        urllib.request.urlopen(f"{address}/stream.mjpeg?key={key}", timeout=10)
    ) as stream:
        stream.read(100)
        awake(daemon)
        assert "preview" in daemon.http("/api/v1/status")["demand"]["consumers"]
    asleep(daemon, LINGER_S + 4)
