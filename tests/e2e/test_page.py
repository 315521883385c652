"""The page in a real Chromium on the real daemon: built-in model, demo source. `test_page_alone.py` has the rest."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.browser import Keys, Page, needs_chromium, until, webdriver
from tests.running import Daemon

pytestmark = [pytest.mark.e2e, needs_chromium]

CONFIG = """
source: demo
sinks: [preview]
output: {size: 640x360}
model: {name: builtin, size: 160x96}
similarity: {enabled: false}
"""


class Live:
    """The daemon under test, asked over its API: no process is started for it."""

    def __init__(self, home: Path) -> None:
        self.daemon = Daemon(home)
        self.settings = home / "config" / "phosphene" / "config.yaml"
        self.settings.parent.mkdir()
        self.settings.write_text(CONFIG)

    def start(self, *arguments: str) -> None:
        self.daemon.start(*arguments)
        until(self.answers, 60)
        until(lambda: self.status()["engine"]["status"] == "ready", 90)

    def answers(self) -> bool:
        assert self.daemon.process is not None
        assert self.daemon.process.poll() is None, self.daemon.output
        try:
            return bool(self.status()["address"])
        except (OSError, KeyError):
            return False

    def status(self) -> dict:
        return self.daemon.http("/api/v1/status")

    @property
    def state(self) -> dict:
        return self.daemon.http("/api/v1/state")

    @property
    def style(self) -> dict:
        return self.state["style"]

    def styles(self) -> list[dict]:
        return self.daemon.http("/api/v1/styles")["styles"]

    def names(self) -> list[str]:
        return [style["name"] for style in self.styles()]

    @property
    def token(self) -> str:
        return (self.daemon.home / "state" / "phosphene" / "token").read_text().strip()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    made = Live(tmp_path_factory.mktemp("daemon"))
    with made.daemon:
        made.start()
        yield made
        assert made.daemon.end() == 0


@pytest.fixture(scope="module")
def opened(browser, live):
    """The page is opened once; every test finds it as the last one left it."""
    browser.shape(1440, 900)
    browser.open(live.status()["address"], f"#token={live.token}")
    until(browser.is_live)
    until(lambda: len(browser.all(".slider")) >= 3)
    return browser


@pytest.fixture
def page(opened, live):
    live.daemon.submit(command="mode", mode="styled")
    opened.shape(1440, 900)
    until(lambda: opened.js("return document.body.dataset.mode") == "styled")
    yield opened
    for box in opened.all("dialog[open]"):
        opened.js("arguments[0].close()", box)
    assert opened.console() == []


def tile(name: str) -> str:
    return f'[data-style="{name}"]'


def choose(page: Page, live: Live, name: str) -> None:
    page.click(tile(name))
    until(lambda: live.style["name"] == name)
    until(lambda: page.text("#now-style") == name)


# ------------------------------------------------------------ picture, styles, words


def test_it_opens_moves_and_asks_nobody_else(page, live):
    address = live.status()["address"]
    assert page.driver.title == "Phosphene"
    assert page.driver.current_url == f"{address}/", "the token stays in the address"
    first = page.pixels()
    until(lambda: page.pixels() != first)
    until(lambda: page.text("#link") == "Connected")
    until(lambda: "fps" in page.text("#figures"))
    assert "demo portrait" in page.text("#route").lower()
    asked = page.requests()
    assert any(url.endswith("/stream.mjpeg") for url in asked)
    own = (f"{address}/", address.replace("http", "ws") + "/", "blob:", "data:")
    assert [url for url in asked if not url.startswith(own)] == []
    assert [url for url in asked if live.token in url] == []
    assert live.token not in page.js("return document.documentElement.outerHTML")


def test_a_tile_changes_the_picture(page, live):
    choose(page, live, "pencil")
    until(lambda: grey(page.pixels()) < 0.1)
    page.click(tile("thermal"))
    until(lambda: page.text("#now-style") == "thermal")
    until(lambda: grey(page.pixels()) > 0.2)
    assert page.find(tile("thermal")).get_attribute("aria-checked") == "true"
    assert page.find(tile("pencil")).get_attribute("aria-checked") == "false"
    until(lambda: any(c.isdigit() for c in page.text(".figures .change dd")), 5)
    page.keep("style")


def grey(sums: list[int]) -> float:
    """How colourful the middle is: 0 is grey."""
    return (max(sums) - min(sums)) / max(1, max(sums))


def test_a_prompt_is_typed_and_painted(page, live):
    choose(page, live, "anime")
    revision = live.state["revision"]
    page.write("#prompt", "pencil sketch")
    assert page.text("#prompt-note") == "Not painted yet"
    assert live.state["revision"] == revision
    page.find("#prompt").send_keys(Keys.ENTER)
    until(lambda: live.style["prompt"] == "pencil sketch")
    until(lambda: grey(page.pixels()) < 0.1)
    page.write("#negative", "colour")
    page.click("#apply")
    until(lambda: live.style["negative_prompt"] == "colour")
    assert live.style["prompt"] == "pencil sketch"
    # What is being typed is not overwritten by another front end.
    page.write("#prompt", "half a sent")
    live.daemon.submit(command="style", name="neon")
    until(lambda: page.text("#now-style") == "neon")
    assert page.find("#prompt").get_attribute("value") == "half a sent"
    page.find("#prompt").send_keys(Keys.ESCAPE)
    assert page.find("#prompt").get_attribute("value") == live.style["prompt"]


def test_sliders_send_and_follow(page, live):
    choose(page, live, "anime")
    slider = page.find("#c-strength")
    actions = webdriver.ActionChains(page.driver)
    actions.click_and_hold(slider).move_by_offset(60, 0).move_by_offset(40, 0).release().perform()
    until(lambda: live.style["strength"] > 0.6)
    until(lambda: float(slider.get_attribute("value")) == pytest.approx(live.style["strength"]))
    live.daemon.submit(command="set", key="strength", value=0.11)
    until(lambda: slider.get_attribute("value") == "0.11")
    slider.send_keys(Keys.ARROW_RIGHT)
    until(lambda: live.style["strength"] == pytest.approx(0.12))
    exact = page.find('[aria-label="Guidance, exact value"]')
    exact.send_keys(Keys.CONTROL + "a")
    exact.send_keys("7.25", Keys.TAB)
    until(lambda: live.style["guidance_scale"] == 7.25)
    page.click("#sliders .dice")
    until(lambda: live.style["seed"] != 0)
    page.write("#c-seed", "42")
    page.press(Keys.TAB)
    until(lambda: live.style["seed"] == 42)


def test_steps_chance_undo_and_morph(page, live):
    names = live.names()
    choose(page, live, names[0])
    page.click('[aria-label="Next style"]')
    until(lambda: live.style["name"] == names[1])
    page.click('[aria-label="Previous style"]')
    until(lambda: live.style["name"] == names[0])
    page.click("#undo")
    until(lambda: live.style["name"] == names[1])
    page.click("#redo")
    until(lambda: live.style["name"] == names[0])
    page.click('[aria-label="Random style"]')
    until(lambda: live.style["name"] != names[0])
    morph = page.find("#c-morph_s")
    for _ in range(12):
        morph.send_keys(Keys.ARROW_RIGHT)
    page.click(tile("oil"))
    until(lambda: live.style["name"] == "oil" and live.state["morph_s"] == pytest.approx(1.2))
    for _ in range(12):
        morph.send_keys(Keys.ARROW_LEFT)


def test_the_keyboard_alone(page, live):
    page.focus("#styles")
    page.press("3")
    until(lambda: live.style["name"] == live.names()[2])
    page.press("f")
    until(lambda: live.state["mode"] == "freeze")
    page.press("f")
    until(lambda: live.state["mode"] == "styled")
    page.focus(tile("comic"))
    page.press(Keys.ARROW_RIGHT)
    assert page.focused("data-style") == live.names()[live.names().index("comic") + 1]
    assert page.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press(Keys.ENTER)
    until(lambda: live.style["name"] == page.focused("data-style"))
    page.focus("#prompt")
    page.press("3fp", Keys.ESCAPE)
    assert live.state["mode"] == "styled"


# ------------------------------------------------------------ panic, the real face


def test_panic_is_one_press_and_left_on_purpose(page, live):
    page.click(".panic")
    until(lambda: live.state["mode"] == "panic")
    until(lambda: page.shown("#panic-card"))
    until(lambda: live.status()["source"]["status"] == "closed")
    until(lambda: page.focused("id") == "leave-panic")
    page.keep("panic")
    assert [page.find(f'[data-mode="{m}"]').is_enabled() for m in ("styled", "freeze", "bypass")] == [
        False
    ] * 3
    page.press("f")
    choose(page, live, "oil")
    assert live.state["mode"] == "panic"
    page.click("#leave-panic")
    until(lambda: live.state["mode"] == "styled")
    until(lambda: not page.shown("#panic-card"))
    until(lambda: live.status()["sinks"][0]["showing"] == "styled", 30)
    first = page.pixels()
    until(lambda: page.pixels() != first)


def test_the_real_face_takes_two_presses(page, live):
    page.click('[data-mode="bypass"]')
    time.sleep(0.2)
    assert live.state["mode"] == "styled"
    page.click('[data-mode="bypass"]')
    until(lambda: live.state["mode"] == "bypass")
    until(lambda: page.js("return document.body.dataset.mode") == "bypass")
    page.click('[data-mode="styled"]')
    until(lambda: live.state["mode"] == "styled")


def test_before_and_after_only_where_it_is_allowed(page, live):
    choose(page, live, "thermal")
    page.requests()
    page.click("#compare-on")
    until(lambda: page.shown("#allow"))
    assert "show_raw: true" in page.text("#allow")
    until(lambda: str(live.settings) in page.text("#allow-file"))
    page.keep("compare-refused")
    assert [url for url in page.requests() if "camera" in url] == []
    live.settings.write_text(CONFIG + "web: {show_raw: true}\n")
    until(lambda: not page.shown("#allow"), 15)  # it opens by itself
    until(lambda: page.js("return document.getElementById('compare').dataset.live") == "true")
    raw, painted = page.pixels("camera"), page.pixels()
    assert share(raw) == pytest.approx([0.39, 0.32, 0.29], abs=0.06), "the demo portrait's own colours"
    assert max(abs(a - b) for a, b in zip(share(raw), share(painted), strict=True)) > 0.08
    page.focus("#divider")
    page.press(*[Keys.ARROW_RIGHT] * 10)
    assert page.find("#divider").get_attribute("value") == "60"
    page.keep("compare")

    page.click(".panic")
    until(lambda: page.shown("#panic-card"))
    until(lambda: page.pixels("camera") == [0, 0, 0])  # nothing of it stays on the page
    page.click("#leave-panic")
    until(lambda: sum(page.pixels("camera")) > 0, 30)

    live.settings.write_text(CONFIG)
    until(lambda: page.find("#compare-on").get_attribute("aria-pressed") == "false", 15)
    assert page.pixels("camera") == [0, 0, 0]
    until(lambda: "no page looks" in page.text("#log").lower())


def share(sums: list[int]) -> list[float]:
    return [value / max(1, sum(sums)) for value in sums]


# ------------------------------------------------------------ the bank


def test_a_style_is_made_changed_and_deleted_by_mouse(page, live):
    choose(page, live, "anime")
    page.click("#new-style")
    until(lambda: page.shown("#sheet"))
    page.write("#sheet-name", "my rain")
    page.write("#sheet-prompt", "ukiyo-e, in blue tones")
    page.click("#sheet-colours label:nth-child(7)")
    page.keep("style-sheet")
    page.click("#sheet-save")
    until(lambda: "my rain" in live.names())
    until(lambda: page.shown(tile("my rain")))
    made = next(style for style in live.styles() if style["name"] == "my rain")
    assert (made["prompt"], made["colour"], made["strength"]) == ("ukiyo-e, in blue tones", "#0090ff", 0.5)

    webdriver.ActionChains(page.driver).context_click(page.find(tile("my rain"))).perform()
    until(lambda: page.shown("#sheet"))
    slider = page.find("#s-strength")
    slider.send_keys(*[Keys.ARROW_RIGHT] * 5)
    page.write("#sheet-name", "my storm")
    page.click("#sheet-save")
    until(lambda: "my storm" in live.names())
    assert "my rain" not in live.names()
    assert next(s for s in live.styles() if s["name"] == "my storm")["strength"] == pytest.approx(0.55)

    webdriver.ActionChains(page.driver).context_click(page.find(tile("my storm"))).perform()
    page.click("#sheet-delete")
    before = live.names()
    assert "my storm" in before, "one press is not enough"
    page.click("#sheet-delete")
    until(lambda: "my storm" not in live.names())
    page.click("#toast-action")
    until(lambda: live.names() == before)
    until(lambda: page.shown(tile("my storm")))
    webdriver.ActionChains(page.driver).context_click(page.find(tile("my storm"))).perform()
    page.click("#sheet-delete")
    page.click("#sheet-delete")
    until(lambda: "my storm" not in live.names())


def test_a_style_is_made_changed_moved_and_deleted_by_keyboard(page, live):
    page.focus("#new-style")
    page.press(Keys.ENTER)
    until(lambda: page.focused("id") == "sheet-name")
    page.press("a b c", Keys.ENTER)
    until(lambda: "a b c" in live.names())
    until(lambda: page.shown(tile("a b c")))
    page.focus(tile("a b c"))
    page.press("e")
    until(lambda: page.focused("id") == "sheet-name")
    page.press(Keys.TAB)
    page.chord(Keys.CONTROL, "a")
    page.press("film noir")
    page.focus("#sheet-save")
    page.press(Keys.ENTER)
    until(lambda: next(s for s in live.styles() if s["name"] == "a b c")["prompt"] == "film noir")
    until(lambda: page.focused("data-style") == "a b c")  # back where it began
    at = live.names().index("a b c")
    page.chord(Keys.ALT, Keys.ARROW_LEFT)
    until(lambda: live.names().index("a b c") == at - 1)
    until(lambda: page.focused("data-style") == "a b c")
    page.press("e")
    until(lambda: page.shown("#sheet"))
    page.focus("#sheet-delete")
    page.press(Keys.ENTER, Keys.ENTER)
    until(lambda: "a b c" not in live.names())


def test_tiles_are_dragged_into_order_and_show_what_the_model_makes(page, live):
    names = live.names()
    first, third = page.find(tile(names[0])), page.find(tile(names[2]))
    page.js("document.getElementById('tiles').scrollTop = 0")
    actions = webdriver.ActionChains(page.driver).click_and_hold(first).move_by_offset(20, 5)
    actions.move_to_element(third).move_by_offset(10, 0).release().perform()
    until(lambda: live.names()[:3] == [names[1], names[2], names[0]])
    live.daemon.http("/api/v1/style-order", method="PUT", body={"names": names})
    until(lambda: live.names() == names)
    until(lambda: len(page.all(".tile.painted")) >= 3, 60)


def test_a_look_that_was_changed_is_kept_or_dropped(page, live):
    choose(page, live, "noir")
    live.daemon.submit(command="set", key="strength", value=0.4)
    until(lambda: page.shown("#changed"))
    page.click("#changed-back")
    until(lambda: live.style["strength"] == 0.55)
    until(lambda: not page.shown("#changed"))
    live.daemon.submit(command="set", key="strength", value=0.6)
    until(lambda: page.shown("#changed"))
    page.click("#changed-save")
    until(lambda: next(s for s in live.styles() if s["name"] == "noir")["strength"] == 0.6)
    until(lambda: not page.shown("#changed"))


def test_the_bank_goes_out_and_in_as_a_file(page, live, tmp_path):
    page.click("#export")
    out = page.downloads / "phosphene styles.yaml"
    until(out.exists)
    until(lambda: "thermal camera" in out.read_text())
    given = tmp_path / "more.json"
    given.write_text(json.dumps({"styles": {"from a file": {"prompt": "mosaic"}}}))
    page.find("#import-file").send_keys(str(given))
    until(lambda: "from a file" in live.names())
    until(lambda: page.shown("#toast"))
    given.write_text('{"styles": {"bad": {"strength": 7}}}')
    page.find("#import-file").send_keys(str(given))
    until(lambda: "strength" in page.text("#toast") or "prompt" in page.text("#toast"))
    page.console()  # the browser itself writes down that the answer was 422
    assert "bad" not in live.names()


def test_the_playlist_plays(page, live):
    page.js(
        "for (const name of arguments[0]) { document.getElementById('playlist-style').value = name;"
        " document.querySelector('#playlist-add button').click(); }",
        ["thermal", "oil"],
    )
    until(lambda: len(page.all("#playlist-lines li")) == 2)
    assert live.status()["playlist"]["items"] == ["thermal for 30s", "oil for 30s"]
    until(page.find("#playlist-play").is_enabled)
    page.click("#playlist-play")
    until(lambda: live.style["name"] == "thermal")
    until(page.find("#playlist-skip").is_enabled)
    page.click("#playlist-skip")
    until(lambda: live.style["name"] == "oil")
    until(lambda: "line 2 of 2" in page.text("#playlist-state"))
    page.js("document.getElementById('playlist').scrollIntoView()")
    page.keep("playlist")
    page.click("#playlist-stop")
    until(
        lambda: page.text("#playlist-state") == "Stopped"
    )  # its lines are drawn anew then, and take clicks with them
    page.click('[aria-label^="Move down: thermal"]')
    until(lambda: page.js("return document.querySelector('#playlist-lines input').value").startswith("oil"))
    assert live.status()["playlist"]["items"][0].startswith("oil")
    page.js(
        "document.querySelectorAll('#playlist-lines [aria-label^=Remove]').forEach((button) => button.click())"
    )
    until(
        lambda: page.all("#playlist-lines li") == []
    )  # each its own line, although the first moved the second
    assert live.status()["playlist"]["items"] == []


# ------------------------------------------------------------ devices, restarts, phone


def test_sources_and_sinks_with_what_is_wrong_with_each(page, live):
    page.click("#choose-sinks")
    until(lambda: page.all(".gear"))
    text = page.text("#gear-list")
    assert "Virtual camera" in text
    if "no virtual camera" in text:
        assert "modprobe" in text
    page.keep("sinks")
    page.press(Keys.ESCAPE)
    page.click("#choose-source")
    until(lambda: page.shown('[aria-label="Use Test pattern"]'))
    page.click('[aria-label="Use Test pattern"]')
    until(lambda: live.status()["source"]["kind"] == "test_pattern")
    until(lambda: "test pattern" in page.text("#route").lower(), 30)
    until(lambda: not page.is_open("gear"))
    page.click("#choose-source")
    until(lambda: page.shown('[aria-label="Use Demo portrait"]'))
    page.click('[aria-label="Use Demo portrait"]')
    until(lambda: live.status()["source"]["kind"] == "demo")
    until(lambda: not page.is_open("gear"))


def test_everything_is_reached_named_and_legible(page):
    page.js("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = set()
    for _ in range(120):
        page.press(Keys.TAB)
        name = page.js(
            "const e = document.activeElement; return e.id || e.dataset.mode || e.className || e.tagName"
        )
        if name == "BODY" and reached:
            break
        reached.add(name)
    assert {"styled", "freeze", "bypass", "panic", "compare-on", "snapshot", "fullscreen"} <= reached
    assert {
        "undo",
        "redo",
        "new-style",
        "choose",
        "prompt",
        "negative",
        "c-strength",
        "c-seed",
        "dice",
    } <= reached
    assert {"choose-source", "choose-sinks", "playlist-style", "copy-mjpeg", "rotate", "log-lines"} <= reached
    assert "tiles" not in reached
    page.js("window.scrollTo(0, 0)")
    for dark in (True, False):
        page.shape(1440, 900, dark=dark)
        time.sleep(0.3)
        assert page.faults() == []
        page.click("#new-style")
        assert page.faults() == []
        page.press(Keys.ESCAPE)


def test_on_a_phone(page, live):
    page.shape(390, 844, phone=True)
    until(page.is_live)
    time.sleep(0.3)
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    page.keep("phone")
    assert page.faults() == []
    small = page.js(
        "return [...document.querySelectorAll('#modes button, .steps button, .tile .choose, #sliders input')]"
        ".filter((e) => e.offsetParent).filter((e) => { const b = e.getBoundingClientRect();"
        " return b.width < 28 || b.height < 28; }).map((e) => e.id || e.className)"
    )
    assert small == [], "too small for a finger"
    page.js("window.scrollTo(0, document.body.scrollHeight)")
    assert page.shown(".panic")
    page.click(".panic")
    until(lambda: live.state["mode"] == "panic")
    page.js("window.scrollTo(0, 0)")
    until(lambda: page.shown("#leave-panic"))
    page.keep("phone-panic")
    page.click("#leave-panic")
    until(lambda: live.state["mode"] == "styled")


def test_it_comes_back_after_the_daemon_was_killed(page, live):
    port = live.status()["address"].rpartition(":")[2]
    live.daemon.end(signal.SIGKILL)
    until(lambda: page.text("#link") == "Reconnecting")
    until(lambda: page.text("#veil-title") == "The daemon does not answer")
    assert not page.find(".panic").is_enabled()
    page.keep("away")
    live.start("--port", port)
    until(page.is_live, 60)
    before = page.pixels()
    until(lambda: page.pixels() != before)
    choose(page, live, "thermal")
    until(lambda: page.text("#now-style") == "thermal")
    # While it was away the browser itself writes that nobody answered; the page writes nothing.
    broken = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")
    assert [line for line in page.console() if not any(word in line for word in broken)] == []


def test_the_page_has_one_of_each_id(page):
    assert (
        page.js(
            "const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);"
            "return ids.filter((id, at) => ids.indexOf(id) !== at)"
        )
        == []
    )
