"""The virtual camera sink on a real v4l2loopback. Runs inside the guest (test_v4l2.py starts it)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.doctor.finding import Finding, Level
from daemon.doctor.video import check_virtual_camera
from daemon.settings import Settings
from pipeline import v4l2
from pipeline.errors import SinkError
from pipeline.frame import Frame, Size, now_ns
from pipeline.pixel_clock import read_time
from pipeline.sink import OutputFormat
from pipeline.sinks import virtual_camera
from pipeline.sources import webcam
from tests.e2e.v4l2.colours import assert_bars

DEVICE = "/dev/video10"
SIZE = Size(640, 480)
OUTPUT = OutputFormat(SIZE, 25.0)
NEW = v4l2.loopback_reports_state(DEVICE)  # 0.13 and later


def opened_sink(device: str = "auto", output: OutputFormat = OUTPUT) -> virtual_camera.VirtualCamera:
    sink = virtual_camera.create(virtual_camera.Options(device=device), output)
    assert isinstance(sink, virtual_camera.VirtualCamera)
    return sink


def frame(seq: int = 0, size: Size = SIZE) -> Frame:
    return Frame(np.full((size.height, size.width, 3), 99, np.uint8), seq, now_ns(), now_ns())


@contextlib.contextmanager
def feeder(*size: int) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes the test pattern; entered once its first pictures are out."""
    argv = [sys.executable, "-m", "tests.e2e.v4l2.feeder", *map(str, size)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert "I420" in process.stdout.readline()
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def reader() -> Iterator[cv2.VideoCapture]:
    capture = cv2.VideoCapture(DEVICE, cv2.CAP_V4L2)
    try:
        assert capture.isOpened()
        yield capture
    finally:
        capture.release()


def read_rgb(capture: cv2.VideoCapture) -> np.ndarray:
    good, image = capture.read()
    assert good
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@pytest.mark.parametrize("size", [(640, 480), (1280, 720)])
def test_opencv_sees_size_rate_colours_and_the_newest_picture(size):
    with feeder(*size):
        with v4l2.opened(DEVICE) as fd:  # before OpenCV, which asks every camera for 30
            assert v4l2.rate_of(fd) == 25.0
        check_reader(size)


def check_reader(size):
    with reader() as capture:
        times, ages = [], []
        for _ in range(40):
            image = read_rgb(capture)
            times.append(now_ns())
            if (written := read_time(image)) is not None:
                ages.append((times[-1] - written) / 1e6)
        assert image.shape == (size[1], size[0], 3)
        assert_bars(image)
        rate = 30 / ((times[-1] - times[9]) / 1e9)
        assert 25 * 0.7 < rate < 25 * 1.3
        assert len(ages) > 35
        assert 0 <= min(ages) < 80  # ms: two frame intervals


def test_ffmpeg_sees_the_same(tmp_path):
    with feeder(640, 480):
        raw = tmp_path / "frame.rgb"
        subprocess.run(
            [
                "ffmpeg",
                "-v",
                "error",
                "-f",
                "v4l2",
                "-i",
                DEVICE,
                "-frames:v",
                "3",
                "-pix_fmt",
                "rgb24",
                "-f",
                "rawvideo",
                raw,
            ],
            check=True,
            timeout=60,
        )
    frames = np.fromfile(raw, np.uint8).reshape(3, 480, 640, 3)
    assert_bars(frames[2])
    assert read_time(frames[2]) is not None


def test_a_killed_writer_leaves_a_device_that_the_next_one_can_open():
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        with feeder() as process:
            with reader() as capture:
                assert read_rgb(capture).shape == (480, 640, 3)
            process.send_signal(how)
            process.wait(10)
    for _ in range(2):  # and in this process, closed properly
        sink = opened_sink()
        sink.send(frame())
        sink.close()
        sink.close()


def test_a_reader_that_stays_through_a_restart_of_the_writer_sees_pictures_again():
    with feeder() as process, reader() as capture:
        read_rgb(capture)
        process.kill()
        process.wait(10)
        with feeder():
            # what waits in the reader's buffers is old; then come the new writer's pictures
            ages = [now_ns() - (read_time(read_rgb(capture)) or 0) for _ in range(20)]
        assert min(ages[-5:]) < 200e6


def test_an_idle_device_stays_a_camera():
    sink = opened_sink()
    sink.send(frame())
    time.sleep(1.0)
    with v4l2.opened(DEVICE) as fd:
        assert v4l2.capability(fd).caps & v4l2.VIDEO_CAPTURE
    sink.close()


def test_chain_from_the_camera_to_a_reader():
    """vivid → webcam source → virtual camera → OpenCV: the same picture comes out."""

    def read() -> np.ndarray:
        with reader() as capture:
            return [read_rgb(capture) for _ in range(5)][-1].astype(int)

    source = webcam.create(webcam.Options(device="vivid", width=640, height=480))
    sink = opened_sink()
    with ThreadPoolExecutor() as pool:
        seq, reading = 0, None
        while reading is None or not reading.done():
            picture = source.read()
            assert picture is not None
            sink.send(Frame(picture.image, seq, picture.t_capture, now_ns()))
            if seq == 2:
                reading = pool.submit(read)
            seq += 1
        # vivid's bars stand still; its counters do not, so compare a band below them
        assert np.abs(reading.result()[300:440] - picture.image[300:440].astype(int)).mean() < 6
    sink.close()
    source.close()


def test_devices_are_named_and_never_real_cameras():
    for device in ("/dev/video0", "vivid"):
        with pytest.raises(SinkError, match="virtual camera") as error:
            opened_sink(device)
        assert "Virtual Camera (/dev/video10)" in error.value.message
    with pytest.raises(SinkError, match="/dev/video33") as error:
        opened_sink("/dev/video33")
    assert "modprobe v4l2loopback video_nr=33" in error.value.mend
    for device in ("Virtual Camera", "virtual", DEVICE, "auto"):
        sink = opened_sink(device)
        assert DEVICE in sink.detail
        sink.close()
    assert virtual_camera.available() is None


def test_a_device_that_another_program_writes_to():
    with feeder() as process:
        with pytest.raises(SinkError, match="already written to") as error:
            opened_sink()
        assert f"pid {process.pid}" in error.value.message


def doctors_word_on_the_device() -> Finding:
    settings = Settings.model_validate({"sinks": ["virtual_camera"], "output": {"size": "640x480"}})
    (finding,) = [f for f in check_virtual_camera(settings) if DEVICE in f.message]
    return finding


def test_the_doctor_says_who_writes_and_in_what_format():
    with feeder(640, 480) as writer:
        said = doctors_word_on_the_device()
    assert said.level is Level.OK
    assert f"(pid {writer.pid})" in said.message
    assert said.message.endswith("format YU12 640x480")
    with feeder(320, 240):
        said = doctors_word_on_the_device()
    assert said.level is Level.WARNING
    assert "keeps the format" in said.message
    assert "set output.size to" in said.mend


def test_missing_permission():
    groups, before = os.getgroups(), os.geteuid()
    os.setgroups([])
    os.seteuid(65534)
    try:
        with pytest.raises(SinkError, match="may not be opened by this user") as error:
            opened_sink()
    finally:
        os.seteuid(before)
        os.setgroups(groups)
    assert "usermod -aG video" in error.value.mend


def test_a_device_with_a_fixed_format_is_refused():
    first = opened_sink(output=OutputFormat(Size(320, 240), 25.0))
    first.send(frame(size=Size(320, 240)))
    subprocess.run(["v4l2-ctl", "-d", DEVICE, "-c", "keep_format=1"], check=True)
    first.close()
    try:
        with pytest.raises(SinkError, match=r"keeps (the format YU12 320x240|a fixed format)") as error:
            opened_sink()
        assert "keep_format=0" in error.value.mend
    finally:
        subprocess.run(["v4l2-ctl", "-d", DEVICE, "-c", "keep_format=0"], check=True)
    sink = opened_sink()
    sink.send(frame())
    sink.close()


@pytest.mark.skipif(not NEW, reason="v4l2loopback 0.12 lets two writers write")
def test_a_refused_write_is_noticed():
    first, second = opened_sink(), opened_sink()  # the first to write owns the device
    first.send(frame())
    with pytest.raises(SinkError, match="refused a picture"):
        second.send(frame())
    first.send(frame(1))
    second.close()
    first.close()


def test_without_a_loopback_the_command_that_makes_one():
    module = Path(f"/lib/modules/{os.uname().release}/v4l2loopback.ko")
    assert module.exists()
    subprocess.run(["rmmod", "v4l2loopback"], check=True)
    try:
        reason = virtual_camera.available()
        assert reason is not None
        assert "sudo modprobe v4l2loopback" in reason
        with pytest.raises(SinkError, match="no virtual camera"):
            opened_sink()
    finally:
        load = ["video_nr=10", "exclusive_caps=1", "card_label=Virtual Camera"]
        subprocess.run(["modprobe", "v4l2loopback", *load], check=True)
