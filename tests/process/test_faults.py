"""Faults injected for real into a running daemon, each judged by an independent viewer (see `tests.faults`).

`python -m benchmarks.faults` injects all of them, many times; here are the ones that differ most.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator

import pytest

from pipeline.sources.test_pattern import BARS
from tests.faults import campaign, fake_logind, front_ends, front_faults, process_faults, scenes
from tests.faults.viewer import is_slate, shows_bars
from tests.running import alive

NAMES = (
    "capture killed (SIGKILL)",
    "capture stopped (SIGSTOP)",
    "NaN for a second",
    "engine out of memory",
    "host stopped for 3 s (SIGSTOP, SIGCONT)",
)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
    free.bind(("127.0.0.1", 0))
    OSC_PORT = free.getsockname()[1]
BUSY_S, BUSY = 0.5, 3.0
"""A gap that a machine full of other tests may cause, and how much slower it may be; `benchmarks/faults.py` judges by
the table's own bounds."""


@pytest.fixture(scope="module")
def logind() -> Iterator[fake_logind.FakeLogind | None]:
    if shutil.which("dbus-daemon") is None:
        yield None
        return
    with fake_logind.private_bus() as address:
        made = fake_logind.FakeLogind(address)
        yield made
        made.close()


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, logind: fake_logind.FakeLogind | None
) -> Iterator[campaign.Scene]:
    home = tmp_path_factory.mktemp("faults") / "home"
    bus = logind.address if logind else "unix:path=/nonexistent"
    hanging = ("--sink", f"hanging:{home / 'faults' / 'device'}")
    osc = {"PHOSPHENE_OSC__ENABLED": "true", "PHOSPHENE_OSC__PORT": str(OSC_PORT)}
    with scenes.painted_bars(home, *hanging, DBUS_SYSTEM_BUS_ADDRESS=bus, **osc) as made:
        made.gap_floor_s, made.patience = BUSY_S, BUSY
        yield made


@pytest.fixture(autouse=True)
def _as_at_first(scene):
    """Whatever the test before has left."""
    front_faults.config_of(scene).unlink(missing_ok=True)
    scene.daemon.submit(command="mode", mode="styled")


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_goes_on_and_the_cause_is_named(scene, name):
    (fault,) = [fault for fault in process_faults.FAULTS if fault.name == name]
    outcome = campaign.inject(scene, fault)
    print(campaign.table([outcome]))
    assert outcome.wrong == []


def test_the_camera_is_closed_before_the_computer_sleeps_and_opened_after(scene, logind):
    if logind is None:
        pytest.skip("a bus of its own needs dbus-daemon")
    scene.painting()
    assert logind.asked[-1][0] == "sleep"
    assert logind.asked[-1][3] == "delay"
    locks = len(logind.locks)
    logind.say(sleeps=True)
    assert logind.let_go(3.0), "the computer may not sleep"
    assert scene.status()["source"]["status"] == "asleep"
    logind.say(sleeps=False)
    scene.painting(5)
    assert scene.viewer.raw == 0
    assert len(logind.locks) == locks + 1, "ready for the next one"


def test_panic_is_seen_within_a_frame_even_while_the_denoiser_hangs_and_is_left_by_an_explicit_act(scene):
    scene.painting()
    process_faults.counted("engine", process_faults.inside("hang 1000"))(scene)
    scene.viewer.mark()
    camera = scene.status()["processes"]["capture"]
    took = scene.viewer.until_slate_after(lambda: scene.daemon.submit(command="mode", mode="panic"))
    print(f"panic seen after {took * 1e3:.0f} ms")
    assert took < 1 / 30 + BUSY_S
    scene.wait(lambda s: s["processes"]["capture"] is None, 2, "the camera's process is gone")
    assert not alive(camera)
    for command in ({"command": "style", "name": "neon"}, {"command": "undo"}, {"command": "step", "by": 1}):
        scene.daemon.submit(**command)
    process_faults.restarted("engine")(scene)
    scene.wait(lambda s: s["engine"]["status"] == "ready", 90, "a new engine")
    assert scene.status()["mode"] == "panic"
    assert is_slate(scene.viewer.picture())
    assert scene.viewer.total == scene.viewer.slates + scene.viewer.before_slate
    scene.daemon.submit(command="mode", mode="styled")
    scene.painting(30)
    assert scene.viewer.raw == 0


@pytest.mark.parametrize("front", sorted(front_ends.PANIC))
def test_panic_is_seen_within_a_frame_from_every_front_end(scene, front):
    """Hotkeys, MIDI and OBS give the same command; their own tests press them."""
    scene.painting()
    spent = 0.0

    def press() -> None:
        nonlocal spent
        began = time.monotonic()
        front_ends.PANIC[front](scene.daemon, OSC_PORT)
        spent = time.monotonic() - began  # a command line first starts Python

    took = scene.viewer.until_slate_after(press)
    print(f"panic over {front}: card {took * 1e3:.0f} ms after it began, which took {spent * 1e3:.0f} ms")
    assert took - spent < 1 / 30 + BUSY_S
    scene.wait(lambda s: s["processes"]["capture"] is None, 3, "the camera's process is gone")
    scene.daemon.submit(command="mode", mode="styled")
    scene.painting(30)
    assert scene.viewer.raw == 0


def test_after_a_fault_a_viewer_gets_what_was_chosen_and_nothing_else(scene):
    scene.painting()
    front_faults.configured("hold_s: 0.3\non_fault: raw\n")(scene)
    process_faults.inside("hang 1000")(scene)
    scene.viewer.until(lambda picture: shows_bars(picture, BARS), 8)
    front_faults.configured("hold_s: 0.3\non_fault: blur\n")(scene)
    scene.viewer.until(lambda picture: not shows_bars(picture, BARS) and not is_slate(picture), 8)
    front_faults.configured("hold_s: 0.3\n")(scene)
    scene.viewer.until(is_slate, 8)
    scene.viewer.mark()
    front_faults.configured(front_faults.GOOD)(scene)
    scene.painting()
    assert scene.viewer.raw == 0


def test_what_is_given_up_says_so_and_comes_back_when_asked(scene):
    scene.painting()
    for _ in range(30):
        if scene.status()["source"]["status"] == "given up":
            break
        process_faults.counted("source", process_faults.kill_now("capture"))(scene)
        process_faults.restarted("source")(scene)
    status = scene.status()
    assert status["source"]["status"] == "given up"
    assert "phosphene resume" in status["source"]["mend"]
    assert scene.said(0, "failed too often and was given up")
    scene.viewer.until(lambda picture: campaign.is_slate(picture), 10)
    scene.daemon.submit(command="mode", mode="styled")
    scene.painting(10)


def test_a_hanging_device_stops_neither_the_other_sinks_nor_the_exit(scene):
    scene.painting()
    (scene.daemon.home / "faults" / "device").touch()
    scene.viewer.mark()
    scene.wait(lambda s: s["sinks"][1]["status"] == "stuck", 15, "said")
    deadline = time.monotonic() + 5  # the event follows with the host's next look
    while not scene.said(0, "hanging: the device has taken no picture for 5 s"):
        assert time.monotonic() < deadline, scene.daemon.output[-2000:]
        time.sleep(0.05)
    assert scene.status()["sinks"][0]["status"] == "open"
    assert scene.viewer.longest_gap_s < BUSY_S
    assert scene.daemon.end(seconds=5) == 0
