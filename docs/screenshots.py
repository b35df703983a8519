"""Makes the pictures of the report and of `wrongkey view` in docs/: python docs/screenshots.py RUNS (needs Chromium).

RUNS is a finished demo (`wrongkey demo --out RUNS`). The printed page needs Poppler's pdftoppm too.
"""

import base64
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver

HERE = Path(__file__).parent
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
COLOURS = 128  # of a picture: its file is a third as large, and nobody sees it
A4 = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True}


def main(runs: Path) -> None:
    """Make every picture."""
    driver = browser()
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        subprocess.run([sys.executable, "-m", "wrongkey", "report", str(runs), "--out", str(page)], check=True)
        for name, width, height, scheme in (
            ("report-desktop", 1280, 800, "light"),
            ("report-phone", 390, 844, "light"),
            ("report-dark", 1280, 800, "dark"),
        ):
            show(driver, page.as_uri(), width, height, scheme)
            keep(driver, name)
        show(driver, page.as_uri(), 1280, 800, "light")
        printed(driver, Path(scratch))
    view(driver, runs)
    driver.quit()


def browser() -> Any:
    """A Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in FLAGS:
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver") or ""))


def show(driver: Any, address: str, width: int, height: int, scheme: str) -> None:
    """Open an address in a window of this size, light or dark."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
    driver.get(address)


def keep(driver: Any, name: str) -> None:
    """What the window shows, as a PNG of few colours."""
    path = HERE / f"{name}.png"
    driver.save_screenshot(str(path))
    compress(path)


def compress(path: Path) -> None:
    """Make a PNG smaller."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"{path} {path.stat().st_size / 1000:.0f} kB")


def printed(driver: Any, scratch: Path) -> None:
    """The first printed page."""
    if shutil.which("pdftoppm") is None:
        print("report-print.png is not made: pdftoppm is not installed")
        return
    document = scratch / "report.pdf"
    document.write_bytes(base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", A4)["data"]))
    out = HERE / "report-print"
    subprocess.run(["pdftoppm", "-png", "-singlefile", "-r", "90", str(document), str(out)], check=True)
    compress(out.with_suffix(".png"))


def view(driver: Any, runs: Path) -> None:
    """`wrongkey view` with the best wrong key of the first run picked."""
    command = [sys.executable, "-m", "wrongkey", "view", str(runs), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        show(driver, server.stdout.readline().strip(), 1280, 1000, "light")
        click = "document.querySelector('#violins .best').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
        driver.execute_script(click)
        time.sleep(5)  # for its sound and pictures
        driver.execute_script("document.getElementById('key').scrollIntoView()")
        time.sleep(1)
        keep(driver, "view")
        server.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
