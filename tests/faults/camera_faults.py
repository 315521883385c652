"""Faults of a real camera driver, in the guest kernel: vivid on /dev/video0, a second one beside it as the fallback."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
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


def jump(seconds: int) -> Act:
    """The wall clock, not the monotonic one."""

    def act(scene: Scene) -> None:
        time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)

    return act


def reopened(scene: Scene) -> None:
    """Wait until the silent camera has been opened anew, by a new process: where that takes long (one slow processor),
    its start would be counted as the camera's recovery."""
    scene.wait(lambda s: s["source"]["status"] == "open", 60, "the silent camera is opened again")


FAULTS = (
    Fault("nothing, for comparison", wait(5)),
    Fault("clock jumps a day ahead", jump(86_400), mend=wait(3)),
    Fault("clock jumps two days back", jump(-2 * 86_400), mend=wait(3)),
    Fault("camera unplugged and plugged in again", unplug, "unplugged|no camera", plug_in, hold=wait(3)),
    Fault("camera disconnects, its node stays", control("disconnect", 1), "webcam", in_status=False),
    Fault(
        "camera stops delivering", control("percentage_of_dropped_buffers", 100), "given no picture",
        control("percentage_of_dropped_buffers", 0, keep=False), hold=reopened,
    ),
    Fault(
        "camera drops 90 % of its pictures", control("percentage_of_dropped_buffers", 90),
        r"of \d+ pictures a second", control("percentage_of_dropped_buffers", 0), within_s=3.0,
    ),
    Fault(
        "camera delivers an error", control("inject_fatal_streaming_error", 1), "webcam", in_status=False
    ),
)  # fmt: skip


@contextlib.contextmanager
def holding(device: str) -> Iterator[subprocess.Popen[str]]:
    """Another program that uses the camera; entered once it has a picture."""
    code = (
        "import sys; from pipeline.sources import webcam\n"
        f"s = webcam.create(webcam.Options(device={device!r}, width=320, height=180))\n"
        "s.read(); print(1, flush=True); sys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline()
            yield other
        finally:
            other.kill()


@contextlib.contextmanager
def fed(width: str, height: str) -> Iterator[None]:
    """A second camera: the test pattern, through the second loopback. While its reader still waits for the pictures
    of another size, the driver takes none of this one: tried until it does."""
    argv = [sys.executable, "-m", "tests.e2e.v4l2.feeder", width, height]
    deadline = time.monotonic() + 20
    while True:
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as feeder:
            try:
                assert feeder.stdout is not None
                if "I420" in feeder.stdout.readline():
                    yield
                    return
                assert time.monotonic() < deadline, "the second camera cannot be fed"
            finally:
                feeder.kill()
