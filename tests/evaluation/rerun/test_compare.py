"""Two runs of one experiment beside each other: made-up run folders, one of them changed."""

import errno
import json
from pathlib import Path

import pandas as pd
import pytest

from tests.reports.conftest import write_run
from wrongkey.errors import BadInput
from wrongkey.evaluation.rerun.compare import compare_runs
from wrongkey.evaluation.rerun.manifest import changes, check_same, check_unedited
from wrongkey.evaluation.run_folder.folder import RunFolder
from wrongkey.rerun_summary import of_scores

SESSION = {"device": "cpu, 2 cores", "processor": "one", "threads": 1, "versions": {"torch": "2.8"}, "git": None}
EERS = [30.0, 31.0, 32.0]


def written(folder: Path, eers: list[float], **session) -> Path:
    return write_run(folder, eers, sessions=[{**SESSION, **session}], batch={"rows": 8})


def keep(folder: Path, scores: list[list[float]]) -> None:
    """Trial scores of every key, in a shard of each."""
    (folder / "trials.txt").write_text("1 a b\n0 a c\n")
    for key, row in enumerate(scores):
        name = f"incorrect-{key:08d}-{key + 1:08d}"
        RunFolder(folder).write_outputs(name, pd.DataFrame({"key_index": [key], "scores": [row]}))


def test_equal_runs_are_equal_bit_for_bit(tmp_path):
    found = compare_runs(written(tmp_path / "a", EERS), written(tmp_path / "b", [*EERS, 33.0]))  # further keys are free
    assert found.exact and found.equal and (found.keys, found.scores) == (3, 6)
    assert "equal bit for bit: 6 scores of 3 incorrect keys" in of_scores(found)[0]


def test_on_the_same_machine_every_bit_counts(tmp_path):
    found = compare_runs(written(tmp_path / "a", EERS), written(tmp_path / "b", [30.0, 31.0 + 1e-9, 32.0]))
    assert not found.equal and found.changed == []
    (one,) = found.differing
    assert (one.key, one.of, one.there, one.here) == (1, "eer", 31.0, 31.0 + 1e-9)


def test_elsewhere_one_trial_may_fall_on_the_other_side(tmp_path):
    """450 trials of a kind: 0.22 points."""
    there = written(tmp_path / "a", EERS)
    near = written(tmp_path / "near", [30.0, 31.2, 32.0], versions={"torch": "2.9"})
    far = written(tmp_path / "far", [30.0, 31.3, 32.0], versions={"torch": "2.9"})
    found = compare_runs(there, near)
    assert found.equal and not found.exact and found.allowed == pytest.approx(100 / 450)
    assert found.changed == ["torch (2.8 there, 2.9 here)"]
    assert "torch (2.8 there, 2.9 here)" in " ".join(of_scores(found))
    said = of_scores(compare_runs(there, far))
    assert said[0].startswith("The scores are not equal") and "  key 1, eer: 31 there, 31.3 here." in said


def test_a_key_that_is_gone_is_a_difference(tmp_path):
    found = compare_runs(written(tmp_path / "a", EERS), written(tmp_path / "b", EERS[:2], versions={"torch": "2.9"}))
    assert not found.equal and [(one.key, one.here) for one in found.differing] == [(2, None)]


def test_trials_that_differ_are_named(tmp_path):
    a, b = written(tmp_path / "a", EERS), written(tmp_path / "b", EERS)
    keep(a, [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    keep(b, [[0.1, 0.2], [0.3, 0.45], [0.51, 0.6]])
    found = compare_runs(a, b)
    assert found.outputs is not None and not found.exact
    assert [(one.key, one.of) for one in found.outputs] == [(1, "a c"), (2, "a b")]  # the largest first
    assert "  key 1, a c: 0.4 there, 0.45 here." in of_scores(found)


def test_trials_that_cannot_be_read_are_a_sentence(tmp_path, monkeypatch):
    a, b = written(tmp_path / "a", EERS), written(tmp_path / "b", EERS)
    for run in (a, b):
        keep(run, [[0.1, 0.2]] * 3)
    monkeypatch.setattr(Path, "read_text", unreadable)
    with pytest.raises(BadInput, match=r"trials\.txt cannot be read \(Input/output error\): check its permissions"):
        compare_runs(a, b)


def unreadable(path, **kwargs):
    raise OSError(errno.EIO, "Input/output error")


def test_what_a_manifest_does_not_say_counts_as_another():
    here = {"sessions": [SESSION], "batch": {"rows": 8}}
    assert changes(here, here) == []
    older = {"sessions": [{name: value for name, value in SESSION.items() if name != "threads"}], "batch": {"rows": 8}}
    assert changes(older, here) == ["threads (unknown there, 1 here)"]


def test_an_edited_manifest_is_refused(tmp_path):
    run = written(tmp_path / "a", EERS)
    identity = json.loads((run / "manifest.json").read_text())["identity"]
    check_unedited(run / "manifest.json", {"seed": 0}, {**identity}, run / "scores", "scores")
    with pytest.raises(BadInput, match="its settings say seed 1, and its identity 0"):
        check_unedited(run / "manifest.json", {"seed": 1}, {**identity, "seed": 0}, run / "scores", "scores")
    with pytest.raises(BadInput, match="one has not the identity of the other"):
        check_unedited(run / "manifest.json", {}, {**identity, "weights": "0" * 64}, run / "scores", "scores")


def test_what_has_changed_is_named():
    before = {"weights": "a" * 64, "corpus": "b" * 64, "plain answers": 1.0}
    check_same(Path("manifest.json"), before, {**before, "plain answers": 1.00001})
    with pytest.raises(BadInput, match=r"Changed since: the model's weights and the model's answers to plain speech\."):
        check_same(Path("manifest.json"), before, {**before, "weights": "c" * 64, "plain answers": 1.1})
