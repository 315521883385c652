"""The whole program on real drivers: webcam on /dev/video0 → built-in model → virtual camera on
/dev/video10 → an independent reader. Runs inside the guest (test_v4l2.py starts it), where PyTorch takes
its time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.faults.camera_faults import BARS
from tests.faults.viewer import is_slate, shows_bars
from tests.running import Daemon

OUT = "/dev/video10"
VIVID = Path("/sys/bus/platform/drivers/vivid")
SIZE = (480, 640)  # rows, columns
CONFIG = """
source: {kind: webcam, device: vivid, width: 320, height: 180}
sinks: [{kind: virtual_camera, device: /dev/video10}]
output: {size: 640x480, fps: 20}
web: {port: 0}
similarity: {enabled: false}
model: {size: 128x96}
style: heat
styles:
  heat: {prompt: thermal camera}
  ink: {prompt: pencil sketch}
"""


class Phosphene(Daemon):
    """Running with a configuration. Asked over HTTP, since a new Python takes seconds here; a command that a test is
    about goes through the command line."""

    def __init__(self, home: Path, config: str = CONFIG) -> None:
        super().__init__(home)
        (home / "config" / "phosphene").mkdir()
        (home / "config" / "phosphene" / "config.yaml").write_text(config)
        self.start()

    def now(self) -> dict[str, Any]:
        return self.wait(lambda status: True, 30)

    def shown(self) -> None:
        """Wait until what was commanded last is painted."""
        revision = self.now()["revision"]
        self.wait(lambda s: s["metrics"]["shown_revision"] >= revision)


class Watcher(threading.Thread):
    """An independent reader of the virtual camera: keeps the newest picture and the longest gap between
    two."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.capture = cv2.VideoCapture(OUT, cv2.CAP_V4L2)
        assert self.capture.isOpened()
        self.newest: np.ndarray | None = None
        self.count = 0
        self.longest_gap_s = 0.0
        self.halt = threading.Event()
        self.start()

    def run(self) -> None:
        last = None
        while not self.halt.is_set():
            good, bgr = self.capture.read()
            now = time.monotonic()
            assert good
            self.newest = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            self.count += 1
            if last is not None:
                self.longest_gap_s = max(self.longest_gap_s, now - last)
            last = now

    def picture(self) -> np.ndarray:
        """One that was read after this call."""
        seen = self.count
        deadline = time.monotonic() + 10
        while self.count < seen + 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.newest is not None
        assert self.count >= seen + 2, "no picture within ten seconds"
        return self.newest.astype(float)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.halt.set()
        self.join(5)
        self.capture.release()


@pytest.fixture(scope="module")
def phosphene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phosphene]:
    begin = time.monotonic()
    made = Phosphene(tmp_path_factory.mktemp("home"))
    capture = None
    while capture is None or not capture.isOpened():
        assert time.monotonic() < begin + 60, made.output
        time.sleep(0.05)
        capture = cv2.VideoCapture(OUT, cv2.CAP_V4L2)
    assert capture.read()[0]
    capture.release()
    print(f"first picture on the virtual camera after {time.monotonic() - begin:.2f} s")
    try:
        yield made
    finally:
        assert made.end(seconds=10) == 0


def colourfulness(picture: np.ndarray) -> float:
    return float((picture.max(axis=2) - picture.min(axis=2)).mean())


def raw_bars(picture: np.ndarray) -> bool:
    return shows_bars(picture, BARS)


@pytest.fixture(autouse=True)
def _painted(phosphene: Phosphene) -> None:
    """Whatever a test left, the next one begins with the same picture."""
    phosphene.now()  # it answers
    phosphene.submit(command="mode", mode="styled")
    phosphene.submit(command="style", name="heat")
    phosphene.painting(150)
    phosphene.shown()


def test_a_painted_picture_of_the_right_size_comes_out_and_follows_the_style(phosphene):
    with Watcher() as watcher:
        assert watcher.picture().shape == (*SIZE, 3)
        heat = watcher.picture()
        assert not raw_bars(heat)
        phosphene.command("style", "ink")
        phosphene.shown()
        ink = watcher.picture()
        # A thermal picture is orange and violet, a pencil sketch nearly grey: red and blue in their places.
        assert colourfulness(heat) > colourfulness(ink) + 20
        red, _, blue = heat.reshape(-1, 3).mean(axis=0)
        assert red > blue, "red and blue are swapped"


def test_ffmpeg_reads_the_same_stream(phosphene):
    phosphene.painting()
    form = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    argv = ["ffmpeg", "-v", "error", "-f", "v4l2", "-i", OUT, "-frames:v", "20", *form]
    done = subprocess.run(argv, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, *SIZE, 3)
    assert len(frames) == 20
    red, _, blue = frames[-1].astype(float).reshape(-1, 3).mean(axis=0)
    assert red > blue, "red and blue are swapped"
    assert not raw_bars(frames[-1].astype(float))


def test_the_rate_is_constant_whatever_the_model_needs(phosphene):
    status = phosphene.painting()
    with Watcher() as watcher:
        watcher.picture()
        begin, count = time.monotonic(), watcher.count
        time.sleep(5)
        rate = (watcher.count - count) / (time.monotonic() - begin)
    print(f"{rate:.1f} pictures a second at the reader, {status['metrics']['fps_engine']:.1f} painted")
    assert 20 * 0.8 < rate < 20 * 1.2


def test_the_newest_content_arrives(phosphene):
    """vivid's picture is changed from colour bars to one colour: bypass shows it as it is."""
    phosphene.painting()
    with Watcher() as watcher:
        phosphene.submit(command="mode", mode="bypass")
        phosphene.wait(lambda s: s["sinks"][0]["showing"] == "raw")
        assert raw_bars(watcher.picture())
        subprocess.run(["v4l2-ctl", "-d", "/dev/video0", "-c", "test_pattern=6"], check=True)  # 100% white
        begin = time.monotonic()
        while raw_bars(picture := watcher.picture()):
            assert time.monotonic() < begin + 20, picture.mean()
        print(f"a change before the camera was seen by the reader within {time.monotonic() - begin:.2f} s")
        subprocess.run(["v4l2-ctl", "-d", "/dev/video0", "-c", "test_pattern=0"], check=True)


@pytest.mark.parametrize("role", ["engine", "capture"])
def test_the_virtual_camera_survives_kill_9_of_each_child_without_showing_the_raw_picture(phosphene, role):
    before = phosphene.painting()
    with Watcher() as watcher:
        watcher.picture()
        watcher.longest_gap_s = 0.0
        os.kill(before["processes"][role], signal.SIGKILL)
        part = "engine" if role == "engine" else "source"
        restarts = before[part]["restarts"]
        while phosphene.now()[part]["restarts"] == restarts:
            assert not raw_bars(watcher.picture())
        while phosphene.now()["sinks"][0]["showing"] != "styled":
            assert not raw_bars(watcher.picture())
        after = phosphene.painting()
        assert after["processes"][role] != before["processes"][role]
        print(f"{role} killed: longest gap {watcher.longest_gap_s * 1e3:.0f} ms")
        assert watcher.longest_gap_s < 2.0  # one processor, and PyTorch being imported on it


def test_an_unplugged_camera_gives_a_slate_and_comes_back(phosphene):
    phosphene.painting()
    with Watcher() as watcher:
        (VIVID / "unbind").write_text("vivid.0")
        status = phosphene.wait(
            lambda s: s["source"]["status"] == "failed" and s["sinks"][0]["showing"] == "slate"
        )
        assert status["source"]["error"]
        assert is_slate(watcher.picture())
        (VIVID / "bind").write_text("vivid.0")
        begin = time.monotonic()
        phosphene.painting()
        print(f"painted again {time.monotonic() - begin:.1f} s after it was plugged in")
        assert not is_slate(watcher.picture())


def test_panic_closes_the_camera(phosphene):
    phosphene.painting()
    with Watcher() as watcher:
        phosphene.command("panic")
        phosphene.wait(lambda s: s["processes"]["capture"] is None)
        assert is_slate(watcher.picture())
        holders = [p for p in Path("/proc").glob("[0-9]*/fd/*") if _link(p).startswith("/dev/video0")]
        assert holders == [], "somebody still holds the camera"
        phosphene.command("resume")
        phosphene.painting()


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
