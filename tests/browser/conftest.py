"""A headless Chromium that opens pages as a reader does; the tests are skipped where there is none."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).with_name("axe.min.js")  # axe-core 4.14.1, MPL 2.0, from npm, as it is
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
)


class Page:
    """A page in the browser, and what a test asks of it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """Open an address in a window of this size, with nothing left of the last page."""
        self.driver.get("about:blank")
        self.console()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": scheme})
        self.driver.get(address)

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: object) -> Any:
        """What a script passes to its callback, its last argument."""
        return self.driver.execute_async_script(script, *arguments)

    def durations(self, players: str) -> list[Any]:
        """The seconds that each of these players has loaded, or why it could not."""
        found: list[Any] = self.wait(
            """const done = arguments[1], players = [...document.querySelectorAll(arguments[0])];
            Promise.all(players.map((one) => new Promise((told) => {
                one.onloadedmetadata = () => told(one.duration);
                one.onerror = () => told(one.error.message || "error");
                one.load();
            }))).then(done)""",
            players,
        )
        return found

    def console(self) -> list[str]:
        """Errors and warnings since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last call, but for those inside the page."""
        entries = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        asked = (e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent")
        return [address for address in asked if not address.startswith(("data:", "about:", "chrome:"))]

    def violations(self) -> list[str]:
        """What axe-core calls serious or critical, with the elements."""
        self.run(AXE.read_text(encoding="utf-8"))
        found = self.wait("axe.run().then(arguments[0])")["violations"]
        return [
            f"{one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """One browser for all tests."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, server = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if browser is None or server is None:
        pytest.skip("chromium and chromium-driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(server))
    started.set_script_timeout(20)
    yield started
    started.quit()


@pytest.fixture
def page(driver: Any) -> Page:
    """The browser, on an empty page."""
    return Page(driver)
