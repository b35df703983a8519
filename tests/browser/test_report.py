"""The report's page in a browser: it says what breaks at once, can be heard, clicked, read by all, and runs no name."""

import base64
import io
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.browser.conftest import Page
from tests.evaluation.run_folder.test_media import ABOUT, RATE, keep, tone
from tests.reports.attack_folders import random_keys, rows, write_attacks
from tests.reports.conftest import heard, write_outputs, write_run
from wrongkey.cli import main
from wrongkey.evaluation.run_folder.media import Clip, row_of
from wrongkey.reports.attacks.rows import find_attacks
from wrongkey.reports.page.write import write_report

WIDTHS = [1280, 390]
EVIL = [
    "<script>window.__evil = 1</script>", "<img src=x onerror='window.__evil = 1'>", "{{7*7}}{% set x = 1 %}",
    "</script><script>window.__evil = 1</script>", "a\u202ereversed", "javascript:window.__evil=1", "w" * 300,
    "'\"><svg onload=window.__evil=1>",
]  # fmt: skip


def clips(**about: Any) -> Any:
    kept = [Clip("original", tone(0.5)), Clip("encrypted", tone(0.5), -3.0), Clip("after the attack", tone(0.4), 39.0)]
    return row_of(kept, RATE, **ABOUT | about)


def broken_rom(folder: Path) -> Path:
    """ROM at M = 10, whose speech alone gives the key away."""
    order = rows("order", "5 s of ciphertext", [0.01] * 12, seconds=5.0)
    write_attacks(folder, [*order, *random_keys()], block_size=10, known={"order": ["ciphertext"]})
    suite = json.loads((folder / "attacks/suite.json").read_text())
    suite["setting"] |= {"rate": 16000.0, "recordings": "synthetic"}
    (folder / "attacks/suite.json").write_text(json.dumps(suite))
    keep(folder, clips(attack="order", given="5 s of ciphertext", block_size=10))
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sweeps of 60 keys and one run of attacks."""
    folder, rng = tmp_path_factory.mktemp("runs"), np.random.default_rng(0)
    for scheme, size in (("rom", 3), ("rom", 10), ("flipping", 10), ("shuffling", 10)):
        write_run(
            folder / f"{scheme}{size}", 20 + 20 * rng.beta(3, 2, 60), scheme=scheme, block_size=size,
            corpus_recordings="synthetic",
        )  # fmt: skip
    keep(folder / "rom3", clips())
    broken_rom(folder / "speech")
    return folder


@pytest.fixture(scope="session")
def report(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of their report."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    assert main(["report", str(runs), "--out", str(out)]) == 0
    return out.as_uri()


@pytest.fixture(scope="session")
def comparison(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the page that compares two of them."""
    out = tmp_path_factory.mktemp("compare") / "compare.html"
    main(["compare", str(runs / "rom3"), str(runs / "rom10"), "--out", str(out)])
    return out.as_uri()


@pytest.fixture(params=["report", "comparison"])
def address(request: pytest.FixtureRequest) -> str:
    """Both pages, one after the other."""
    return request.getfixturevalue(request.param)


def test_it_opens_without_a_complaint_or_a_request(page: Page, address: str) -> None:
    page.requests()
    page.open(address)
    assert page.console() == []
    assert {asked.partition("#")[0] for asked in page.requests()} == {address}


def test_the_first_screen_names_what_breaks(page: Page, report: str) -> None:
    page.open(report)
    seen = page.run(
        """return [...document.querySelectorAll("h1, .answer, .warnings, .board th, .board .state, .board .price")]
        .filter((one) => { const box = one.getBoundingClientRect();
            return box.height && box.top >= 0 && box.bottom <= 800 && box.right <= innerWidth; })
        .map((one) => one.innerText.replaceAll("\\u00a0", " "))"""
    )
    answer = next(text for text in seen if "eavesdropper who" in text)
    assert answer.startswith("No for ROM at M = 10:")
    row = seen.index(next(text for text in seen if text.startswith("ROM, M = 10")))
    assert any("Broken" in text for text in seen[row:]) and "5 s of speech · 2 s CPU" in seen[row:]
    assert any(text.startswith("Eavesdropper") for text in seen)


def test_every_clip_can_be_heard(page: Page, report: str) -> None:
    page.open(report)
    heard = page.durations("#listen audio")
    assert len(heard) == 6 and heard == pytest.approx([1.0] * 6, abs=0.1)
    assert page.run("return [...document.images].every((one) => one.complete && one.naturalWidth)")


def test_a_dot_shows_its_key_and_the_address_remembers_it(page: Page, report: str) -> None:
    page.open(report)
    page.run('document.addEventListener("wrongkey:key", (event) => { window.told = event.detail; })')
    x, y, run, index = page.run(
        """const best = document.querySelectorAll("#violins .best")[1]; best.scrollIntoView({block: "center"});
        const box = best.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2, best.dataset.run, Number(best.dataset.index)]"""
    )
    click(page, x, y)
    assert page.run("return window.told") == {"run": run, "index": index}
    said = page.run('return document.getElementById("key").innerText')
    assert f"key {index}" in said and "rank 1 of 60" in said and f"--index {index}" in said
    page.open(page.run("return location.href"))
    assert page.run('return document.getElementById("key").innerText') == said


def test_any_dot_can_be_clicked(page: Page, report: str) -> None:
    """Each dot is a subpath of a path, "Mx,yh0"; the middle one is as good as any."""
    page.open(report)
    x, y = page.run(
        """const svg = document.getElementById("violins"), dots = svg.querySelector("path.dots");
        svg.scrollIntoView({block: "center"});
        const places = dots.getAttribute("d").match(/M[^h]+/g), place = places[places.length >> 1];
        const at = new DOMPoint(...place.slice(1).split(",").map(Number)).matrixTransform(svg.getScreenCTM());
        return [at.x, at.y]"""
    )
    click(page, x, y)
    assert ", key " in page.run('return document.getElementById("key").innerText')


def test_the_keyboard_reaches_the_keys(page: Page, report: str) -> None:
    page.open(report)
    page.run('document.querySelector("#violins .best").focus()')
    press(page, "Enter")
    first = page.run('return document.getElementById("key").innerText')
    assert "rank 1 of 60" in first
    assert page.run('return document.activeElement.classList.contains("best")')
    page.run('[...document.querySelectorAll("#key button")].find((one) => one.textContent === "Worse").focus()')
    press(page, "Enter")
    assert "rank 2 of 60" in page.run('return document.getElementById("key").innerText')
    assert page.run("return document.activeElement.textContent") == "Worse"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_serious(page: Page, address: str, width: int, dark: bool) -> None:
    page.open(address, width, 800, dark)
    assert page.violations() == []


def test_a_phone_does_not_scroll_sideways(page: Page, address: str) -> None:
    page.open(address, 390, 844)
    assert page.run("return document.documentElement.scrollWidth") <= 390
    wide = page.run(
        """return [...document.querySelectorAll("table")].filter((one) => one.scrollWidth > 390).map((one) => {
        const box = one.closest(".scroll"), look = getComputedStyle(box);
        return [look.overflowX, box.tabIndex, look.backgroundImage.includes("gradient")]; })"""
    )
    assert wide and all(one == ["auto", 0, True] for one in wide)


@pytest.mark.parametrize("paper", [(8.27, 11.69), (8.5, 11)], ids=["A4", "Letter"])
def test_print_has_the_answer_and_every_caution(page: Page, report: str, paper: tuple[float, float]) -> None:
    pypdf = pytest.importorskip("pypdf")
    page.open(report)
    asked = {"paperWidth": paper[0], "paperHeight": paper[1], "printBackground": True, "preferCSSPageSize": False}
    printed = page.driver.execute_cdp_cmd("Page.printToPDF", asked)["data"]
    pages = pypdf.PdfReader(io.BytesIO(base64.b64decode(printed))).pages
    assert 1 < len(pages) < 20 and float(pages[0].mediabox.width) == pytest.approx(72 * paper[0], abs=2)
    text = " ".join(pages[0].extract_text().split())
    said = page.run('return [...document.querySelectorAll(".answer, .warnings li")].map((one) => one.innerText)')
    for sentence in said:
        assert squeezed(sentence) in squeezed(text)


def test_without_javascript_the_still_figures_are_seen(page: Page, report: str) -> None:
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.open(report)
        shown = page.run(
            """return [...document.querySelectorAll(".still img")].map((one) => one.getBoundingClientRect().height)"""
        )
        assert len(shown) >= 2 and min(shown) > 100
        assert page.run('return document.getElementById("explore").getBoundingClientRect().height') == 0
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.mark.parametrize("evil", EVIL)
def test_names_are_text(page: Page, tmp_path: Path, evil: str) -> None:
    """In a corpus, a model, a transcript, a clip, an attack's setting and a manifest."""
    folder = write_run(
        tmp_path / "run", [30.0, 10.0, 20.0], task="asr", metric="wer", model=evil, corpus=evil, device=evil,
        config={"command": evil, "text": evil}, git=evil, cautions=[evil], model_card={"family": evil},
        self_checks=[{"name": evil, "passed": False, "value": 1.0, "limit": 0.0, "text": evil}],
    )  # fmt: skip
    write_outputs(folder, heard([evil], [evil]), {index: heard([evil], [evil]) for index in range(3)})
    keep(folder, clips(voice=evil, model=evil, corpus=evil))
    attacked = write_attacks(tmp_path / "attacked", random_keys())
    path = attacked / "attacks/suite.json"
    suite = json.loads(path.read_text())
    suite["setting"] |= {"corpus": evil, "model": evil}
    path.write_text(json.dumps(suite))
    out = write_report([folder], tmp_path / "report.html", attacks=find_attacks([attacked]))
    page.open(out.as_uri(), 390)
    page.run('document.querySelector("#violins .best").dispatchEvent(new MouseEvent("click", {bubbles: true}))')
    page.run('document.querySelectorAll("details").forEach((one) => { one.open = true; })')
    assert page.console() == []
    assert page.run("return window.__evil === undefined")
    assert page.run('return document.querySelectorAll("script").length') == 2
    text = page.run("return document.documentElement.textContent")
    assert "\u202e" not in text and ("{{7*7}}" in text) == ("{{" in evil)
    assert page.run('return [...document.querySelectorAll("a")].every((one) => !one.href.startsWith("javascript:"))')
    assert page.run("return document.documentElement.scrollWidth") <= 390


def click(page: Page, x: float, y: float) -> None:
    """Press the mouse at a place of the window, as a reader does."""
    for kind in ("mousePressed", "mouseReleased"):
        event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def press(page: Page, key: str) -> None:
    """Press a key on what has the focus."""
    for kind in ("keyDown", "keyUp"):
        event = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": 13, "text": "\r"}
        page.driver.execute_cdp_cmd("Input.dispatchKeyEvent", event)


def squeezed(text: str) -> str:
    """Without spaces, line breaks and ligatures, which a PDF has where it likes."""
    return "".join(unicodedata.normalize("NFKC", text).split())
