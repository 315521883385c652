"""One real Chromium, headless, driven by chromedriver. Pictures of pages are kept in artefacts/page/."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

selenium = pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")
webdriver = pytest.importorskip("selenium.webdriver")
By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
StaleElementReferenceException = pytest.importorskip(
    "selenium.common.exceptions"
).StaleElementReferenceException

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "page"

STILL = """
const [element, done] = arguments;
element.scrollIntoView({ block: "nearest" });
let last = "";
const look = () => {
  const { x, y, width, height } = element.getBoundingClientRect();
  const now = [x, y, width, height].join();
  if (now === last) return done();
  last = now;
  requestAnimationFrame(() => requestAnimationFrame(look));
};
look();
"""
"""Until an element stays where it is: what moves between a look and a press is not pressed."""

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

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no Chromium: apt-get install chromium chromium-driver"
)


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for it; what it returned last is in the message."""
    end = time.monotonic() + seconds
    while not (said := true()):
        assert time.monotonic() < end, f"it did not come true within {seconds:g} s: {said!r}"
        time.sleep(0.05)


class Page:
    """One browser window on a daemon's page."""

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in (*QUIET, f"--user-data-dir={folder}", "--window-size=1440,900"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.downloads = folder
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.driver.set_page_load_timeout(30)

    def open(self, address: str, fragment: str = "") -> Page:
        """Leave the present page, forget what it said, and open this one."""
        self.driver.get("about:blank")
        self.console()
        self.requests()
        self.driver.get(f"{address}/{fragment}")
        return self

    # ------------------------------------------------------------ looking

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def js(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def shown(self, selector: str) -> bool:
        return any(element.is_displayed() for element in self.all(selector))

    def is_open(self, dialog: str) -> bool:
        return bool(self.js("return document.getElementById(arguments[0]).open", dialog))

    def is_live(self) -> bool:
        return self.js("return document.body.dataset.live") == "true"

    def pixels(self, canvas: str = "picture") -> list[int]:
        """Sums of red, green and blue of the picture's middle: colour, and a change when it moves."""
        return self.js(
            "const from = document.getElementById(arguments[0]), to = new OffscreenCanvas(80, 80);"
            "const pen = to.getContext('2d', { willReadFrequently: true });"
            "const side = Math.min(from.width, from.height) / 3;"
            "pen.drawImage(from, (from.width - side) / 2, (from.height - side) / 2, side, side, 0, 0, 80, 80);"
            "const d = pen.getImageData(0, 0, 80, 80).data, s = [0, 0, 0];"
            "for (let i = 0; i < d.length; i += 4) for (let k = 0; k < 3; k++) s[k] += d[i + k]; return s;",
            canvas,
        )

    def console(self) -> list[str]:
        """What the page wrote to the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        sockets = [m["params"]["url"] for m in messages if m["method"] == "Network.webSocketCreated"]
        return [params["request"]["url"] for params in sent] + sockets

    def keep(self, name: str) -> None:
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(ARTEFACTS / f"{name}.png"))

    # ------------------------------------------------------------ doing

    def click(self, selector: str) -> None:
        """A list that is drawn anew takes its buttons with it: then the new one is pressed."""
        for _ in range(5):
            with contextlib.suppress(StaleElementReferenceException):
                element = self.find(selector)
                self.driver.execute_async_script(STILL, element)
                element.click()
                return
        raise AssertionError(f"{selector} does not stay long enough to be pressed")

    def press(self, *keys: str) -> None:
        """On whatever has the focus."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def chord(self, held: str, key: str) -> None:
        """A key with a modifier."""
        webdriver.ActionChains(self.driver).key_down(held).send_keys(key).key_up(held).perform()

    def focus(self, selector: str) -> None:
        self.js("document.querySelector(arguments[0]).focus()", selector)

    def focused(self, attribute: str) -> str | None:
        """An attribute of what has the focus, read in one step: the page may make it anew at any moment."""
        found: str | None = self.js("return document.activeElement.getAttribute(arguments[0])", attribute)
        return found

    def write(self, selector: str, text: str) -> None:
        """In place of what stands there."""
        field = self.find(selector)
        field.send_keys(Keys.CONTROL + "a")
        field.send_keys(text)

    def shape(self, width: int, height: int, *, dark: bool = True, phone: bool = False) -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone},
        )

    def faults(self) -> list[str]:
        """What axe-core finds against WCAG 2.1 A and AA, as "rule: element"."""
        axe = pytest.importorskip("axe_core_python", reason="not installed: pip install axe-core-python")
        self.js((Path(axe.__file__).parent / "axe.min.js").read_text())
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })"
            ".then((r) => done(r.violations.flatMap((v) => v.nodes.map("
            "(n) => `${v.id}: ${n.target} ${n.failureSummary}`))));"
        )
        return list(found)
