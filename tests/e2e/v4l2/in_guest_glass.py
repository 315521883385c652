"""Glass to glass, by a time written into pixels: a program plays a camera on the second loopback and writes the time
into every picture; an independent reader of the virtual camera reads it back. Runs inside the guest.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.frame import now_ns
from pipeline.pixel_clock import read_time
from tests.e2e.v4l2.in_guest_daemon import Phosphene, Watcher

CAMERA = "/dev/video11"
CONFIG = f"""
source: {{kind: webcam, device: {CAMERA}, width: 640, height: 480}}
sinks: [{{kind: virtual_camera, device: /dev/video10}}]
output: {{size: 640x480, fps: 20}}
web: {{port: 0}}
similarity: {{enabled: false}}
denoiser: {{steadiness: 0.0}}
model: {{size: 160x128}}
style: plain
styles:
  plain: {{prompt: photo, strength: 0}}
"""
_CAMERA = f"""
from pipeline.frame import Frame, Size, now_ns
from pipeline.sink import OutputFormat
from pipeline.sinks import virtual_camera
from pipeline.sources import test_pattern
source = test_pattern.create(test_pattern.Options(width=640, height=480, fps=20, clock=True))
sink = virtual_camera.create(virtual_camera.Options(device="{CAMERA}"), OutputFormat(Size(640, 480), 20))
seq = 0
while picture := source.read():
    sink.send(Frame(picture.image, seq, picture.t_capture, now_ns()))
    seq += 1
"""


def ages_ms(watcher: Watcher, seconds: float) -> list[float]:
    """How old the newest picture is each time one is read, from its own pixels."""
    ages: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        picture = watcher.picture()
        if (written := read_time(picture.astype("uint8"))) is not None:
            ages.append((now_ns() - written) / 1e6)
    return ages


@pytest.mark.parametrize("mode", ["bypass", "styled"])
def test_the_time_in_the_pixels_is_the_latency(tmp_path: Path, mode: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _CAMERA]) as camera:
        phosphene = Phosphene(tmp_path, CONFIG)
        try:
            # A slow guest's painted pictures are "held" most of the time: older than half a second.
            phosphene.wait(lambda s: s["sinks"][0]["showing"] in ("styled", "held"), 120)
            phosphene.submit(command="mode", mode=mode)
            status = phosphene.wait(
                lambda s: s["sinks"][0]["showing"] in ("raw", "styled", "held") and s["mode"] == mode
            )
            with Watcher() as watcher:
                time.sleep(1)
                ages = ages_ms(watcher, 6)
            assert len(ages) > 20, f"{len(ages)} of the pictures had a readable time"
            middle = statistics.median(ages)
            print(
                f"{mode}: glass to glass {middle:.0f} ms, {len(ages)} pictures; the daemon says {status['metrics']}"
            )
            assert 0 < middle < 2000
        finally:
            phosphene.end(seconds=10)
            camera.kill()
