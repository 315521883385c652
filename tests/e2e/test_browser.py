"""The page in a real Chromium, headless, driven by chromedriver. Pictures of it are kept in artefacts/page/."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_daemon import FakeDaemon

from pipeline.messages import Mode, SetStyle, SetValue

selenium = pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")
webdriver = pytest.importorskip("selenium.webdriver")
By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "page"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None, reason="no Chromium: apt-get install chromium chromium-driver"
    ),
]

QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Page:
    """One browser window on the daemon's page."""

    def __init__(self, folder):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (*QUIET, f"--user-data-dir={folder}", "--window-size=1440,900"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.driver.set_page_load_timeout(30)
        self.asked: list[str] = []

    def open(self, daemon, token=None):
        self.driver.get("about:blank")
        self.console()
        self.requests()
        self.driver.get(f"{daemon.address}/" + (f"#token={daemon.token}" if token is None else token))
        return self

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def click(self, selector):
        self.find(selector).click()

    def text(self, selector):
        return self.find(selector).text

    def pixels(self):
        """Mean colour of the picture's middle, and a sum that changes when it moves."""
        return self.js(
            "const from = document.getElementById('picture'), to = new OffscreenCanvas(80, 80);"
            "const pen = to.getContext('2d', { willReadFrequently: true });"
            "pen.drawImage(from, from.width / 2 - 40, from.height / 2 - 90, 80, 80, 0, 0, 80, 80);"
            "const d = pen.getImageData(0, 0, 80, 80).data, s = [0, 0, 0];"
            "for (let i = 0; i < d.length; i += 4) for (let k = 0; k < 3; k++) s[k] += d[i + k]; return s;"
        )

    def is_live(self):
        return self.js("return document.body.dataset.live") == "true"

    def console(self):
        """What the page wrote to the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        sockets = [m["params"]["url"] for m in messages if m["method"] == "Network.webSocketCreated"]
        return [params["request"]["url"] for params in sent] + sockets

    def shape(self, width, height, *, dark=True, phone=False):
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]},
        )
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone},
        )

    def keep(self, name):
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(ARTEFACTS / f"{name}.png"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    page = Page(tmp_path_factory.mktemp("chromium"))
    yield page
    page.driver.quit()


@pytest.fixture
def daemon():
    with FakeDaemon() as running:
        yield running


@pytest.fixture
def page(browser, daemon):
    browser.shape(1440, 900)
    browser.open(daemon)
    until(browser.is_live)
    until(lambda: browser.js("return document.querySelectorAll('.slider').length") >= 5)
    yield browser
    assert browser.console() == []


def until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def test_the_page_opens_moves_and_asks_nobody_else(page, daemon):
    assert page.driver.title == "Phosphene"
    assert page.driver.current_url == f"{daemon.address}/"
    first = page.pixels()
    until(lambda: page.pixels() != first)
    until(lambda: page.text("#link") == "Connected")
    until(lambda: "fps" in page.text("#figures"))
    asked = page.requests()
    assert any(address.endswith("/stream.mjpeg") for address in asked)
    own = (f"{daemon.address}/", f"ws://127.0.0.1:{daemon.port}/", "blob:", "data:")
    assert [address for address in asked if not address.startswith(own)] == []
    assert [address for address in asked if daemon.token in address or daemon.key.value in address] == []
    assert daemon.token not in page.js("return document.documentElement.outerHTML")


def test_a_tile_changes_the_style_and_takes_its_picture(page, daemon):
    before = page.pixels()
    page.click('[data-style="stained glass"]')
    until(lambda: daemon.control.state.style.name == "stained glass")
    until(lambda: page.text("#now-style") == "stained glass")
    until(lambda: "visible after" in page.text("#styles-note"))
    assert page.find('[data-style="stained glass"]').get_attribute("aria-checked") == "true"
    assert page.find('[data-style="ink"]').get_attribute("aria-checked") == "false"
    after = page.pixels()
    assert after[2] / sum(after) > before[2] / sum(before) + 0.1, "the picture did not turn blue"
    until(lambda: "painted" in page.find('[data-style="stained glass"]').get_attribute("class"))
    page.keep("style")


def test_a_prompt_is_typed_and_painted(page, daemon):
    revision = daemon.control.state.revision
    field = page.find("#prompt")
    field.clear()
    field.send_keys("a lighthouse in a storm")
    assert page.text("#prompt-note") == "Not painted yet"
    assert daemon.control.state.revision == revision
    field.send_keys(Keys.ENTER)
    until(lambda: daemon.control.state.style.prompt == "a lighthouse in a storm")
    until(lambda: page.text("#prompt-note") == "")
    negative = page.find("#negative")
    negative.send_keys("people")
    page.click("#apply")
    until(lambda: daemon.control.state.style.negative_prompt == "people")
    assert daemon.control.state.style.prompt == "a lighthouse in a storm"


def test_what_is_being_typed_is_not_overwritten_by_other_front_ends(page, daemon):
    field = page.find("#prompt")
    field.clear()
    field.send_keys("half a sent")
    daemon.control.submit(SetStyle("neon"), "cli")
    until(lambda: page.text("#now-style") == "neon")
    assert field.get_attribute("value") == "half a sent"
    field.send_keys(Keys.ESCAPE)
    assert field.get_attribute("value") == daemon.control.state.style.prompt


def test_sliders_send_and_follow(page, daemon):
    slider = page.find("#c-strength")
    actions = webdriver.ActionChains(page.driver)
    actions.click_and_hold(slider).move_by_offset(60, 0).move_by_offset(40, 0).release().perform()
    until(lambda: daemon.control.state.style.strength > 0.6)
    until(lambda: float(slider.get_attribute("value")) == pytest.approx(daemon.control.state.style.strength))
    slider.send_keys(Keys.ARROW_LEFT)
    dragged = daemon.control.state.style.strength
    until(lambda: daemon.control.state.style.strength <= dragged)
    daemon.control.submit(SetValue("strength", 0.11), "cli")
    until(lambda: slider.get_attribute("value") == "0.11")
    exact = (
        page.find("#c-guidance_scale")
        .find_element(By.XPATH, "..")
        .find_element(By.CSS_SELECTOR, "[type=number]")
    )
    exact.send_keys(Keys.CONTROL + "a")
    exact.send_keys("7.25", Keys.TAB)
    until(lambda: daemon.control.state.style.guidance_scale == 7.25)
    page.click(".dice")
    until(lambda: daemon.control.state.style.seed != 0)
    page.click("#more summary")
    page.click("#c-similarity")
    until(lambda: daemon.control.state.similarity is False)


def test_the_morph_time_goes_along_with_the_style(page, daemon):
    slider = page.find("#c-morph_s")
    for _ in range(12):
        slider.send_keys(Keys.ARROW_RIGHT)
    page.click('[data-style="oil"]')
    until(lambda: daemon.control.state.style.name == "oil")
    assert daemon.control.state.morph_s == pytest.approx(1.2)


def test_panic_is_one_press_and_left_on_purpose(page, daemon):
    page.click(".panic")
    until(lambda: daemon.control.state.mode is Mode.PANIC)
    until(lambda: page.find("#panic-card").is_displayed())
    page.keep("panic")
    for mode in ("styled", "freeze", "bypass"):
        assert not page.find(f'[data-mode="{mode}"]').is_enabled()
    page.find("body").send_keys("f")
    page.find("body").send_keys("p")
    page.click('[data-style="oil"]')
    until(lambda: daemon.control.state.style.name == "oil")
    assert daemon.control.state.mode is Mode.PANIC
    page.click("#leave-panic")
    until(lambda: daemon.control.state.mode is Mode.STYLED)
    until(lambda: not page.find("#panic-card").is_displayed())


def test_the_real_face_takes_two_presses(page, daemon):
    page.click('[data-mode="bypass"]')
    time.sleep(0.3)
    assert daemon.control.state.mode is Mode.STYLED
    page.click('[data-mode="bypass"]')
    until(lambda: daemon.control.state.mode is Mode.BYPASS)
    page.click('[data-mode="styled"]')
    until(lambda: daemon.control.state.mode is Mode.STYLED)
    page.click('[data-mode="bypass"]')
    until(lambda: page.text('[data-mode="bypass"]') == "Bypass")  # the first press is forgotten
    assert daemon.control.state.mode is Mode.STYLED


def test_keys(page, daemon):
    body = page.find("body")
    body.send_keys("3")
    until(lambda: daemon.control.state.style.name == "oil")
    body.send_keys("f")
    until(lambda: daemon.control.state.mode is Mode.FREEZE)
    body.send_keys("f")
    until(lambda: daemon.control.state.mode is Mode.STYLED)
    field = page.find("#prompt")
    field.send_keys("3fp")
    time.sleep(0.3)
    assert daemon.control.state.mode is Mode.STYLED
    page.js("document.querySelector('[data-style=oil]').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    focused = page.driver.switch_to.active_element
    assert focused.get_attribute("data-style") == "gouache"
    assert page.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    focused.send_keys(Keys.ENTER)
    until(lambda: daemon.control.state.style.name == "gouache")


def test_everything_can_be_reached_by_tab(page):
    page.js("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = set()
    for _ in range(70):
        webdriver.ActionChains(page.driver).send_keys(Keys.TAB).perform()
        name = page.js(
            "const e = document.activeElement;"
            "return e.id || e.dataset.mode || e.dataset.style || e.className || e.tagName"
        )
        if name in reached and name == "BODY":
            break
        reached.add(name)
    wanted = {
        "styled",
        "freeze",
        "bypass",
        "panic",
        "undo",
        "ink",
        "prompt",
        "negative",
        "c-strength",
        "c-seed",
        "dice",
    }
    assert wanted <= reached
    assert {"snapshot", "fullscreen", "copy-mjpeg", "rotate", "log"} <= reached
    unnamed = page.js(
        "return [...document.querySelectorAll('button, input, select, textarea')].filter((e) => e.offsetParent"
        " && !e.textContent.trim() && !e.getAttribute('aria-label') && !(e.labels && e.labels.length)).length"
    )
    assert unnamed == 0


def test_it_comes_back_after_a_restart_by_itself(browser):
    with FakeDaemon() as first:
        browser.shape(1440, 900)
        browser.open(first)
        until(browser.is_live)
    until(lambda: browser.text("#link") == "Reconnecting")
    until(lambda: browser.text("#veil-title") == "The daemon does not answer")
    assert not browser.find(".panic").is_enabled()
    browser.keep("away")
    with FakeDaemon(port=first.port, token=first.token) as second:
        until(browser.is_live)
        before = browser.pixels()
        until(lambda: browser.pixels() != before)
        browser.click('[data-style="neon"]')
        until(lambda: second.control.state.style.name == "neon")
        until(lambda: browser.text("#now-style") == "neon")
    # While it was away the browser itself writes that nobody answered; the page writes nothing.
    assert [line for line in browser.console() if "ERR_CONNECTION_REFUSED" not in line] == []


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


@pytest.mark.parametrize("token", ["", "#token=wrong-token-wrong-token"])
def test_without_its_token_the_page_asks_for_it(browser, daemon, token):
    browser.shape(1440, 900)
    browser.driver.get("about:blank")
    browser.driver.execute_cdp_cmd(
        "Storage.clearDataForOrigin", {"origin": daemon.address, "storageTypes": "all"}
    )
    browser.open(daemon, token)
    until(lambda: browser.find("#gate").is_displayed())
    assert not browser.is_live()
    assert daemon.painter.preview.viewers == 0
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
    daemon.control.overrides = {"source": source, "engine": engine}
    until(lambda: error in page.text("#route") and "Plug it in." in page.text("#route"))
    assert "ran out of memory" in page.text("#engine")
    daemon.control.overrides = {
        "source": None,
        "sinks": None,
        "engine": None,
        "metrics": None,
        "uptime_s": None,
    }
    until(lambda: error not in page.text("#route"))
    page.click('[data-style="neon"]')
    until(lambda: "Style neon" in page.text("#log"))


def test_a_refused_command_is_told(page, daemon):
    page.js("document.querySelector('[data-style=ink]').dispatchEvent(new Event('click'))")
    page.click("#undo")
    until(lambda: daemon.control.state.revision >= 2)
    for _ in range(4):
        page.click("#undo")
    until(lambda: "nothing to undo" in page.text("#toast"))


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
        time.sleep(0.6)
        assert page.js("return document.documentElement.scrollWidth <= innerWidth")
        assert page.find(".panic").is_displayed()
        outside = page.js(
            "return [...document.querySelectorAll('main button, main input, main textarea')].filter((e) => {"
            " const b = e.getBoundingClientRect(); return !e.closest('.tiles, details') && b.width && "
            "(b.left < -1 || b.right > innerWidth + 1); }).map((e) => e.id || e.className)"
        )
        assert outside == []
        page.keep(f"{name}-{'dark' if dark else 'light'}")


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
