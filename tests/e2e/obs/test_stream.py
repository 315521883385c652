"""OBS shows the daemon's stream: the very picture, and fresh."""

from __future__ import annotations

import base64
import io
import statistics
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon import places
from integrations.obs.errors import RefusedRequestError
from integrations.web.auth import StreamKey
from pipeline.frame import Frame, Size, now_ns
from pipeline.messages import Mode, SetMode
from pipeline.pixel_clock import read_time, write_time
from pipeline.sink import OutputFormat
from pipeline.sinks.preview import Options, create
from tests.e2e.obs.running_daemon import until

sys.path.insert(0, str(Path(__file__).parents[1]))

pytestmark = pytest.mark.e2e

LOW_LATENCY = {
    "is_local_file": False,
    "input_format": "mjpeg",
    "ffmpeg_options": "framerate=60 fflags=nobuffer flags=low_delay probesize=32768 analyzeduration=0",
    "reconnect_delay_sec": 1,
    "restart_on_activate": False,
    "close_when_inactive": False,
    "clear_on_media_end": False,
    "hw_decode": False,
}


def show(desk, address):
    desk.make("Plain", "Phosphene", "ffmpeg_source", {**LOW_LATENCY, "input": address})


def screenshot(desk, source="Phosphene"):
    """HWC RGB uint8 of what OBS has; None until it has a picture."""
    try:
        answer = desk.ask("GetSourceScreenshot", sourceName=source, imageFormat="png")
    except RefusedRequestError:
        return None
    picture = Image.open(io.BytesIO(base64.b64decode(answer["imageData"].split(",", 1)[1])))
    return np.asarray(picture.convert("RGB"))


def test_it_is_the_picture_of_the_preview(daemon, desk):
    key = StreamKey(places.stream_key_file()).value
    show(desk, f"{daemon.host.address}/stream.jpegs?key={key}")
    until(lambda: (found := screenshot(desk)) is not None and found.any(), 10.0)
    daemon.submit(SetMode(Mode.FREEZE))
    time.sleep(1.5)
    wanted = np.asarray(Image.open(io.BytesIO(daemon.host.preview.snapshot())).convert("RGB"))
    shown = screenshot(desk)
    assert shown.shape == wanted.shape
    error = np.abs(shown.astype(int) - wanted).mean()
    print(f"mean difference {error:.2f} grey levels")
    assert error < 6.0, "more than JPEG and colour conversion cost"
    assert np.abs(wanted.astype(int) - wanted.mean((0, 1))).mean() > 20, "a picture, not a plain card"
    daemon.submit(SetMode(Mode.STYLED))


class Clock(threading.Thread):
    """In place of the fake daemon's painter: pictures with the time in them, 30 a second."""

    def __init__(self, control):
        super().__init__(daemon=True)
        self.preview = create(Options(), OutputFormat(Size(640, 360), 30.0))
        self.halt = threading.Event()

    def stop(self):
        self.halt.set()

    def run(self):
        image, number, due = np.full((360, 640, 3), 90, np.uint8), 0, time.monotonic()
        while not self.halt.wait(max(0.0, due - time.monotonic())):
            due, number = due + 1 / 30, number + 1
            image[100:, :] = number % 200
            now = now_ns()
            write_time(image, now)
            self.preview.send(Frame(image, number, now, now, 1))


def test_it_is_fresh(desk, monkeypatch):
    import fake_daemon

    monkeypatch.setattr(fake_daemon, "Painter", Clock)
    with fake_daemon.FakeDaemon() as server:
        show(desk, f"{server.address}/stream.jpegs?key={server.key.value}")
        until(lambda: (found := screenshot(desk)) is not None and read_time(found) is not None, 10.0)
        ages = []
        begin = time.monotonic()
        while len(ages) < 31 or time.monotonic() < begin + 6.0:
            assert time.monotonic() < begin + 60, f"{len(ages)} screenshots showed a time"
            now = now_ns()
            if (written := read_time(screenshot(desk))) is not None:
                ages.append((now - written) / 1e6)
            time.sleep(0.05)
        first, last = ages[: len(ages) // 3], ages[-len(ages) // 3 :]
        p50 = statistics.median(ages)
        print(
            f"age p50 {p50:.0f} ms, first third {statistics.median(first):.0f}, last {statistics.median(last):.0f}"
        )
        assert p50 <= 500, "70 on a machine that does nothing else"
        assert statistics.median(last) < statistics.median(first) + 200, "it drifts"
