"""The fault table on real drivers: camera, fallback, clock and readers, before an independent reader of /dev/video10.

Runs inside the guest (test_v4l2.py starts it); FAULT_TIMES injects each fault so often.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pipeline.sources.test_pattern import BARS
from tests.faults import camera_faults, campaign
from tests.faults.viewer import LoopbackViewer, is_slate
from tests.running import Daemon

TIMES = int(os.environ.get("FAULT_TIMES", "1"))
OUT = "/dev/video10"
SLOW_GUEST_S = 0.5
"""One slow processor for daemon, reader and tests."""
PATIENCE = 5.0
"""Times that a recovery may take longer than the promised 3 s there, beside whatever else the machine does."""
CONFIG = f"""
source: {{kind: webcam, device: vivid, fallback: [Second Camera], width: 320, height: 180}}
sinks: [{{kind: virtual_camera, device: {OUT}}}]
output: {{size: 640x360, fps: 20}}
web: {{port: 0}}
similarity: {{enabled: false}}
model: {{size: 96x64}}
"""

outcomes: list[campaign.Outcome] = []


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[campaign.Scene]:
    home = tmp_path_factory.mktemp("home")
    with Daemon(home) as daemon, camera_faults.holding("vivid") as other:  # the camera is busy at start
        (home / "config" / "phosphene").mkdir()
        (home / "config" / "phosphene" / "config.yaml").write_text(CONFIG)
        daemon.start()
        with LoopbackViewer(OUT, camera_faults.BARS, BARS) as viewer:
            made = campaign.Scene(daemon, viewer, gap_floor_s=SLOW_GUEST_S, patience=PATIENCE)
            made.kept["other"] = other
            yield made
        print("\n" + campaign.table(outcomes))
        assert daemon.end() == 0


def test_a_camera_that_another_program_holds_is_taken_when_it_is_free(scene):
    other = scene.kept.pop("other")
    scene.wait(lambda s: "in use by" in (s["source"]["error"] or ""), 60, "the holder is named")
    assert f"pid {other.pid}" in scene.status()["source"]["error"]
    assert is_slate(scene.viewer.picture())
    other.kill()
    other.wait()
    took = scene.wait(lambda s: s["source"]["status"] == "open", 10, "opened")
    scene.painting(120)
    outcomes.append(
        campaign.Outcome("camera held by another program, then freed", scene.viewer.longest_gap_s, took, 0)
    )
    assert took < 3.0 * PATIENCE


@pytest.mark.parametrize("fault", camera_faults.FAULTS * TIMES, ids=lambda fault: fault.name)
def test_a_fault_of_the_camera_or_the_clock(scene, fault):
    outcome = campaign.inject(scene, fault)
    outcomes.append(outcome)
    assert outcome.wrong == []


def test_the_fallback_takes_over_and_may_change_its_size(scene):
    scene.painting()
    with camera_faults.fed("640", "480"):
        scene.viewer.mark()
        camera_faults.unplug(scene)
        began = time.monotonic()
        scene.wait(lambda s: "Second Camera" in s["source"]["name"], 10, "the fallback")
        scene.painting()
        took = time.monotonic() - began
        outcomes.append(
            campaign.Outcome(
                "camera unplugged, the next of `fallback` taken",
                scene.viewer.longest_gap_s,
                took,
                scene.viewer.raw,
            )
        )
    with camera_faults.fed("320", "240"):
        began = time.monotonic()  # from its first picture of the new size
        scene.wait(lambda s: "320x240" in s["source"]["detail"], 10, "the new size")
        scene.painting()
        took_again = time.monotonic() - began
        outcomes.append(
            campaign.Outcome(
                "camera changes its size and rate", scene.viewer.longest_gap_s, took_again, scene.viewer.raw
            )
        )
        camera_faults.plug_in(scene)
    scene.wait(lambda s: s["source"]["name"] == "vivid", 10, "back to the first")
    scene.painting()
    assert scene.viewer.raw == 0
    assert took < 3.0 * PATIENCE
    assert took_again < 3.0 * PATIENCE
    assert scene.viewer.longest_gap_s < SLOW_GUEST_S


def test_fifty_readers_come_and_go(scene):
    scene.painting()
    before = scene.status()["sinks"][0]
    code = (
        "import cv2\n"
        "for n in range(50):\n"
        f"    c = cv2.VideoCapture({OUT!r}, cv2.CAP_V4L2)\n"
        "    assert c.isOpened() and c.read()[0], n\n"
        "    c.release()\n"
    )
    with scene.viewer.away():
        subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    scene.painting()
    after = scene.status()["sinks"][0]
    assert after["status"] == "open"
    assert after["sent"] > before["sent"]
    assert not [
        line for line in scene.daemon.output.splitlines() if "virtual_camera" in line and "WARN" in line
    ]
