"""The strength of keys in a report: section, board, every format, and folders that hold nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reports.strength_folders import write_strength
from wrongkey.cli import main
from wrongkey.reports.content import report_content
from wrongkey.reports.content.schema import Report
from wrongkey.reports.found import find_all

MakeRun = Callable[..., Path]
HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m{0.__class__}+turns={}|\n# x"


def content_of(*folders: Path) -> dict[str, Any]:
    found = find_all(folders)
    return report_content(found.runs, found.attacks, found.analyses, strengths=found.strengths)


def test_a_folder_with_a_strength_alone_has_its_section(tmp_path: Path) -> None:
    content = content_of(write_strength(tmp_path / "a"))
    assert Report.model_validate(json.loads(json.dumps(content, allow_nan=False)))
    assert content["board"] is None and content["sections"] == [] and content["verdict"] == "unclear"
    strength = content["strength"]
    assert content["headline"] == f"Effective strength of keys. {strength['lead']}"
    assert strength["lead"] == "asv-raw10, ROM, M = 10: 13.8 [12.3, 15.3] of 111 bits to within 1 point."
    (run,) = strength["runs"]
    assert run["estimates"][0]["bits"] == 13.8 and run["nominal_bits"] == 111.3 and run["scheme_label"] == "ROM"
    assert "1 measured strength of 15,300 keys scored" in content["facts"]
    (facts,) = content["runs"]
    assert (
        facts["kind"] == "strength" and facts["command"] == "wrongkey strength --model asv-raw10 --within 1,2,5 --out a"
    )
    assert "jane" not in json.dumps(content)


def test_the_lead_is_the_weakest_key(tmp_path: Path) -> None:
    write_strength(tmp_path / "a")
    write_strength(tmp_path / "b", (4.3,), block_size=3, model="asv-raw3", nominal=None)
    lead = content_of(tmp_path)["strength"]["lead"]
    assert lead == (
        "asv-raw3, ROM, M = 3: 4.3 [2.8, 5.8] bits to within 1 point (nominal bits: not countable). "
        "That is the weakest of 2 keys."
    )


def test_synthetic_speech_is_said_first(tmp_path: Path) -> None:
    content = content_of(write_strength(tmp_path / "a", recordings="synthetic"))
    assert any("not evidence" in caution for caution in content["cautions"])
    assert "(synthetic)" in content["strength"]["tables"][0]["rows"][0][-1]
    assert not content_of(write_strength(tmp_path / "b"))["cautions"]


def test_a_report_without_strengths_has_none(make_run: MakeRun, scores: np.ndarray) -> None:
    content = content_of(make_run("a", scores))
    assert content["strength"] is None and content["board"]["rows"][0]["strength"] == ""


def test_the_board_says_the_strength_of_its_row(tmp_path: Path, make_run: MakeRun, scores: np.ndarray) -> None:
    write_strength(tmp_path / "a")
    make_run("b", scores, model="asv-raw10", block_size=10)
    make_run("c", scores, model="asv-raw10", block_size=10, scheme="flipping")
    make_run("d", scores, model="asv-raw10", block_size=10, config={"variant": "test"})
    rows = content_of(tmp_path)["board"]["rows"]
    said = {row["label"]: row["strength"] for row in rows}
    assert said["ROM, M = 10"] == "13.8 [12.3, 15.3] of 111 bits to within 1 point"
    assert len(rows) == 3 and sum(map(bool, said.values())) == 1


def test_every_format_through_the_command_line(tmp_path: Path, make_run: MakeRun, scores: np.ndarray) -> None:
    write_strength(tmp_path / "runs" / "a")
    make_run("runs/b", scores, model="asv-raw10", block_size=10)
    formats = ["--format", "html,json,pdf,md,csv,tex"]
    assert main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "r.html"), *formats]) == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert 'href="#strength"' in page and "Strength: 13.8 [12.3, 15.3]" in page and 'download="strength.csv"' in page
    assert (tmp_path / "r-figures" / "strength.svg").is_file()
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "## Effective strength" in text and "| asv-raw10, ROM, M = 10 | 111 | 13.8 " in text
    assert "Effective strength |" in text  # of the board
    assert r"\label{tab:strength}" in (tmp_path / "r.tex").read_text(encoding="utf-8")
    assert "nominal_bits" in (tmp_path / "r-strength.csv").read_text(encoding="utf-8")
    again = ["report", str(tmp_path / "r.json"), "--out", str(tmp_path / "again.html")]
    assert main(again) == 0 and 'id="strength"' in (tmp_path / "again.html").read_text(encoding="utf-8")


def test_a_report_of_an_older_wrongkey_is_rendered_again(tmp_path: Path, make_run: MakeRun, scores: np.ndarray) -> None:
    assert main(["report", str(make_run("a", scores)), "--out", str(tmp_path / "r.json")]) == 0
    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    del content["strength"], content["sections"][0]["keys"][0]["scheme_label"], content["board"]["rows"][0]["strength"]
    (tmp_path / "r.json").write_text(json.dumps(content), encoding="utf-8")
    formats = ["--format", "html,md,tex"]
    assert main(["report", str(tmp_path / "r.json"), "--out", str(tmp_path / "again.html"), *formats]) == 0
    assert 'id="strength"' not in (tmp_path / "again.html").read_text(encoding="utf-8")


def test_hostile_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    names = dict.fromkeys(("scheme", "model", "corpus"), HOSTILE)
    folder = write_strength(tmp_path / "a")
    path = folder / "strength" / "strength.json"
    said = json.loads(path.read_text(encoding="utf-8")) | names | {"variant": HOSTILE, "metric": HOSTILE}
    said["estimates"].append({"within": 7.0, "why_not": HOSTILE})
    path.write_text(json.dumps(said), encoding="utf-8")
    formats = ["--format", "html,json,pdf,md,csv,tex"]
    assert main(["report", str(folder), "--out", str(tmp_path / "r.html"), *formats]) == 0
    for kind in ("html", "json", "md", "csv", "tex"):
        text = (tmp_path / f"r.{kind}").read_text(encoding="utf-8")
        assert "\u202e" not in text and "\x1b" not in text and "\n# x" not in text, kind
    assert "<script>alert" not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_ls_lists_strengths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_strength(tmp_path / "alone")
    write_strength(tmp_path / "both", alone=False)
    write_strength(tmp_path / "broken", plain="x")
    assert main(["ls", str(tmp_path)]) == 0
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    kinds = sorted((Path(line[0].strip()).name, next(filter(None, line[1:])).strip()) for line in lines)
    assert kinds == [("alone", "strength"), ("both", "strength"), ("both", "sweep"), ("broken", "strength")]
    assert main(["ls", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["state"] for one in found if one["kind"] == "strength"} == {"complete", "unreadable"}
    assert any(one["result"] == "13.8 [12.3, 15.3] of 111 bits to within 1 point" for one in found)


def test_compare_reads_sweeps_beside_strengths_and_refuses_a_strength_alone(
    tmp_path: Path, make_run: MakeRun, scores: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    both, alone = write_strength(tmp_path / "both", alone=False), write_strength(tmp_path / "alone")
    assert main(["compare", str(both), str(both)]) in (0, 1, 3)
    capsys.readouterr()
    assert main(["compare", str(both), str(alone)]) == 2
    assert "run wrongkey sweep into it" in capsys.readouterr().err
