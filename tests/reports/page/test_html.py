"""The report as a reader gets it: whole, self-contained, escaped, and never half written."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reports.conftest import heard, write_outputs
from wrongkey import reports
from wrongkey.errors import BadInput
from wrongkey.reports.page.html import keep_units_together
from wrongkey.reports.page.write import write_report
from wrongkey.reports.runs import load_run, load_runs
from wrongkey.reports.statistics.key_statistics import summarise, summarise_all
from wrongkey.reports.verdicts import cautions, check_rows, headline

MakeRun = Callable[..., Path]
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks that every element is closed in order, and collects ids, links and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.scripts: list[str] = []
        self.attributes: list[dict[str, str]] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(self.text.replace("\u00a0", " ").split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append({"": tag, **{name: value or "" for name, value in attrs}})
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.links.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif self.open[-1:] != ["style"]:
            self.text += data


def page_of(folders: list[Path], out: Path) -> Page:
    return Page(write_report(folders, out).read_text(encoding="utf-8"))


def names(page: Page) -> set[str]:
    """The figures of a page, by the first words of their captions."""
    kinds = {
        "one shape per run": "violins-asv-eer",
        "of incorrect keys that come within a distance": "survival-asv-eer",
    }
    kinds |= {"against block size M": "block-size-asv-eer"}
    return {name for words, name in kinds.items() if words in page.text}


def test_one_run(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    page = page_of([make_run("a", scores, corpus="VoxCeleb1 test")], tmp_path / "report.html")
    result = summarise(load_run(tmp_path / "a"))
    assert headline(result) in page.text
    assert "40 speakers, 4,950 trials, real" in page.text and "not evidence" not in page.text
    assert "wrongkey sweep --model RawNeXt --corpus 'VoxCeleb1 test' --scheme rom" in page.text
    assert "Fig. 9" in page.text and "the same corpus" in page.text
    assert names(page) >= {"violins-asv-eer"} and "block-size-asv-eer" not in names(page)
    assert {path.stem for path in (tmp_path / "report-figures").iterdir()} == names(page)
    assert not list(tmp_path.glob(".report-*"))


def test_twelve_runs(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    folders = [
        make_run(f"{scheme}{size}", scores + size, scheme=scheme, block_size=size)
        for scheme in ("rom", "shuffling", "flipping")
        for size in (3, 5, 10, 128)
    ]
    page = page_of(folders, tmp_path / "report.html")
    assert names(page) >= {"violins-asv-eer", "block-size-asv-eer"}
    assert page.text.count("of 200 came within") + page.text.count("None came") >= 12
    assert "12 of 12 runs" in page.text


def test_the_page_stands_alone(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    folders = [make_run("a", scores), make_run("b", scores, block_size=10)]
    html = write_report(folders, tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    inner = {link[1:] for link in page.links if link.startswith("#")}
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert inner and inner <= set(page.ids) and len(page.ids) == len(set(page.ids))
    assert "@import" not in html and "http://www.w3.org/2000/svg" in html  # a name, not an address
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


def test_notes_say_what_the_numbers_are(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    text = page_of([make_run("a", scores)], tmp_path / "report.html").text
    assert "expected to draw until one comes that close" in text
    assert "(n + 1) / (k + 1) if k of n keys" in text
    assert "relative to the largest entry of the plain model’s answers" in text and "of texts" in text
    assert "A query that was not encrypted" in text and "carries no key" not in text
    assert text.count("rule of three") == 1


def test_the_variant_is_named_wherever_a_run_is(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    folder = make_run("a", scores, config={"variant": "test"})
    text = page_of([folder], tmp_path / "report.html").text
    assert "200 incorrect ROM keys, M = 3, only the test side: median EER" in text
    assert "RawNeXt, ROM, M = 3, only the test side" in text
    assert "only the test side guesses (the paper does not say how speakers were enrolled)" in text
    assert "only the test side" not in page_of([make_run("b", scores)], tmp_path / "report.html").text


def test_a_difference_from_the_paper_is_printed_once(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    folders = [make_run(s, scores, scheme=s, block_size=10, model="mine") for s in ("shuffling", "flipping")]
    text = page_of(folders, tmp_path / "report.html").text
    assert text.count("another model (mine)") == 1
    assert "Table I, beside mine, Flipping, M = 10; mine, Shuffling, M = 10. The paper: HuBERT" in text


def test_in_print_intervals_stand_below_their_values(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    """So that the widest table is no wider than a page; what a browser prints is looked at by hand."""
    html = write_report([make_run("a", scores)], tmp_path / "report.html").read_text(encoding="utf-8")
    found = re.findall(r'<td>[\d.]+ <span class="interval">\[[\d., ]+\]</span></td>', html)
    assert len(found) == 4  # mean, median, variance, and that of the best wrong key
    assert ".interval { display: block; }" in html[html.index("@media print") :]


def test_hostile_names_are_text(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>\"&{{ 7 * 7 }}$x$"
    page = page_of(
        [
            make_run(
                "a",
                scores,
                model=evil,
                corpus=evil,
                scheme=evil,
                device=evil,
                config={"command": ["wrongkey", evil]},
                self_checks=[{"name": evil, "passed": False, "value": 1, "limit": 0, "text": evil}],
            )
        ],
        tmp_path / "report.html",
    )
    assert page.tags.count("script") == 2 and not any(line.startswith("alert") for line in page.scripts)
    assert not [name for one in page.attributes for name in one if name.startswith("on")]
    assert "<script>alert('x')</script>" in page.text and "{{ 7 * 7 }}" in page.text


def test_the_same_runs_make_the_same_bytes(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    folder = make_run("a", scores, other_metrics={"min_dcf": scores / 100})
    first = write_report([folder], tmp_path / "1" / "r.html")
    second = write_report([folder], tmp_path / "2" / "r.html")
    assert first.read_bytes() == second.read_bytes()
    assert "minDCF, also measured" in Page(first.read_text(encoding="utf-8")).text


def test_measures_beside_stand_in_one_table(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    beside = {"cllr_min": scores / 60, "worst_llr": scores / 20}
    page = Page(write_report([make_run("a", scores, other_metrics=beside)], tmp_path / "r.html").read_text("utf-8"))
    assert page.text.count("Also measured") == 1 and "Cllr, least, also measured" not in page.text
    assert "Cllr, least (bits)" in page.text
    assert f"{scores.max() / 20:.2f} (C)" in page.text  # the best key for an adversary, with ZEBRA's category
    plain = Page(write_report([make_run("b", scores)], tmp_path / "s.html").read_text("utf-8"))
    assert "Also measured" not in plain.text


def test_an_old_report_stays_when_a_new_one_fails(
    make_run: MakeRun, scores: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report.html"
    out.write_text("old")
    with pytest.raises(BadInput):
        write_report([tmp_path / "nothing"], out)
    monkeypatch.setattr("wrongkey.reports.page.write.render", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report([make_run("a", scores)], out)
    assert out.read_text() == "old" and sorted(path.name for path in tmp_path.iterdir()) == ["a", "report.html"]


def test_figures_go_where_they_are_asked_to(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    write_report([make_run("a", scores)], tmp_path / "report.html", figures=tmp_path / "plates")
    assert (tmp_path / "plates" / "violins-asv-eer.svg").is_file() and not (tmp_path / "report-figures").exists()


def test_places_that_cannot_be_written(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    folder = make_run("a", scores)
    with pytest.raises(BadInput, match="is a folder: name a file"):
        write_report([folder], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        write_report([folder], tmp_path / "file" / "report.html")


def test_headlines(make_run: MakeRun) -> None:
    def said(name: str, values: object, **settings: object) -> str:
        return headline(summarise(load_run(make_run(name, values, **settings))))

    assert said("a", [31.2] * 999 + [12.4]) == (
        "1,000 incorrect ROM keys, M = 3: median EER 31.2 % (plain 7.9 %); the best of them reached 12.4 %. "
        "1 of 1,000 came within 5 points of the plain model (0 to 1 by the ends of the keys’ own intervals)."
    )
    every = {"scheme": "shuffling", "keys": 1000, "key_space": 3, "enumerated": True}
    assert said("b", [31.2, 30.0, 40.0], **every).startswith("All 3 incorrect Shuffling keys, M = 3: median EER")
    assert said("c", [31.2, 30.0]).endswith("None came within 5 points of the plain model.")
    assert said("d", [31.2], plain=None) == "1 incorrect ROM key, M = 3: EER 31.2 %."
    accuracy = {"task": "asc", "metric": "accuracy", "plain": 85.4}
    assert "the best of them reached 60.0 %" in said("e", [2.0, 60.0, 3.0], **accuracy)


def test_cautions(make_run: MakeRun) -> None:
    def said(name: str, values: object, **settings: object) -> list[str]:
        return cautions(summarise(load_run(make_run(name, values, **settings))))

    many = [30.0] * 40
    assert said("a", many) == []
    assert said("b", many, keys=1000) == ["This run is unfinished: 40 of 1,000 keys."]
    assert "(8.40 instead of 7.90): do not trust" in said("c", many, correct=8.4)[0]
    assert "near chance" in said("d", many, plain=45.0, correct=45.0)[0]
    failed = [{"name": "batch size", "passed": False, "value": 1.0, "limit": 0.1, "text": ""}]
    assert said("e", many, self_checks=failed) == ["Self-checks failed (batch size): do not trust this run."]
    assert said("f", [30.0]) == ["Only 1 key: rare keys that work well would be missed."]
    assert len(said("g", many, plain=None, correct=None)) == 2
    waveform = {"task": "asr", "metric": "wer", "correct": None, "config": {"variant": "waveform"}}
    assert said("h", many, **waveform) == []
    for sessions, words in {
        "within": "All same-speaker trials lie within one recording session: microphone",
        "mixed": "30 of 450 same-speaker trials lie within one recording session",
        "unknown": "does not say its recording sessions",
        "across": None,
    }.items():
        facts = {"target": 450, "nontarget": 450, "sessions": sessions, "within_session": 30}
        found = said(f"sessions {sessions}", many, trials=facts)
        assert [words in line for line in found] == [True] if words else not found
    assert said("i", many, plain=None, **waveform) == [
        "The plain model was not measured: it is not known how good it is without encryption."
    ]
    classes = {"task": "asc", "metric": "accuracy", "corpus_facts": {"classes": 2}}
    assert "near chance" in said("j", many, plain=55.0, correct=55.0, **classes)[0]


def test_checks_are_gathered_over_runs(make_run: MakeRun) -> None:
    def run_with(name: str, passed: bool, value: float) -> Path:
        check = {"name": "batch size", "passed": passed, "value": value, "limit": 0.1, "text": f"batches of {name}"}
        return make_run(name, [30.0, 31.0], scheme=name, self_checks=[check])

    results = summarise_all(load_runs([run_with("a", True, 0.01), run_with("b", False, 0.7)]))
    scores, batches = check_rows(results)
    assert (scores.text, scores.runs, scores.failed, scores.value) == (
        "The correct key gives the plain model’s EER.",
        2,
        [],
        0.0,
    )
    assert (batches.text, batches.runs, batches.value) == ("Batches of a", 2, 0.7)
    assert batches.failed == ["RawNeXt, b, M = 3"]


@pytest.mark.parametrize(
    ("recordings", "sentence"),
    [("synthetic", "Synthetic voices: not evidence."), ("unknown", "not evidence until it does")],
)
def test_what_is_not_evidence_says_so(
    make_run: MakeRun, scores: np.ndarray, tmp_path: Path, recordings: str, sentence: str
) -> None:
    folder = make_run("a", scores, corpus_recordings=recordings)
    assert page_of([folder], tmp_path / "report.html").text.count(sentence) == 1


def test_a_bare_manifest_is_enough(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    folder = make_run("a", scores)
    (folder / "manifest.json").write_text('{"format": "wrongkey-run/1", "config": {}}')
    page = page_of([folder], tmp_path / "report.html")
    assert "200 incorrect, seed unknown, complete" in page.text and "not evidence until it does" in page.text


def test_tasks_have_their_own_sections(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    folders = [make_run("a", scores), make_run("b", scores, task="asr", metric="wer")]
    text = page_of(folders, tmp_path / "report.html").text
    assert "ASV: EER under incorrect keys" in text and "ASR: WER under incorrect keys" in text


def test_encrypted_waveforms_into_a_plain_model(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    """No correct key and nothing that complains about it; a section of its own beside encrypted models."""
    setting: dict[str, Any] = {"task": "asr", "metric": "wer", "model": "whisper-tiny.en", "trials": None}
    setting["config"] = {"variant": "waveform", "blocks": "samples", "text": "basic"}
    plain = {"correct": None, "plain_query": None, "block_size": 5}
    folder = make_run("w", scores, **setting, **plain, other_metrics={"runaway": scores / 50})
    keyed = make_run("k", scores, task="asr", metric="wer", dims=2, config={"blocks": "tiles"})
    text = page_of([folder, keyed], tmp_path / "report.html").text
    assert "200 ROM keys, M = 5, encrypted waveforms into the plain model: median WER" in text
    assert "200 incorrect ROM keys, M = 3 (tiles): median WER" in text
    assert "ASR, encrypted waveforms into the plain model: WER" in text and "ASR: WER under incorrect keys" in text
    assert "ASR: runaway decodings, also measured (plain model)" in text
    assert (
        "Table IV, beside whisper-tiny.en, ROM, M = 5." in text
        and "Table II, beside RawNeXt, ROM, M = 3 (tiles)." in text
    )
    assert "normalised by “basic”" in text and "The model carries no key, so there is no correct one" in text
    assert "was not measured" not in text
    assert (tmp_path / "report-figures" / "violins-asr-wer-plain-model.png").is_file()
    assert cautions(summarise(load_run(folder))) == []
    only = page_of([folder], tmp_path / "only.html").text
    assert "Correct key" not in only and "Plain query" not in only and "best wrong key" not in only


def test_facts_of_recognition_and_classification(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    words, classes = ({"speakers": 0, **fact} for fact in ({"words": 1234}, {"classes": 2}))
    asr = make_run("a", scores, task="asr", metric="wer", trials=None, corpus_facts=words)
    names = ["dog", "rain"]
    asc = make_run("b", scores, task="asc", metric="accuracy", dims=2, trials=None, corpus_facts=classes, classes=names)
    text = page_of([asr, asc], tmp_path / "report.html").text
    assert "toy, 400 utterances, 1,234 words in the transcripts" in text and "0 speakers" not in text
    assert "toy, 400 utterances, 2 classes" in text and "dog, rain" in text
    assert "wrongkey sweep --model RawNeXt" in text and "toy: 40 speakers" not in text  # 0 speakers are not counted
    assert "M = 3 of a waveform" in text and "M = 3 (tiles) of a spectrogram" in text


def test_devices_of_later_sessions_are_named(make_run: MakeRun, tmp_path: Path) -> None:
    devices = ("cpu, 2 cores", "NVIDIA H100", "cpu, 2 cores")
    folder = make_run("a", [50.0, 60.0], device=devices[0], sessions=[{"device": device} for device in devices])
    assert "cpu, 2 cores, then NVIDIA H100" in page_of([folder], tmp_path / "report.html").text


def test_what_was_heard_and_confused_is_shown_where_it_was_kept(
    make_run: MakeRun, scores: np.ndarray, tmp_path: Path
) -> None:
    said = ["ONE TWO", "THREE <b>FOUR</b>"]
    asr = make_run("a", [50.0, 60.0, 70.0], task="asr", metric="wer")
    write_outputs(asr, heard(said, said), {i: heard(said, ["ONE SIX", "NINE"]) for i in range(3)})
    asc = {"task": "asc", "metric": "accuracy", "plain": 80.0, "correct": 80.0}
    folders = [make_run(name, [10.0, 20.0], **asc, model=model) for name, model in (("b", "a_b"), ("c", "a-b"))]
    for folder in folders:
        answers = {"utterance": ["x", "y"], "label": ["dog", "rain"], "prediction": ["dog", "dog"]}
        write_outputs(folder, answers, {0: answers, 1: answers})
    html = write_report([asr, *folders, make_run("d", scores)], tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert "What was heard" in page.text and "THREE <b>FOUR</b>" in page.text and "median key, number 1" in page.text
    assert "shares of the clips of each class" in page.text and len(page.ids) == len(set(page.ids))
    names = {path.name for path in (tmp_path / "report-figures").glob("confusion*.png")}
    assert names == {"confusion-1-a-b-rom-m-3.png", "confusion-2-a-b-rom-m-3.png"}


def test_numbers_keep_their_units() -> None:
    assert keep_units_together("M = 3: 31.2 %") == "M\u00a0=\u00a03: 31.2\u00a0%"


def test_the_package_offers_its_names() -> None:
    for name in reports.__all__:
        home = getattr(reports, name)
        assert name == "METRICS" or home.__module__.startswith("wrongkey.reports."), name
    with pytest.raises(AttributeError):
        _ = reports.nonsense  # type: ignore[attr-defined]
