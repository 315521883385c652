"""Sinks that need no device: the page's pictures, the recorder, the benchmark's sink, colours of I420."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
import threading
import time

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import SinkError
from pipeline.frame import Frame, Size, now_ns
from pipeline.sink import OutputFormat
from pipeline.sinks import null, preview, recorder
from pipeline.sinks._i420 import I420

SIZE = Size(320, 240)
OUTPUT = OutputFormat(SIZE, 30.0)


def frame(seq=0, colour=(200, 40, 10), size=SIZE, t_published=None):
    """A flat picture: JPEG and H.264 keep its colour."""
    now = now_ns()
    image = np.empty((size.height, size.width, 3), np.uint8)
    image[:] = colour
    return Frame(image, seq, now, now if t_published is None else t_published)


# ---------------------------------------------------------------- preview


def decode(data):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_nothing_is_encoded_while_nobody_looks():
    sink = preview.create(preview.Options(), OUTPUT)
    assert not sink.wanted
    sink.send(frame())
    assert sink.latest_jpeg() is None
    with sink.subscribe():
        assert sink.wanted
        sink.send(frame())
        assert sink.latest_jpeg() is not None
    assert not sink.wanted
    assert sink.viewers == 0


def test_viewers_get_the_right_colours_and_the_frames_facts():
    sink = preview.create(preview.Options(), OUTPUT)
    heard = []
    with sink.subscribe(heard.append) as viewer, sink.subscribe(heard.append):
        sent = frame(seq=7)
        sink.send(sent)
        viewer.close()
        viewer.close()
        assert sink.viewers == 1
    assert len(heard) == 2
    jpeg = heard[0]
    assert (jpeg.seq, jpeg.t_capture, jpeg.t_published) == (7, sent.t_capture, sent.t_published)
    assert np.abs(decode(jpeg.data).mean(axis=(0, 1)) - (200, 40, 10)).max() < 4


def test_repeats_are_not_encoded_again_and_the_rate_is_bounded():
    sink = preview.create(preview.Options(fps=10), OUTPUT)
    with sink.subscribe():
        sent = frame()
        for _ in range(5):
            sink.send(sent)
        assert sink.latest_jpeg().number == 0
        sink.send(frame(1))  # within a tenth of a second
        assert sink.latest_jpeg().number == 0
        assert sink.skipped == 1
        time.sleep(0.11)
        sink.send(frame(2))
        assert sink.latest_jpeg().number == 1


def test_wide_pictures_are_made_smaller_with_their_aspect():
    size = Size(1280, 720)
    sink = preview.create(preview.Options(width=640), OutputFormat(size, 30))
    with sink.subscribe():
        sink.send(frame(size=size))
        assert decode(sink.latest_jpeg().data).shape == (360, 640, 3)
    full = preview.create(preview.Options(width=0), OutputFormat(size, 30))
    with full.subscribe():
        full.send(frame(size=size))
        assert full.latest_jpeg().size == size


def test_waiting_for_a_newer_picture():
    sink = preview.create(preview.Options(fps=240), OUTPUT)
    with sink.subscribe():
        assert sink.wait_newer(-1, 0.01) is None
        sender = threading.Timer(0.05, lambda: sink.send(frame()))
        sender.start()
        assert sink.wait_newer(-1, 10).number == 0
        sender.join()
        closer = threading.Timer(0.05, sink.close)
        closer.start()
        assert sink.wait_newer(0, 10) is None  # closing ends the wait
        closer.join()


def test_snapshot_is_the_shown_frame_at_full_size_without_viewers():
    size = Size(1280, 720)
    sink = preview.create(preview.Options(width=320), OutputFormat(size, 30))
    stop = threading.Event()

    def show():
        while not stop.wait(0.01):
            if sink.wanted:
                sink.send(frame(colour=(1, 2, 250), size=size))

    thread = threading.Thread(target=show)
    thread.start()
    try:
        image = decode(sink.snapshot(10))
    finally:
        stop.set()
        thread.join()
    assert image.shape == (720, 1280, 3)
    assert image[5, 5].tolist() == [1, 2, 250]
    assert not sink.wanted
    with pytest.raises(SinkError, match="no picture came"):
        sink.snapshot(0.01)


# ---------------------------------------------------------------- null, I420


def test_null_counts_and_refuses_what_a_camera_would_refuse():
    sink = null.create(null.Options(), OUTPUT)
    for seq in range(3):
        sink.send(frame(seq))
    assert sink.written == 3
    with pytest.raises(SinkError, match="640x480 came to an output of 320x240"):
        sink.send(frame(size=Size(640, 480)))
    with pytest.raises(SinkError, match="odd size"):
        null.create(null.Options(), OutputFormat(Size(321, 240), 30))


def test_i420_is_bt601_limited_range_with_u_before_v():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    planes = I420(Size(4, 4))(red)
    assert planes.shape == (6, 4)
    assert abs(int(planes[0, 0]) - 82) <= 1  # the standard's Y, U, V of pure red
    u, v = planes[4:].reshape(2, 4)
    assert abs(int(u[0]) - 90) <= 1
    assert abs(int(v[0]) - 240) <= 1


# ---------------------------------------------------------------- recorder


def frames_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [(float(f.pts * f.time_base), f.to_ndarray(format="rgb24")) for f in container.decode(stream)]


@pytest.mark.parametrize("encoder", ["libx264", "mpeg4"])
def test_a_recording_has_the_pictures_their_times_and_their_colours(tmp_path, encoder):
    sink = recorder.create(recorder.Options(path=str(tmp_path / "a.mp4"), encoder=encoder), OUTPUT)
    assert encoder in sink.detail
    start = now_ns()
    offsets_ms = [0, 33, 80, 100, 150]
    for seq, (ms, colour) in enumerate(
        zip(offsets_ms, np.random.default_rng().integers(40, 216, (5, 3)), strict=True)
    ):
        while now_ns() < start + ms * 1_000_000:
            time.sleep(0.001)
        sent = frame(seq, colour, t_published=start + ms * 1_000_000)
        for _ in range(3):  # a sink at a constant rate repeats frames
            sink.send(sent)
        last = colour
    sink.close()
    sink.close()
    assert (sink.written, sink.dropped) == (5, 0)
    seen = frames_of(sink.path)
    assert [round(t * 1000) for t, _ in seen] == pytest.approx(offsets_ms, abs=1)
    assert np.abs(seen[-1][1].mean(axis=(0, 1)) - last).max() < 8


def test_the_sent_memory_may_be_reused_at_once(tmp_path):
    sink = recorder.create(recorder.Options(path=str(tmp_path / "a.mp4")), OUTPUT)
    sent = frame(0, (220, 220, 220))
    sink.send(sent)
    sent.image[:] = 0
    sink.close()
    assert frames_of(sink.path)[0][1].mean() > 200


def test_a_still_picture_is_written_about_once_a_second_and_lasts_to_the_end(tmp_path):
    sink = recorder.create(recorder.Options(path=str(tmp_path / "a.mp4")), OUTPUT)
    sent = frame()
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        sink.send(sent)
        time.sleep(0.02)
    sink.close()
    times = [t for t, _ in frames_of(sink.path)]
    assert 2 <= len(times) <= 4
    assert times[-1] == pytest.approx(1.5, abs=0.3)


def test_names_are_filled_in_and_never_overwritten(tmp_path):
    when = datetime.datetime(2024, 5, 6, 7, 8, 9)
    template = str(tmp_path / "new" / "talk-%Y-%m-%d-%H%M%S.mp4")
    names = [recorder.free_path(template, when).name for _ in range(3)]
    assert names == [f"talk-2024-05-06-070809{n}.mp4" for n in ("", "-1", "-2")]
    with pytest.raises(SinkError, match="is a folder"):
        recorder.free_path(str(tmp_path), when)
    with pytest.raises(SinkError, match=r"does not end in \.mp4"):
        recorder.free_path(str(tmp_path / "a.xyz"), when)
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot be made"):
        recorder.free_path(str(tmp_path / "file" / "a.mp4"), when)


def test_a_recording_without_pictures_leaves_no_file(tmp_path):
    recorder.create(recorder.Options(path=str(tmp_path / "a.mp4")), OUTPUT).close()
    assert list(tmp_path.iterdir()) == []


def test_a_slow_encoder_loses_pictures_and_counts_them(tmp_path):
    size = Size(1920, 1080)
    options = recorder.Options(path=str(tmp_path / "a.mp4"), queue=1, preset="medium", crf=0)
    sink = recorder.create(options, OutputFormat(size, 30))
    rng = np.random.default_rng()
    image = rng.integers(0, 256, (size.height, size.width, 3), dtype=np.uint8)
    for seq in range(20):
        sink.send(Frame(image, seq, now_ns(), now_ns()))
    sink.close()
    assert sink.dropped > 0
    assert sink.written + sink.dropped in (20, 21)  # the last picture may be written once more at the end


RECORD = """
import resource, signal, sys, time, os
import numpy as np
from pipeline.frame import Frame, Size, now_ns
from pipeline.sink import OutputFormat
from pipeline.sinks import recorder
if "full" in sys.argv:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
sink = recorder.create(recorder.Options(path=sys.argv[1]), OutputFormat(Size(320, 240), 30))
rng = np.random.default_rng()
for seq in range(120):
    image = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    sink.send(Frame(image, seq, now_ns(), now_ns()))
    time.sleep(0.02)
print("sent", flush=True)
time.sleep(60)
"""


def test_a_recording_whose_process_was_killed_plays(tmp_path):
    path = tmp_path / "a.mp4"
    with subprocess.Popen([sys.executable, "-c", RECORD, path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "sent\n"
        process.send_signal(signal.SIGKILL)
    assert len(frames_of(path)) >= 60  # 120 were sent; at most the last second is lost


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on file sizes")
def test_a_full_disk_is_an_error_and_the_file_plays(tmp_path):
    path = tmp_path / "a.mp4"
    ended = subprocess.run(
        [sys.executable, "-c", RECORD, path, "full"], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "pipeline.errors.SinkError: recorder: " in ended.stderr
    assert "cannot be written" in ended.stderr
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).width == 320


_FULL = """
import os, resource, sys, time
import numpy as np
from pipeline.errors import SinkError
from pipeline.frame import Frame, Size, now_ns
from pipeline.sink import OutputFormat
from pipeline.sinks import recorder

resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
picture = np.random.default_rng().integers(0, 255, (48, 64, 3), np.uint8)
held = []
for attempt in range(4):
    sink = recorder.create(recorder.Options(path=sys.argv[1] + "/a.mp4"), OutputFormat(Size(64, 48), 30))
    deadline, failed = time.monotonic() + 20, False
    while not failed and time.monotonic() < deadline:
        try:
            sink.send(Frame(picture, attempt, now_ns(), now_ns()))
        except SinkError as error:
            failed = "cannot be written" in error.message
        time.sleep(0.002)
        picture = picture[::-1].copy()
    assert failed
    sink.close()
    held.append(len(os.listdir("/proc/self/fd")))
print(held)
assert held[1:] == held[:1] * 3, held
assert os.listdir(sys.argv[1]) == [], "empty files are left"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_a_recording_that_cannot_be_written_leaves_neither_descriptors_nor_files(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
