"""Global hotkeys for real: an X server and xdotool's key presses; the portal's side of a private session bus."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from daemon.bank.live import StyleBank
from daemon.control import ControlHub
from daemon.integration_threads import IntegrationThreads
from daemon.settings import load
from integrations.bank import AddStyle, EditStyle
from pipeline.messages import Mode
from tests.x_server import Screen

sys.path.insert(0, str(Path(__file__).parent))

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.environ.get("PHOSPHENE_E2E") != "1", reason="PHOSPHENE_E2E=1 switches it on"),
    pytest.mark.skipif(sys.platform != "linux", reason="X11 and D-Bus"),
]

CONFIG = """
styles:
  ink: {prompt: pencil sketch}
  heat: {prompt: thermal camera, hotkey: ctrl+alt+h}
style: ink
playlist: {items: [heat for 10s]}
"""


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


class Running:
    """The real hub, bank and supervisor of integrations over a configuration of its own."""

    def __init__(self, folder: Path, keys: str) -> None:
        path = folder / "config.yaml"
        path.write_text(CONFIG + keys)
        self.hub = ControlHub(load({}, path, environment={}))
        self.bank = StyleBank(self.hub)
        self.threads = IntegrationThreads(self.hub.settings, self.hub, self.hub.emit)
        self.hub.on_settings(lambda settings, _: self.threads.adopt(settings))
        self._end = threading.Event()
        self._ticker = threading.Thread(target=self._tick)
        self._ticker.start()

    def _tick(self):
        while not self._end.wait(0.05):
            self.threads.watch()

    def status(self):
        return self.threads.status()["hotkeys"]

    def until(self, true, seconds=10.0):
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, (self.status(), self.hub.state)
            time.sleep(0.02)

    def listening(self, keys):
        self.until(lambda: self.status()["status"] == "listening" and len(self.status()["keys"]) == keys)
        time.sleep(0.1)
        return self.status()

    def close(self):
        self._end.set()
        self._ticker.join()
        self.threads.ask_to_end()
        began = time.monotonic()
        self.threads.join(3)
        assert time.monotonic() - began < 1.5, "a key thread did not end in time"
        self.hub.close()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    for name in ("WAYLAND_DISPLAY", "XDG_SESSION_TYPE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


# ---------------------------------------------------------------- X11


@pytest.fixture(scope="module")
def x_server():
    need("Xvfb", "xdotool")
    screen = Screen()
    screen.start()
    yield screen.name
    screen.kill()


@pytest.fixture
def press(x_server, monkeypatch):
    monkeypatch.setenv("DISPLAY", x_server)

    def press(keys):
        subprocess.run(["xdotool", "key", "--clearmodifiers", keys], check=True, timeout=20)

    return press


def test_keys_change_the_style_and_panic_works(folders, press):
    pytest.importorskip("Xlib")
    running = Running(folders, "hotkeys: {keys: {ctrl+alt+p: panic, ctrl+alt+r: resume, f9: next}}\n")
    try:
        status = running.listening(4)
        assert status["error"] is None
        assert "X11 display" in status["detail"]
        press("ctrl+alt+h")
        running.until(lambda: running.hub.state.style.name == "heat")
        press("ctrl+alt+p")
        running.until(lambda: running.hub.state.mode is Mode.PANIC)
        press("ctrl+alt+h")  # a style does not leave panic
        time.sleep(0.2)
        assert running.hub.state.mode is Mode.PANIC
        press("ctrl+alt+r")
        running.until(lambda: running.hub.state.mode is Mode.STYLED)
        before = running.hub.state.style.name
        press("F9")
        running.until(lambda: running.hub.state.style.name != before)
        revision = running.hub.state.revision
        press("ctrl+h")  # not ours: one modifier is missing
        press("h")
        time.sleep(0.3)
        assert running.hub.state.revision == revision
    finally:
        running.close()


def test_locks_do_not_hide_a_key(folders, press):
    pytest.importorskip("Xlib")
    running = Running(folders, "")
    try:
        running.listening(1)
        press("Num_Lock")
        press("Caps_Lock")
        press("ctrl+alt+h")
        running.until(lambda: running.hub.state.style.name == "heat")
    finally:
        press("Caps_Lock")
        press("Num_Lock")
        running.close()


def test_a_new_style_s_key_works_at_once_and_an_old_one_no_longer(folders, press):
    pytest.importorskip("Xlib")
    running = Running(folders, "")
    try:
        running.listening(1)
        running.bank.change(AddStyle("dusk", {"prompt": "x", "hotkey": "ctrl+alt+d"}), "test")
        running.listening(2)
        press("ctrl+alt+d")
        running.until(lambda: running.hub.state.style.name == "dusk")
        running.bank.change(EditStyle("heat", {"hotkey": ""}), "test")
        running.listening(1)
        press("ctrl+alt+h")
        time.sleep(0.3)
        assert running.hub.state.style.name == "dusk"
    finally:
        running.close()


def test_conflicts_are_said_in_words(folders, press, x_server):
    Xlib = pytest.importorskip("Xlib")
    from Xlib import X, display

    other = display.Display(x_server)  # another program that has the key already
    code = other.keysym_to_keycode(Xlib.XK.string_to_keysym("h"))
    other.screen().root.grab_key(code, X.ControlMask | X.Mod1Mask, False, X.GrabModeAsync, X.GrabModeAsync)
    other.sync()
    running = Running(folders, "hotkeys: {keys: {ctrl+alt+n: next}}\n")
    try:
        running.bank.change(AddStyle("dusk", {"prompt": "x", "hotkey": "ctrl+alt+n"}), "test")
        status = running.listening(2)
        assert "ctrl+alt+h: another program has grabbed it" in status["error"]
        assert any("'dusk' does not get it" in said for said in status["conflicts"])
        press("ctrl+alt+n")  # the others work
        running.until(lambda: running.hub.state.style.name != "ink")
        other.screen().root.ungrab_key(code, X.ControlMask | X.Mod1Mask)
        other.sync()
    finally:
        other.close()
        running.close()


def test_the_listener_of_other_systems_hears_the_same_keys(folders, press):
    pytest.importorskip("pynput", reason="on Linux it is installed by hand")
    running = Running(folders, "hotkeys: {backend: pynput, keys: {ctrl+alt+p: panic}}\n")
    try:
        running.listening(2)
        press("ctrl+alt+h")
        running.until(lambda: running.hub.state.style.name == "heat")
        press("ctrl+alt+p")
        running.until(lambda: running.hub.state.mode is Mode.PANIC)
    finally:
        running.close()
        press("shift")  # on X11 pynput's own thread sees that it was stopped with the next key


def test_without_a_desktop_it_says_what_to_do(folders, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    running = Running(folders, "")
    try:
        running.until(lambda: running.status()["status"] == "failed")
        assert "no desktop session" in running.status()["error"]
        assert "docs/hotkeys.md" in running.status()["mend"]
    finally:
        running.close()


# ---------------------------------------------------------------- Wayland's portal


@pytest.fixture
def bus(tmp_path, monkeypatch):
    need("dbus-daemon")
    pytest.importorskip("jeepney")
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address", f"--address=unix:path={tmp_path}/bus"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    address = daemon.stdout.readline().strip()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-test")
    yield address
    daemon.terminate()
    daemon.wait()
    daemon.stdout.close()


def test_the_portal_s_keys_change_the_style(folders, bus):
    from fake_portal import FakePortal

    with FakePortal(bus) as portal:
        running = Running(folders, "hotkeys: {keys: {ctrl+alt+p: panic}}\n")
        try:
            status = running.listening(2)
            assert "GlobalShortcuts portal, version 1" in status["detail"]
            assert portal.bound["ctrl+alt+h"] == ("Phosphene: style heat", "CTRL+ALT+h")
            portal.activate("ctrl+alt+h")
            running.until(lambda: running.hub.state.style.name == "heat")
            portal.activate("ctrl+alt+p")
            running.until(lambda: running.hub.state.mode is Mode.PANIC)
            sessions = len(portal.closed)
            running.bank.change(AddStyle("dusk", {"prompt": "x", "hotkey": "super+d"}), "test")
            running.listening(3)
            assert len(portal.closed) == sessions + 1, "other keys need another session"
            assert portal.bound["super+d"][1] == "LOGO+d"
            portal.activate("super+d")
            running.until(lambda: running.hub.state.style.name == "dusk")
        finally:
            running.close()
        assert portal.closed[-1] == portal.session


def test_what_the_desktop_does_not_give_is_said(folders, bus):
    from fake_portal import FakePortal

    with FakePortal(bus, gives=["ctrl+alt+p"]):
        running = Running(folders, "hotkeys: {keys: {ctrl+alt+p: panic}}\n")
        try:
            assert "ctrl+alt+h: the desktop did not give it" in running.listening(2)["error"]
        finally:
            running.close()


def test_a_refusal_by_the_desktop_s_user_is_said(folders, bus):
    from fake_portal import FakePortal

    with FakePortal(bus, refuses=True):
        running = Running(folders, "")
        try:
            running.until(lambda: running.status()["status"] == "failed")
            assert "refused by the desktop's user" in running.status()["error"]
        finally:
            running.close()


def test_a_desktop_without_the_portal_is_told_how_to_bind_keys(folders, bus):
    running = Running(folders, "")
    try:
        running.until(lambda: running.status()["status"] == "failed")
        assert "no GlobalShortcuts portal" in running.status()["error"]
        assert "docs/hotkeys.md" in running.status()["mend"]
    finally:
        running.close()
