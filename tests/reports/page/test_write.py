"""Every format of a report, through the command line; what a killed run left, and a page made again from its JSON."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from tests.reports.attack_folders import random_keys, rows, write_attacks
from wrongkey.cli import main
from wrongkey.reports.page.scratch import LOCK, remove_leftovers

MakeRun = Callable[..., Path]


@pytest.fixture
def folder(make_run: MakeRun, scores: np.ndarray) -> Path:
    return make_run("a", scores)


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What a command that is refused says, in one line."""
    capsys.readouterr()
    assert main([*map(str, words)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    return error


def test_several_formats_at_once(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out" / "r.html"
    formats = ["--format", "html,json,pdf", "--format", "md", "--format", "csv,tex"]
    assert main(["report", str(folder), "--out", str(out), *formats]) == 0
    printed = capsys.readouterr()
    written = [Path(line) for line in printed.out.splitlines() if line.startswith(str(tmp_path))]
    assert f"Reading {folder} …" in printed.err and "Drawing the figures …" in printed.err
    assert {path.name for path in written} == {f"r.{end}" for end in ("html", "json", "pdf", "md", "csv", "tex")}
    assert all(path.stat().st_size for path in written)
    text = {path.suffix: path.read_bytes() for path in written}
    assert text[".pdf"].startswith(b"%PDF") and b"/Type3" not in text[".pdf"]
    assert text[".md"].decode().startswith("# Does the key protect the speech?")
    assert "| RawNeXt, ROM, M = 3 |" in text[".md"].decode()
    assert b"RawNeXt" in text[".tex"] and json.loads(text[".json"])["format"] == "wrongkey-report/1"


def test_an_ending_alone_names_the_format(folder: Path, tmp_path: Path) -> None:
    assert main(["report", str(folder), "--out", str(tmp_path / "x.pdf")]) == 0
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF") and not (tmp_path / "x.html").exists()
    assert main(["report", str(folder), "--out", str(tmp_path / "plain"), "--format", "md"]) == 0
    assert (tmp_path / "plain.md").is_file() and not (tmp_path / "plain-figures").exists()


def test_what_contradicts_itself_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "ends in .pdf" in said(capsys, "report", folder, "--out", tmp_path / "x.pdf", "--format", "html")
    assert "ends in .doc" in said(capsys, "report", folder, "--out", tmp_path / "x.doc")
    assert "--format docx is unknown" in said(capsys, "report", folder, "--format", "html,docx")
    assert "names no format" in said(capsys, "report", folder, "--format", ",")
    assert "unknown ending" in said(capsys, "report", folder, "--table", tmp_path / "x.xls")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_the_numbers_of_attacks_alone_and_beside_a_sweep(folder: Path, tmp_path: Path) -> None:
    attacks = write_attacks(
        tmp_path / "b", [*rows("order", "5 s of ciphertext", [0.0] * 12, seconds=5), *random_keys()]
    )
    assert main(["report", str(attacks), "--format", "csv", "--out", str(tmp_path / "x.csv")]) == 0
    table = (tmp_path / "x.csv").read_text()
    assert table.startswith("run,scheme,") and "b,rom,samples,4,,toy,order,5 s of ciphertext,key,broken" in table
    assert main(["report", str(attacks), str(folder), "--out", str(tmp_path / "y.csv")]) == 0
    assert (tmp_path / "y-attacks.csv").read_text() == table and "a,asv,RawNeXt" in (tmp_path / "y.csv").read_text()


def test_a_page_made_again_from_its_json(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder), "--out", str(tmp_path / "r.html"), "--format", "html,json"]) == 0
    first = (tmp_path / "r.html").read_text()
    assert main(["report", str(tmp_path / "r.json"), "--out", str(tmp_path / "again.html")]) == 0
    again = (tmp_path / "again.html").read_text()
    assert again.count("data:image/svg+xml") == first.count("data:image/svg+xml") > 0
    assert "needs the run folders" in said(capsys, "report", tmp_path / "r.json", "--out", tmp_path / "r.pdf")
    content = json.loads((tmp_path / "r.json").read_text())
    (tmp_path / "r.json").write_text(json.dumps(content | {"headline": 5}))
    assert "headline is 5" in said(capsys, "report", tmp_path / "r.json", "--out", tmp_path / "again.html")


def test_it_ends_with_the_answer_in_two_lines_at_most(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(folder), "--out", str(tmp_path / "r.json")]) == 0
    *answer, written = capsys.readouterr().out.splitlines()
    content = json.loads((tmp_path / "r.json").read_text())
    assert " ".join(answer) == content["headline"] and written == str(tmp_path / "r.json")
    (tmp_path / "r.json").write_text(json.dumps(content | {"headline": "no " * 200}))
    assert main(["report", str(tmp_path / "r.json"), "--out", str(tmp_path / "again.md")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[1].endswith(" …")


def test_figures_that_lie_elsewhere_are_missed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(folder), "--out", str(tmp_path / "r.json")]) == 0
    assert main(["report", str(tmp_path / "r.json"), "--out", str(tmp_path / "again.html")]) == 0
    assert "caution" not in capsys.readouterr().err
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "r.json").rename(moved / "r.json")
    assert main(["report", str(moved / "r.json"), "--out", str(tmp_path / "bare.html")]) == 0
    assert f"caution: {moved / 'r-figures'} lacks" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="no file here refuses its owner")
def test_a_figure_that_cannot_be_read_is_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(folder), "--out", str(tmp_path / "r.json")]) == 0
    figure = next((tmp_path / "r-figures").glob("*.svg"))
    figure.unlink()
    figure.symlink_to("/proc/self/mem")  # a file that even root cannot read from its start
    error = said(capsys, "report", tmp_path / "r.json", "--out", tmp_path / "again.html")
    assert "r-figures cannot be read (" in error and "check the permissions of the figures" in error
    assert not (tmp_path / "again.html").exists()


def test_a_file_that_is_no_report_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.csv").touch()
    assert "neither a folder nor a .json file" in said(capsys, "report", tmp_path / "x.csv")


def test_a_report_from_strangers_reads_no_other_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.svg").write_text("<svg>SECRET</svg>")
    assert main(["report", str(folder), "--out", str(tmp_path / "r.json")]) == 0
    content = json.loads((tmp_path / "r.json").read_text())
    for section in content["sections"]:
        for figure in section["figures"]:
            figure["name"] = "../secret"
    (tmp_path / "r.json").write_text(json.dumps(content))
    assert main(["report", str(tmp_path / "r.json"), "--out", str(tmp_path / "again.html")]) == 0
    assert "data:image/svg+xml" not in (tmp_path / "again.html").read_text()


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    def left(name: str, lock: bool = True, age: float = 3600.0) -> Path:
        (tmp_path / name / "files").mkdir(parents=True)
        if lock:
            (tmp_path / name / LOCK).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
        return tmp_path / name

    dead, foreign = left(".report-abcd1234"), left(".report-notes")
    unmarked, young, running = (
        left(".report-abcd1235", lock=False),
        left(".report-abcd1236", age=0),
        left(".report-abcd1237"),
    )
    parts = [tmp_path / f".{number:016x}.part" for number in range(2)] + [tmp_path / ".notes.part"]
    for part, age in zip(parts, (3600.0, 0.0, 3600.0), strict=True):
        part.touch()
        os.utime(part, (time.time() - age,) * 2)
    with FileLock(running / LOCK):
        remove_leftovers(tmp_path)
    assert not dead.exists() and [part.exists() for part in parts] == [False, True, True]
    assert all(folder.is_dir() for folder in (foreign, unmarked, young, running))
