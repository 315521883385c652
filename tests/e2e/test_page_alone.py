"""What the real daemon does not show on demand: faults, no token, every screen. On `fake_daemon.py`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from pipeline.messages import Event
from tests.e2e.browser import Keys, needs_chromium, until

sys.path.insert(0, str(Path(__file__).parent))

from fake_daemon import FakeDaemon

pytestmark = [pytest.mark.e2e, needs_chromium]


class FakeLearn:
    """`integrations.web.midi_api.Learn` with a controller that the test moves."""

    def __init__(self):
        self.enabled, self.bound, self.target, self.learning = True, {}, None, False

    def facts(self):
        status = {"status": "listening", "detail": "nanoKONTROL2"} if self.enabled else {"status": "off"}
        return {**status, "enabled": self.enabled, "bind": dict(self.bound), "learning": self.learning}

    def start(self, target, origin):
        self.target, self.learning = target, True

    def stop(self):
        self.learning = False

    def bind(self, control, target, origin):
        self.bound = {k: v for k, v in {**self.bound, control: target}.items() if v is not None}

    def move(self, control, hub):
        self.learning = False
        self.bind(control, self.target, "test")
        hub.emit(Event("midi", f"MIDI: {control} moved", {"control": control, "target": self.target}))


LEARN = FakeLearn()


@pytest.fixture(scope="module")
def daemon():
    with FakeDaemon(parts={"midi": LEARN}) as running:
        yield running


@pytest.fixture
def page(browser, daemon):
    daemon.control.overrides = {}
    browser.shape(1440, 900)
    browser.open(daemon.address, f"#token={daemon.token}")
    until(browser.is_live)
    until(lambda: len(browser.all(".slider")) >= 3)
    yield browser
    assert browser.console() == []


def test_a_hidden_tab_costs_the_daemon_nothing(page, daemon):
    assert daemon.painter.preview.viewers == 1
    page.driver.switch_to.new_window("tab")
    try:
        until(lambda: daemon.painter.preview.viewers == 0)
    finally:
        page.driver.close()
        page.driver.switch_to.window(page.driver.window_handles[0])
    until(lambda: daemon.painter.preview.viewers == 1)
    page.console()


@pytest.mark.parametrize("fragment", ["", "#token=wrong-token-wrong-token"])
def test_without_its_token_the_page_asks_for_it(browser, daemon, fragment):
    browser.shape(1440, 900)
    browser.driver.get("about:blank")
    browser.driver.execute_cdp_cmd(
        "Storage.clearDataForOrigin", {"origin": daemon.address, "storageTypes": "all"}
    )
    browser.open(daemon.address, fragment)
    until(lambda: browser.shown("#gate"))
    assert not browser.is_live()
    assert browser.faults() == []
    browser.keep("gate")
    browser.find("#token").send_keys(daemon.token, Keys.ENTER)
    until(browser.is_live)
    assert browser.console() == []


def test_what_is_wrong_is_said_in_words(page, daemon):
    until(lambda: "There is no virtual camera device." in page.text("#route"))
    assert "modprobe" in page.text("#route")
    error = "The camera was unplugged."
    source = {
        "kind": "webcam",
        "name": "Logitech C920",
        "status": "failed",
        "error": error,
        "mend": "Plug it in.",
    }
    engine = {"status": "restarting", "message": "it ran out of memory", "model": "builtin"}
    obs = {
        "status": "failed",
        "detail": "",
        "error": "OBS refused the password.",
        "mend": "Set `obs.password`.",
    }
    integrations = {"obs": obs, "hotkeys": {"status": "off"}}
    daemon.control.overrides = {"source": source, "engine": engine, "integrations": integrations}
    until(lambda: error in page.text("#route") and "Plug it in." in page.text("#route"))
    assert "ran out of memory" in page.text("#engine")
    until(lambda: "OBS refused the password." in page.text("#integrations"))
    assert "obs.password" in page.text("#integrations")
    assert "hotkeys: {enabled: true}" in page.text("#integrations")
    page.keep("faults")
    page.js("document.getElementById('integrations').scrollIntoView()")
    page.keep("faults-below")
    assert page.faults() == []
    nothing = ("source", "sinks", "engine", "metrics", "uptime_s", "integrations")
    daemon.control.overrides = dict.fromkeys(nothing)
    until(lambda: error not in page.text("#route"))
    page.click('[data-style="neon"]')
    until(lambda: "Style neon" in page.text("#log"))


def test_a_refused_command_is_told(page, daemon):
    page.click('[data-style="oil"]')
    until(lambda: daemon.control.state.style.name == "oil")
    while page.js("return document.getElementById('toast').hidden"):
        page.click("#undo")
        time.sleep(0.05)
    assert "nothing to undo" in page.text("#toast")


@pytest.mark.parametrize(
    ("name", "width", "height", "phone"),
    [
        ("desktop", 1440, 900, False),
        ("small", 1024, 700, False),
        ("phone", 390, 844, True),
        ("least", 320, 640, True),
    ],
)
def test_it_fits_every_screen_light_and_dark(page, name, width, height, phone):
    for dark in (True, False):
        page.shape(width, height, dark=dark, phone=phone)
        time.sleep(0.4)
        assert page.js("return document.documentElement.scrollWidth <= innerWidth")
        assert page.shown(".panic")
        outside = page.js(
            "return [...document.querySelectorAll('main button, main input, main textarea')].filter((e) => {"
            " const b = e.getBoundingClientRect(); return !e.closest('.tiles, details') && b.width && "
            "(b.left < -1 || b.right > innerWidth + 1); }).map((e) => e.id || e.className)"
        )
        assert outside == []
        # At the bottom nothing lies over the last parts.
        page.js("document.getElementById('phone').scrollIntoView({ block: 'center' })")
        covered = page.js(
            "const b = document.getElementById('phone-note').getBoundingClientRect();"
            "const e = document.elementFromPoint(b.left + 20, b.top + 5); return !e.closest('#phone') && e.outerHTML"
        )
        assert covered is False
        page.js("window.scrollTo(0, 0)")
        page.keep(f"alone-{name}-{'dark' if dark else 'light'}")


def test_the_whole_picture_is_shown_undistorted(page):
    """At every size of the window the canvas shows all of the picture at its own aspect."""
    for width, height in ((1440, 900), (1920, 800), (1100, 700), (800, 1200), (390, 844)):
        page.shape(width, height)
        time.sleep(0.3)
        fit = page.js(
            "const c = document.getElementById('picture'), b = c.getBoundingClientRect();"
            "const s = document.getElementById('stage').getBoundingClientRect();"
            "return [getComputedStyle(c).objectFit, b.top >= s.top - 1 && b.bottom <= s.bottom + 1 &&"
            " b.left >= s.left - 1 && b.right <= s.right + 1, b.width * b.height]"
        )
        assert fit[:2] == ["contain", True]
        assert fit[2] > 50_000


def test_who_wants_less_motion_gets_none(page):
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    moving = page.js(
        "return document.getAnimations().filter((a) => a.playState === 'running')"
        ".map((a) => a.animationName || 'transition')"
    )
    assert moving == []


def test_a_midi_control_is_learned(page, daemon):
    LEARN.enabled = True
    daemon.control.overrides = {"integrations": {"midi": {"status": "listening", "detail": "nanoKONTROL2"}}}
    until(lambda: "nanoKONTROL2" in page.text("#midi-state"))
    page.focus("#midi-learn")
    page.press(Keys.ENTER)
    until(lambda: LEARN.learning)
    until(lambda: page.shown("#midi-cancel"))
    page.click("#midi-cancel")
    until(lambda: not LEARN.learning)
    until(lambda: "Cancelled" in page.text("#midi-note"))
    page.click("#midi-learn")
    until(lambda: LEARN.learning)
    assert LEARN.target == "strength"
    LEARN.move("cc 7", daemon.control)
    until(lambda: "Heard cc 7: it is bound to strength" in page.text("#midi-note"))
    assert "cc 7" in page.text("#midi-bound")
    page.js("document.getElementById('midi').scrollIntoView({ block: 'center' })")
    page.keep("midi-learned")
    assert page.faults() == []


def test_midi_that_is_off_says_what_mends_it(page, daemon):
    LEARN.enabled = False
    daemon.control.overrides = {"integrations": {"midi": {"status": "off"}}}
    until(lambda: "midi: {enabled: true}" in page.text("#midi-state"))
    assert page.find("#midi-learn").get_property("disabled")
    assert page.faults() == []
