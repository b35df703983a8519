"""``wrongkey sweep --plan``: what it says, and that it leaves nothing behind."""

import json
import shutil

import pytest

from tests.wrongkey.test_cli import SWEEP, refused
from wrongkey.cli import main

PLAN = [*SWEEP, "--plan"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main([*SWEEP, "--out", str(folder)]) == 0
    return folder


def planned(capsys, *arguments):
    capsys.readouterr()
    assert main([*PLAN, *map(str, arguments), "--json", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_plan_says_what_a_sweep_takes_and_writes_nothing(run, tmp_path, capsys):
    found = planned(capsys, "--out", tmp_path / "new")
    assert not list(tmp_path.iterdir())
    assert (found["keys_asked"], found["keys_there"], found["utterances"]) == (4, 0, 56)
    prediction = found["prediction"]
    assert prediction["keys"] == 4 and prediction["workers"] == 1
    assert prediction["seconds"] == pytest.approx(sum(part["seconds"] for part in prediction["parts"].values()))
    assert all(part["cpu_seconds"] > 0 for part in prediction["parts"].values())
    assert prediction["memory_bytes"]["total"] > 100e6  # torch alone
    written = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    assert prediction["disk_bytes"] == pytest.approx(written, rel=0.2)


def test_keys_that_are_there_are_not_counted(run, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    found = planned(capsys, "--out", run, "--keys", "10")
    assert (found["keys_asked"], found["keys_there"], found["prediction"]["keys"]) == (10, 4, 6)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert main([*PLAN, "--out", str(run), "--keys", "4"]) == 0
    assert "nothing is left to ask" in capsys.readouterr().out


def test_a_plan_in_sentences(tmp_path, capsys):
    assert main([*PLAN, "--out", str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("4 of 4 incorrect keys are to be asked: 56 utterances, 56 trials")
    assert "  4 keys of" in "\n".join(said) and said[-1].startswith("This rests on")
    assert all(line.startswith("  ") or line.endswith((".", ":")) for line in said)


def test_what_a_sweep_would_refuse_a_plan_refuses(run, tmp_path, capsys):
    assert "was made with another seed" in refused(capsys, *PLAN, "--seed", "1", "--out", run)
    cluster = ("--backend", "dask", "--scheduler", "tcp://nowhere:1")
    assert "leave --backend out" in refused(capsys, *PLAN, *cluster, "--out", tmp_path / "new")
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    (broken / "manifest.json").write_text("{")
    assert "is broken" in refused(capsys, *PLAN, "--out", broken)


def test_a_folder_without_scores_belongs_to_nobody(run, tmp_path, capsys):
    """A sweep that ended before its first scores left a manifest: the next one takes the folder, and so does a plan."""
    shutil.copytree(run, tmp_path / "early")
    shutil.rmtree(tmp_path / "early/scores")
    asked = ("--seed", "1", "--out", tmp_path / "early")
    assert planned(capsys, *asked)["keys_there"] == 0
    assert main([*SWEEP, *map(str, asked), "--quiet"]) == 0


def test_a_folder_of_other_files_is_refused(tmp_path, capsys):
    (tmp_path / "photograph.jpg").touch()
    assert "holds files but no manifest" in refused(capsys, *PLAN, "--out", tmp_path)
