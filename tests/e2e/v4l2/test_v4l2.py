"""Sources and sinks on real V4L2 drivers: each file `in_guest_*.py` runs inside a guest kernel."""

from __future__ import annotations

import pytest

from tests.e2e.v4l2 import guest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.v4l2,
    pytest.mark.timeout(1800),  # the first run compiles a kernel
    pytest.mark.skipif(guest.why_not() is not None, reason=str(guest.why_not())),
]


@pytest.mark.parametrize("loopback", ["0.12", "0.15"])  # 0.13 is what the other tests run on
def test_virtual_camera(loopback):
    assert "passed" in guest.run_tests("in_guest_virtual_camera.py", loopback=loopback)


def test_webcam():
    modules = (guest.VIVID, guest.TWO_LOOPBACKS)
    assert "passed" in guest.run_tests("in_guest_webcam.py", loopback="0.13", modules=modules)


def test_the_whole_program():
    """What it prints: seconds to the first picture, gaps, rates (the guest has one slow processor)."""
    print(guest.run_tests("in_guest_daemon.py", loopback="0.12", test_s=400, timeout_s=1200))


def test_faults_of_camera_readers_and_clock():
    """What it prints is the table (the guest has one slow processor)."""
    modules = (guest.VIVID, guest.TWO_LOOPBACKS)
    print(guest.run_tests("in_guest_faults.py", loopback="0.13", modules=modules, test_s=200, timeout_s=700))


def test_faults_of_the_virtual_camera():
    print(guest.run_tests("in_guest_sink_faults.py", loopback="0.13", modules=(guest.VIVID,), timeout_s=400))


@pytest.mark.parametrize(
    "loopback", ["0.12", "0.15"]
)  # without and with the driver's own word for who streams
def test_on_demand(loopback):
    print(guest.run_tests("in_guest_demand.py", loopback=loopback, test_s=200, timeout_s=500))


def test_glass_to_glass():
    modules = (guest.VIVID, guest.TWO_LOOPBACKS)
    print(guest.run_tests("in_guest_glass.py", loopback="0.13", modules=modules, test_s=300, timeout_s=700))
