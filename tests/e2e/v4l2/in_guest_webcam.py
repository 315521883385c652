"""The webcam source on vivid, a real V4L2 capture driver. Runs inside the guest (test_v4l2.py starts it)."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from daemon.doctor.finding import Level
from daemon.doctor.video import check_cameras
from pipeline import v4l2
from pipeline.cameras import list_cameras
from pipeline.errors import SourceError
from pipeline.frame import Size, now_ns
from pipeline.sources import auto, webcam
from tests.e2e.v4l2.colours import assert_bars

VIVID = Path("/sys/bus/platform/drivers/vivid")
MJPG = "/dev/video11"


@contextlib.contextmanager
def camera(**options: object) -> Iterator[webcam.Webcam]:
    source = webcam.create(webcam.Options(**{"device": "vivid", **options}))
    try:
        yield source
    finally:
        source.close()


def read(source: webcam.Webcam, count: int) -> None:
    """What the driver has already filled is still delivered after a fault, so a fault shows within some reads."""
    for _ in range(count):
        source.read()


def unplug() -> None:
    (VIVID / "unbind").write_text("vivid.0")


def plug_in() -> None:
    (VIVID / "bind").write_text("vivid.0")


@contextlib.contextmanager
def mjpg_camera() -> Iterator[None]:
    """ffmpeg plays a camera that speaks MJPG: the test pattern as JPEG, on the second loopback."""
    script = (
        "import sys\n"
        "from pipeline.sources import test_pattern as t\n"
        "s = t.create(t.Options(width=640, height=480, fps=20))\n"
        "while True: sys.stdout.buffer.write(s.read().image)\n"
    )
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "640x480", "-r", "20", "-i", "-"]
    out = ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj422p", "-f", "v4l2", MJPG]
    with (
        subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as pattern,
        subprocess.Popen(["ffmpeg", "-v", "error", *raw, *out], stdin=pattern.stdout) as ffmpeg,
    ):
        try:
            deadline = time.monotonic() + 30
            while not any(c.path == MJPG for c in list_cameras()):
                assert time.monotonic() < deadline
                assert ffmpeg.poll() is None
                time.sleep(0.1)
            yield
        finally:
            ffmpeg.kill()
            pattern.kill()


def test_takes_the_closest_mode_and_says_so():
    with camera() as source:
        assert source.info.size == Size(640, 360)  # 1280x720 is offered at 12.5 fps only
        assert source.info.fps == 30
        assert source.info.pixel_format == "YUYV"
        assert "YUYV 640x360 at 30 fps, asked for 1280x720 at 30 fps" in source.info.detail
        assert source.read().image.shape == (360, 640, 3)
    with camera(prefer="size") as source:
        assert (source.info.size, source.info.fps) == (Size(1280, 720), 12.5)
    with camera(width=320, height=180, fps=60) as source:
        assert (source.info.size, source.info.fps) == (Size(320, 180), 60)
        assert "asked for" not in source.info.detail
    with camera(format="NV12") as source:
        assert source.info.pixel_format == "NV12"
        assert source.read().image.shape == (360, 640, 3)
    with pytest.raises(SourceError, match="has no format MJPG"):
        webcam.create(webcam.Options(device="vivid", format="MJPG"))


def test_the_doctor_says_what_a_camera_offers():
    (said,) = [f for f in check_cameras(None) if "vivid" in f.message]
    assert said.level is Level.OK
    assert re.search(r"YUYV to \d+x\d+ at [\d.]+", said.message), said.message
    assert re.search(r"NV12 to \d+x\d+", said.message), said.message


def test_measures_the_rate_and_stamps_pictures_by_the_drivers_clock():
    with camera(width=640, height=480) as source:
        assert source.info.fps == 25
        stamps, ages = [], []
        for _ in range(50):
            stamps.append(source.read().t_capture)
            ages.append(now_ns() - stamps[-1])
        assert "measured" in source.info.detail
        assert 25 * 0.8 < source.info.fps < 25 * 1.2
        assert np.all(np.diff(stamps) > 0)
        assert 0 <= min(ages) < 40e6


def test_colours_are_not_swapped():
    """vivid's default picture: white, yellow, cyan, green, magenta, red, blue, black, left to right."""
    want = ["111", "110", "011", "010", "101", "100", "001", "000"]
    for pixels in ("YUYV", "NV12", "RGB3", "BGR3"):
        with camera(width=640, height=480, format=pixels) as source:
            image = source.read().image
        band = image[400:440].mean(axis=0)
        bars = [band[int((i + 0.5) * 640 / 8)] for i in range(8)]
        assert ["".join("01"[int(c > 100)] for c in bar) for bar in bars] == want, pixels


def test_faults_are_told_apart():
    with pytest.raises(SourceError, match="there is no camera 9; there is vivid"):
        webcam.create(webcam.Options(device="9"))
    with pytest.raises(SourceError, match="to which no program writes"):
        webcam.create(webcam.Options(device="10"))
    holder = (
        "from pipeline.sources import webcam\n"
        "s = webcam.create(webcam.Options())\n"
        "s.read(), print(1, flush=True), input()\n"
    )
    argv = [sys.executable, "-c", holder]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        with pytest.raises(SourceError, match=f"in use by .*pid {process.pid}"):
            webcam.create(webcam.Options())
        process.kill()
    groups, before = os.getgroups(), os.geteuid()
    os.setgroups([])
    os.seteuid(65534)
    try:
        with pytest.raises(SourceError, match="may not be opened by this user") as error:
            webcam.create(webcam.Options())
        assert "usermod" in error.value.mend
    finally:
        os.seteuid(before)
        os.setgroups(groups)


def test_unplugged_then_found_again_under_another_path():
    options = webcam.Options(device="0")
    with camera(device="0") as stale:
        stale.read()
        unplug()
        try:
            with pytest.raises(SourceError, match="unplugged"):
                read(stale, 10)
            with pytest.raises(SourceError, match="no camera"):
                webcam.create(webcam.again(options, stale.info))
        finally:
            plug_in()  # the stale capture still holds /dev/video0
        fresh = webcam.create(webcam.again(options, stale.info))
        assert fresh.read() is not None
        assert "/dev/video1" in fresh.info.detail
        assert fresh.info.identity == stale.info.identity
        fresh.close()
    with camera() as source:
        source.read()


def test_a_camera_that_disconnects_but_keeps_its_node():
    with camera() as source:
        source.read()
        subprocess.run(["v4l2-ctl", "-d", source._camera.path, "-c", "disconnect=1"], check=True)
        with pytest.raises(SourceError):
            read(source, 10)
    with camera() as source:
        source.read()


def test_a_streaming_error_ends_the_source():
    with camera() as source:
        source.read()
        subprocess.run(
            ["v4l2-ctl", "-d", source._camera.path, "-c", "inject_fatal_streaming_error=1"], check=True
        )
        with pytest.raises(SourceError):
            read(source, 40)
    with camera() as source:
        source.read()


def test_auto_takes_the_first_real_camera_and_waits_for_it():
    with mjpg_camera():
        virtual = [c for c in list_cameras() if c.is_virtual]
        assert [c.path for c in virtual] == [MJPG]
        source = auto.create(auto.Options())
        info = source.info
        assert (info.kind, info.name) == ("webcam", "vivid")
        assert "auto: the first real camera" in info.detail
        source.close()
        unplug()
        try:
            shown = auto.create(auto.Options())
            assert shown.info.kind == "demo"
            assert "Second Camera (/dev/video11) is a virtual camera" in shown.info.detail
            shown.close()
            with pytest.raises(SourceError, match="no camera"):
                auto.create(auto.again(auto.Options(), info))
        finally:
            plug_in()
    source = auto.create(auto.again(auto.Options(), info))
    assert source.info.name == "vivid"
    source.close()


def test_an_mjpg_camera():
    with mjpg_camera():
        with camera(device="Second Camera") as source:
            assert source.info.pixel_format in ("MJPG", "JPEG")
            assert source.info.size == Size(640, 480)
            for _ in range(5):
                picture = source.read()
            assert picture is not None
            assert_bars(picture.image)
        assert v4l2.holders(MJPG)
