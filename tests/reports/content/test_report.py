"""report.json: valid, the same for the same runs, and without anything that must not be handed out."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.reports.attack_folders import random_keys, rows, write_attacks
from wrongkey.reports.attacks.rows import find_attacks
from wrongkey.reports.content import report_content
from wrongkey.reports.content.attacks import attack_numbers
from wrongkey.reports.content.cite import AUTHOR, TITLE, YEAR, bibtex
from wrongkey.reports.content.gather import gather
from wrongkey.reports.content.schema import Report
from wrongkey.reports.runs import load_runs

MakeRun = Callable[..., Path]
ROOT = Path(__file__).parents[3]


def as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, allow_nan=False, ensure_ascii=False)


def of_runs(*folders: Path) -> dict[str, Any]:
    return report_content(load_runs(folders))


def test_it_fits_its_schema_and_survives_json(make_run: MakeRun, scores: np.ndarray) -> None:
    content = of_runs(make_run("a", scores), make_run("b", scores, task="asr", metric="wer"))
    assert Report.model_validate(json.loads(as_json(content)))
    assert content["format"] == "wrongkey-report/1" and content["made"] == "2025-11-23"
    assert [section["anchor"] for section in content["sections"]] == ["asv-eer", "asr-wer"]


def test_the_same_runs_elsewhere_give_the_same_report(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    folder = make_run("a", scores)
    shutil.copytree(folder, tmp_path / "elsewhere" / "a")
    assert as_json(of_runs(folder)) == as_json(of_runs(tmp_path / "elsewhere" / "a"))


def test_no_path_of_the_machine(make_run: MakeRun, scores: np.ndarray, tmp_path: Path) -> None:
    secret = "/home/jane doe/hidden"
    config = {"corpus_spec": f"kaldi:{secret}/voices", "trials": f"{secret}/trials.txt", "model_spec": "asv-raw3"}
    config["command"] = f"wrongkey sweep --corpus 'kaldi:{secret}/voices' --out {tmp_path}/a"
    trials = {"target": 450, "nontarget": 4500, "source": f"{secret}/trials.txt"}
    folder = make_run("a", scores, config=config, trials=trials, cautions=[f"the file {tmp_path}/x.txt is odd"])
    twin = shutil.copytree(folder, tmp_path / "other" / "a")
    content = of_runs(folder, twin)
    text = as_json(content)
    assert "jane" not in text and "hidden" not in text and str(tmp_path) not in text
    assert "kaldi:voices" in content["runs"][0]["command"] and "--trials trials.txt" in content["runs"][0]["command"]
    labels = [run["label"] for run in content["runs"]]
    assert len(set(labels)) == 2 and labels[1].endswith("(2)")
    assert "The file x.txt is odd." in text


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u2069", "\x1b[31m", "\u061c"])
def test_no_character_that_a_reader_obeys(make_run: MakeRun, scores: np.ndarray, sign: str) -> None:
    name = f"a{sign}b"
    check = {"name": name, "passed": False, "value": 1.0, "limit": 0.0, "text": name}
    content = of_runs(make_run("a", scores, model=name, corpus=name, device=name, git=name, self_checks=[check]))
    assert sign not in as_json(content) and "\\u001b" not in json.dumps(content)
    assert f"a{sign.encode('unicode_escape').decode()}b" in content["runs"][0]["label"]


def test_a_metric_that_never_occurs_is_a_sentence(make_run: MakeRun, scores: np.ndarray) -> None:
    (run,) = load_runs([make_run("a", scores, task="asr", metric="wer", other_metrics={"runaway": scores * 0})])
    assert len(report_content([run])["sections"]) == 2  # half a percent of the plain model's decodings
    run.scores.loc[run.scores["metric"] == "runaway", "value"] = 0.0
    (section,) = report_content([run])["sections"]
    assert section["sentences"][0]["sentence"].endswith("No runaway decodings, with any key.")


def test_attacks_are_in_it_and_have_numbers(tmp_path: Path) -> None:
    folder = write_attacks(tmp_path / "a", [*rows("order", "5 s of ciphertext", [0.0] * 12, seconds=5), *random_keys()])
    attacks = find_attacks([folder])
    content = report_content([], attacks)
    assert "order" in content["attacks"]["runs"][0]["tables"][1]["rows"][0]
    assert content["sections"] == [] and content["checks"] is None and content["verdict"]
    numbers = attack_numbers(gather([], attacks, []))
    key = numbers[(numbers["attack"] == "order") & (numbers["asset"] == "key")].iloc[0]
    assert (key["hits"], key["trials"], key["verdict"], key["scheme"]) == (12, 12, "broken", "rom")


def test_the_citation_is_that_of_the_file() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["title"], cited["authors"][0]["name"]) == (TITLE, AUTHOR)
    assert cited["date-released"].startswith(str(YEAR)) and f"version = {{{cited['version']}}}" in bibtex()


def test_every_field_is_documented() -> None:
    documented = (ROOT / "docs" / "report-json.md").read_text(encoding="utf-8")
    schema = Report.model_json_schema()
    fields = {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}
    assert not [name for name in sorted(fields) if not re.search(rf"`[^`]*\b{name}\b[^`]*`", documented)]
