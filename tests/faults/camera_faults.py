"""Faults of a real camera driver, in the guest kernel: vivid on /dev/video0, a second one beside it as the fallback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.campaign import Act, Fault, Scene
from tests.faults.process_faults import wait

VIVID = Path("/sys/bus/platform/drivers/vivid")
_PURE = ((1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1))
BARS = tuple((190 * r, 190 * g, 190 * b) for r, g, b in _PURE)
"""vivid's 75 % colour bars, but for white and black."""


def unplug(scene: Scene) -> None:
    (VIVID / "unbind").write_text("vivid.0")


def plug_in(scene: Scene) -> None:
    (VIVID / "bind").write_text("vivid.0")


def path_of(scene: Scene) -> str:
    """Where the camera is now: a replug may have given it another number."""
    found = re.search(r"/dev/video\d+", scene.status()["source"]["detail"])
    assert found is not None, scene.status()["source"]
    return found[0]


def control(name: str, value: int, *, keep: bool = True) -> Act:
    def act(scene: Scene) -> None:
        scene.kept["path"] = path = path_of(scene) if keep else scene.kept["path"]
        subprocess.run(["v4l2-ctl", "-d", path, "-c", f"{name}={value}"], check=True, capture_output=True)

    return act


def source_is(pattern: str, seconds: float = 15) -> Act:
    def act(scene: Scene) -> None:
        scene.wait(lambda s: re.search(pattern, s["source"]["status"]), seconds, f"source {pattern}")

    return act


FAULTS = (
    Fault("nothing, for comparison", wait(5)),
    Fault("camera unplugged and plugged in again", unplug, "unplugged|no camera", plug_in, hold=wait(3)),
    Fault("camera disconnects, its node stays", control("disconnect", 1), "webcam", in_status=False),
    Fault(
        "camera stops delivering", control("percentage_of_dropped_buffers", 100), "given no picture",
        control("percentage_of_dropped_buffers", 0, keep=False), hold=wait(4),
    ),
    Fault(
        "camera drops 90 % of its pictures", control("percentage_of_dropped_buffers", 90),
        r"of \d+ pictures a second", control("percentage_of_dropped_buffers", 0), within_s=3.0,
    ),
    Fault(
        "camera delivers an error", control("inject_fatal_streaming_error", 1), "webcam", in_status=False
    ),
)  # fmt: skip


def hold_camera(device: str) -> subprocess.Popen[str]:
    """Another program that uses the camera; returns once it has a picture."""
    code = (
        "import sys; from pipeline.sources import webcam\n"
        f"s = webcam.create(webcam.Options(device={device!r}, width=320, height=180))\n"
        "s.read(); print(1, flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert other.stdout is not None
    assert other.stdout.readline()
    return other


def free_camera(other: subprocess.Popen[str]) -> float:
    """When it was let go."""
    other.kill()
    other.wait()
    return time.monotonic()
