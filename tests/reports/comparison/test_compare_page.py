"""What `compare` writes besides its text: a page, and one JSON document."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reports.attack_folders import rows, write_attacks
from tests.reports.test_analyses import keys_of
from wrongkey.cli import main
from wrongkey.reports.comparison.compare import compare
from wrongkey.reports.page.compare import count_table, render_comparison
from wrongkey.reports.runs import load_run

MakeRun = Callable[..., Path]
LOW = np.random.default_rng(3).normal(25, 4, 300)
PREDICTION = {"from": "all measures,", "keys": 100, "rho": 0.5, "low": 0.4, "high": 0.6, "r2": 0.25, "hits": 0.3}


class Page(HTMLParser):
    """Elements and texts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_the_page_has_verdict_counts_figures_and_tables(make_run: MakeRun, tmp_path: Path, capsys: Any) -> None:
    a, b = make_run("a", LOW), make_run("b", LOW + 2, scheme="flipping")
    out = tmp_path / "deep" / "page.html"
    assert main(["compare", str(a), str(b), "--out", str(out)]) == 0
    said = capsys.readouterr()
    page = Page(out.read_text(encoding="utf-8"))
    for line in said.out.splitlines():
        assert line in page.text
    assert {"class": "answer state-yes"} in page.all("p")
    alts = [image["alt"] for image in page.all("img")]
    assert len(alts) == 2 and "median EER" in alts[0] and "0 of 300 keys [0, 1.2 %] within 1 point" in alts[1]
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in page.all("img"))
    assert "Scores under incorrect keys" in page.text and not page.all("script")
    assert len(page.all("th")) == len([one for one in page.all("th") if one.get("scope") in ("row", "col")]) > 10
    assert str(tmp_path) not in out.read_text(encoding="utf-8")  # no path of this machine


def test_names_of_strangers_are_text(make_run: MakeRun) -> None:
    name = "<script>alert(1)</script>\u202e"
    a, b = (load_run(make_run(folder, LOW, model=name, corpus=name)) for folder in ("a", "b"))
    html = render_comparison(compare(a, b))
    assert not Page(html).all("script") and "\u202e" not in html and r"\u202e" in html


def test_the_table_of_counts_says_what_the_sentences_say(make_run: MakeRun) -> None:
    a, b = make_run("a", LOW), make_run("b", LOW + 2)
    for folder, hits in ((a, 5), (b, 0)):
        table = rows("order", "10 s", [0.02] * hits + [1.4] * (40 - hits), seconds=5.0)
        if folder == b:
            table += rows("told", "1 known blocks", [1.4] * 3, seconds=1.0)
        write_attacks(folder, table)
    comparison = compare(load_run(a), load_run(b))
    table = count_table(comparison).set_index("Count")
    assert table.loc["Mean EER over keys", "B against A"].startswith("2.00 points safer (95 % bounds +")
    weak = table.loc["Weak keys, within 1 point of plain"]
    assert (weak["A"], weak["B"], weak["Margin"], weak["B is"]) == ("0 of 300", "0 of 300", "3 %", "not worse")
    assert weak["B against A"].startswith("+0.0 %")
    attack = table.loc["order (10 s): key or speech"]
    assert (attack["A"], attack["B"]) == ("5 of 40", "0 of 40") and attack["B against A"].startswith("-12.5 %")
    assert table.loc["told (1 known blocks): key or speech", "A"] == "not run"
    for one in comparison.hypotheses:
        assert comparison.line(one) in str(comparison)


def test_the_document_holds_what_the_verdict_rests_on(make_run: MakeRun, capsys: Any) -> None:
    a, b = make_run("a", LOW), make_run("b", LOW[:100] - 12, plain=None, plain_query=None)
    assert main(["compare", str(a), str(b), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    comparison = compare(load_run(a), load_run(b))
    assert found["format"] == "wrongkey-comparison/1" and found["verdict"] == comparison.verdict == "worse"
    assert found["a"]["mean"]["value"] == comparison.a.mean.value and found["b"]["plain"] is None
    (mean,) = found["counts"]
    gain = comparison.hypotheses[0].gain
    assert (mean["kind"], mean["gain"], mean["low"], mean["high"]) == ("mean", gain.value, gain.low, gain.high)
    assert mean["sentence"] in str(comparison) and found["warnings"] == list(comparison.warnings)
    assert found["paired"] is False and found["locked"] is False
    assert found["description"]["worst_gain"] == comparison.worst


def test_a_bound_that_is_not_known_is_null(make_run: MakeRun, capsys: Any) -> None:
    few = make_run("few", LOW[:3])
    assert main(["compare", str(few), str(few), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["counts"][0]["low"] is None


def test_analyses_of_keys_stand_side_by_side_and_decide_nothing(make_run: MakeRun) -> None:
    a, b = make_run("a", LOW), make_run("b", LOW + 2)
    before = compare(load_run(a), load_run(b))
    keys_of(a, prediction=[PREDICTION])
    assert compare(load_run(a), load_run(b)).strength == ()
    keys_of(b, prediction=[PREDICTION | {"rho": 0.7}])
    keys_of(b / "nested", prediction=[PREDICTION | {"rho": 0.9}])  # of another run
    after = compare(load_run(a), load_run(b))
    assert after.strength[0] == (
        "Errors of keys predicted from all measures: rank correlation 0.50 [0.40, 0.60] in A, 0.70 [0.40, 0.60] in B."
    )
    assert after.verdict == before.verdict and after.hypotheses == before.hypotheses
    assert "How well the error of a key is predicted" in render_comparison(after)


@pytest.mark.parametrize(("out", "said"), [("page.pdf", "for example "), ("", "is empty: give a value")])
def test_another_ending_is_refused_before_anything_is_compared(
    make_run: MakeRun, tmp_path: Path, capsys: Any, out: str, said: str
) -> None:
    a = make_run("a", LOW)
    assert main(["compare", str(a), str(a), "--out", out and str(tmp_path / out)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and not captured.out and not list(tmp_path.glob("page*"))


def test_a_page_that_cannot_be_written_is_one_sentence(make_run: MakeRun, tmp_path: Path, capsys: Any) -> None:
    a = make_run("a", LOW)
    (tmp_path / "folder.html").mkdir()
    assert main(["compare", str(a), str(a), "--out", str(tmp_path / "folder.html")]) == 2
    assert "The page cannot be written to " in capsys.readouterr().err
