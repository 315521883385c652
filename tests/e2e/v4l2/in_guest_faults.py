"""The fault table on real drivers: camera, virtual camera, disk and clock, before an independent reader of
/dev/video10. Runs inside the guest (test_v4l2.py starts it); FAULT_TIMES injects each fault so often.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tests.faults import camera_faults, campaign
from tests.faults.viewer import LoopbackViewer, is_slate
from tests.running import Daemon

TIMES = int(os.environ.get("FAULT_TIMES", "1"))
OUT = "/dev/video10"
SLOW_GUEST_S = 0.5
"""One slow processor for daemon, reader and tests."""
CONFIG = f"""
source: {{kind: webcam, device: vivid-000, width: 320, height: 180}}
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
    with Daemon(home) as daemon:
        (home / "config" / "phosphene").mkdir()
        (home / "config" / "phosphene" / "config.yaml").write_text(CONFIG)
        other = camera_faults.hold_camera("vivid-000")  # the camera is busy at start
        daemon.start()
        with LoopbackViewer(OUT, camera_faults.BARS) as viewer:
            made = campaign.Scene(daemon, viewer, gap_floor_s=SLOW_GUEST_S)
            made.kept["other"] = other
            yield made
            print("\n" + campaign.table(outcomes))
            assert daemon.end() == 0


def test_a_camera_that_another_program_holds_is_taken_when_it_is_free(scene):
    other = scene.kept.pop("other")
    scene.wait(lambda s: "in use by" in (s["source"]["error"] or ""), 60, "the holder is named")
    assert f"pid {other.pid}" in scene.status()["source"]["error"]
    assert is_slate(scene.viewer.picture())
    freed = camera_faults.free_camera(other)
    scene.wait(lambda s: s["source"]["status"] == "open", 10, "opened")
    took = time.monotonic() - freed
    assert took < 3.0
    scene.painting(120)
    outcomes.append(
        campaign.Outcome("camera held by another program, then freed", scene.viewer.longest_gap_s, took, 0)
    )


@pytest.mark.parametrize("fault", camera_faults.FAULTS * TIMES, ids=lambda fault: fault.name)
def test_a_fault_of_the_camera(scene, fault):
    outcome = campaign.inject(scene, fault)
    outcomes.append(outcome)
    assert outcome.wrong == []
