"""`wrongkey view` in a browser: pick a key, hear it, keep it beside another, and come back to both by the address."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import Page
from tests.evaluation.run_folder.test_media import ABOUT, RATE, keep, tone
from tests.reports.conftest import heard, write_outputs, write_run
from wrongkey.evaluation.run_folder.media import Clip, row_of

TOKEN = "a-token"
CARDS = 'return [...document.querySelectorAll("#view h3")].map((one) => one.textContent)'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of two runs, with its token."""
    uvicorn = pytest.importorskip("uvicorn", reason="the extra `view` is not installed")
    from wrongkey.view.app import app
    from wrongkey.view.load import load

    folder = tmp_path_factory.mktemp("runs")
    for name, values in (("one", [30.0, 10.0, 20.0]), ("two <b>&#x27;%2f", [25.0, 15.0])):
        run = write_run(folder / name, values, task="asr", metric="wer", block_size=4, corpus_recordings="synthetic")
        keep(run, row_of([Clip("original", tone(0.5))], RATE, **ABOUT))
    write_outputs(folder / "one", heard(["one two"], ["one two"]), {1: heard(["one two"], ["<b>no</b> two"])})
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()  # a browser that comes before the server is up waits
    port = listening.getsockname()[1]
    started = uvicorn.Server(uvicorn.Config(app(load([folder]), TOKEN, port), log_level="critical", ws="none"))
    thread = threading.Thread(target=started.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{port}/?token={TOKEN}"
    started.should_exit = True
    thread.join(10)


def pick(page: Page, run: str, index: int) -> None:
    """Choose a key as the page does, and wait for its card."""
    page.run(
        'document.dispatchEvent(new CustomEvent("wrongkey:key", {detail: {run: arguments[0], index: arguments[1]}}))',
        run, index,
    )  # fmt: skip
    until(page, f'document.querySelector("#view h3")?.textContent === "{run}, key {index}"')


def until(page: Page, condition: str) -> Any:
    """Wait until a condition holds."""
    return page.wait(
        f"""const told = arguments[0], ask = () => {{ const found = {condition}; found ? told(true) :
        setTimeout(ask, 50); }}; ask()"""
    )


def test_the_token_leaves_the_address_and_nobody_else_is_asked(page: Page, server: str) -> None:
    page.requests()
    page.open(server)
    home = server.partition("?")[0]
    assert page.run("return location.href").partition("#")[0] == home
    pick(page, "one", 1)
    assert page.console() == []
    asked = page.requests()
    # What a sound is played from, once it has come, is an address within the page.
    assert asked and all(address.removeprefix("blob:").startswith(home) for address in asked), asked


def test_a_dot_brings_facts_sound_and_pictures(page: Page, server: str) -> None:
    page.open(server)
    page.run('document.querySelector("#violins .best").dispatchEvent(new MouseEvent("click", {bubbles: true}))')
    until(page, 'document.querySelector("#view h3")')
    assert page.run(CARDS) == ["one, key 1"]
    text = page.run('return document.getElementById("view").innerText')
    assert "10.00 [9.00, 11.00]" in text and "1 of 3" in text and "<b>no</b> two" in text and "--index 1" in text
    assert [one for one in page.run(
        'return [...document.querySelectorAll("#view button")].map((one) => one.textContent)'
    ) if ": " in one] == ["1: 10.00", "2: 20.00", "0: 30.00"]  # fmt: skip
    until(page, '[...document.querySelectorAll("#view audio")].every((one) => one.src)')
    heard = page.durations("#view audio")
    assert heard == pytest.approx([1.0, 1.0], abs=0.1)
    page.run('document.querySelectorAll("#view img").forEach((one) => one.scrollIntoView())')
    until(page, '[...document.querySelectorAll("#view img")].every((one) => one.complete && one.naturalWidth)')
    assert page.run('return document.querySelectorAll("#view details tbody tr").length') > 10
    assert page.console() == [] and page.violations() == []


def test_two_keys_stand_beside_each_other_and_the_address_has_both(page: Page, server: str) -> None:
    page.open(server)
    pick(page, "one", 2)
    page.run('[...document.querySelectorAll("#view button")].find((one) => one.textContent.startsWith("Keep")).click()')
    other = "two <b>&#x27;%2f"
    page.run(
        """[...document.querySelectorAll("#violins .best")].find((one) => one.dataset.run === arguments[0])
        .dispatchEvent(new MouseEvent("click", {bubbles: true}))""",
        other,
    )
    until(page, f'document.querySelector("#view h3").textContent === "{other}, key 1"')
    assert page.run(CARDS) == [f"{other}, key 1", "one, key 2"]
    places = page.run('return [...document.querySelectorAll("#view > section")].map((one) => one.offsetTop)')
    assert places[0] == places[1]
    address = page.run("return location.href")
    assert "beside-run=one" in address and "beside-key=2" in address
    page.open(address)
    until(page, 'document.querySelectorAll("#view h3").length === 2')
    assert page.run(CARDS) == [f"{other}, key 1", "one, key 2"]
    page.open(address, 390)
    until(page, 'document.querySelectorAll("#view h3").length === 2')
    assert page.run("return document.documentElement.scrollWidth") <= 390
    assert page.console() == []


def test_a_key_that_is_not_there_is_a_sentence(page: Page, server: str) -> None:
    page.open(server)
    page.open(f"{server.partition('?')[0]}#run=none&key=7")
    until(page, "document.querySelector(\"#view [role='alert']\")")
    assert page.run('return document.getElementById("view").innerText').startswith("There is no run 'none' here")
