"""Models that are not the same twice are refused, and models that change while they are asked stop the sweep."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from tests import toys
from wrongkey.errors import BadInput
from wrongkey.evaluation.cautions import of_answers, of_rows, of_tied_keys, tied
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.sweep import sweep

ROOT = Path(__file__).parents[3]


def config(model: str, **settings) -> SweepConfig:
    shared: dict[str, Any] = {"corpus": "bundled", "per_speaker": 2, "replicates": 0, "device": "cpu", "keys": 8}
    return SweepConfig(model=f"tests.toys:{model}", **shared | settings)


@pytest.mark.parametrize(
    ("model", "check"),
    [
        ("dithered", "front end"),
        ("randomly_cropped", "front end"),
        ("of_new_weights", "weights in a second process"),
        ("of_each_process", "answers in a second process"),
    ],
)
def test_a_model_that_is_not_the_same_twice_is_refused_before_a_key_is_run(model, check, tmp_path):
    with pytest.raises(BadInput, match=f"self-check '{check}' failed"):
        sweep(config(model), tmp_path / "run", workers=1)
    assert not list((tmp_path / "run").glob("scores/*"))


@pytest.mark.parametrize(("change", "variant"), [*((change, "both") for change in toys.CHANGES), ("noise", "waveform")])
def test_a_model_that_changes_in_mid_sweep_stops_it_and_keeps_the_keys_before(change, variant, tmp_path, monkeypatch):
    monkeypatch.setattr(toys, "changed", None)
    monkeypatch.setattr("wrongkey.evaluation.sweep.SHARD_SECONDS", 0.0)  # a key a shard

    def after_three(done: int, total: int) -> None:
        toys.changed = change if done == 3 else None

    settings = config("changing", variant=variant, block=3 if variant == "waveform" else None)
    with pytest.raises(BadInput, match="does not answer plain queries any more as it did"):
        sweep(settings, tmp_path / "run", workers=1, progress=after_three)
    kept = pd.concat(pd.read_parquet(file) for file in (tmp_path / "run").glob("scores/incorrect-*.parquet"))
    assert set(kept.key_index) == {0, 1, 2}

    toys.changed = None

    def scores(name: str) -> pd.DataFrame:
        files = sweep(settings, tmp_path / name, workers=1).path.glob("scores/incorrect-*.parquet")
        return pd.concat(map(pd.read_parquet, files)).sort_values(["metric", "key_index"], ignore_index=True)

    pd.testing.assert_frame_equal(scores("run"), scores("fresh"))


def test_memory_that_runs_out_is_no_change_of_the_model(monkeypatch):
    experiment = Experiment(config("raw3"))
    experiment.check_unchanged()

    def embed(self: object, queries: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(toys.Toy, "embed", embed)
    with pytest.raises(BadInput, match=r"^Memory of cpu ran out in a pass of one segment: free some"):
        experiment.check_unchanged()


def test_a_model_that_fails_before_the_first_key_is_a_sentence(tmp_path):
    with pytest.raises(BadInput, match=r"failing_later fails .*IndexError: no such embedding"):
        sweep(config("failing_later"), tmp_path / "run", workers=1)


def test_a_factory_of_a_notebook_is_asked_in_the_other_process(tmp_path):
    """Python reads the cell from standard input, as a kernel does: no other process could import it."""
    cell = f"""
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.sweep import sweep
from tests import toys

class Mine(toys.Toy):
    pass

def make():
    toy = toys.raw3()
    toy.__class__ = Mine
    return toy

settings = {asdict(config("", keys=2))!r} | {{"model": "__main__:make"}}
sweep(SweepConfig(**settings), {str(tmp_path / "run")!r}, workers=1)
"""
    done = subprocess.run(
        [sys.executable, "-"], input=cell, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "run" / "scores").glob("incorrect-*"))


def test_a_model_that_stays_as_it_is_may_be_watched_as_often_as_one_likes():
    experiment = Experiment(config("raw10"))
    for _ in range(3):
        experiment.answers(experiment.incorrect.batch(0, 2))
        experiment.check_unchanged()


def test_a_model_that_tells_nobody_apart_is_said_in_the_run_and_its_log(tmp_path):
    said: list[str] = []
    folder = sweep(config("saturated", keys=2), tmp_path / "run", workers=1, report=said.append)
    cautions = json.loads((folder.path / "manifest.json").read_text())["cautions"]
    assert any("all trials of the plain model have the same score" in sentence for sentence in cautions)
    assert [f"caution: {sentence}" for sentence in cautions] == [line for line in said if line.startswith("caution")]


@pytest.mark.parametrize(
    ("metric", "value", "low", "high", "said"),
    [
        ("eer", 7.0, 5.0, 9.0, False),
        ("eer", 46.0, 41.0, 51.0, True),
        ("eer", 49.0, float("nan"), float("nan"), False),
        ("eer", 50.0, float("nan"), float("nan"), True),
        ("accuracy", 91.0, 85.0, 95.0, False),
        ("accuracy", 12.0, 8.0, 16.0, True),
        ("wer", 93.0, 90.0, 96.0, True),
        ("wer", 37.0, 30.0, 45.0, False),
        ("runaway", 100.0, 100.0, 100.0, False),
    ],
)
def test_a_plain_model_at_chance_is_told_by_its_interval(metric, value, low, high, said):
    row = {"condition": "plain", "metric": metric, "value": value, "ci_low": low, "ci_high": high}
    assert bool(of_rows([row], classes=10)) is said
    assert not of_rows([row | {"condition": "incorrect"}], classes=10)


def test_a_constant_answer_is_named_whatever_the_task():
    silent = [[Hypothesis(""), Hypothesis("")]]
    assert of_answers("the plain model", silent) == ["the plain model gives no words at all: its scores say nothing"]
    assert "same text" in of_answers("the plain model", [[Hypothesis("YES"), Hypothesis("YES")]])[0]
    assert "same answer" in of_answers("the plain model", torch.full((1, 5, 3), 0.7))[0]
    assert of_answers("the plain model", [[Hypothesis("YES"), Hypothesis("NO")]]) == []
    assert of_answers("the plain model", torch.randn(1, 5, 3)) == []
    assert of_answers("the plain model", torch.ones(1, 1, 3)) == [], "one utterance says nothing of the kind"


def test_keys_under_which_all_scores_tie_are_counted():
    scores = torch.tensor([[0.5, 0.5, 0.5], [0.5, 0.4, 0.5]])
    assert tied("asv", torch.randn(2, 3, 4), scores) == [True, False]
    assert tied("asc", torch.randn(2, 3, 4), torch.tensor([[1, 1, 1], [1, 0, 1]])) == [True, False]
    texts = [[Hypothesis(""), Hypothesis("")], [Hypothesis(""), Hypothesis("YES")]]
    assert tied("asr", texts, torch.zeros(2, 2, 5)) == [True, False]
    assert tied("asr", [[Hypothesis("")]], torch.zeros(1, 1, 5)) == [False], "one utterance says nothing of the kind"
    assert of_tied_keys([], 10) == []
    assert (
        "under 2 of 10 incorrect keys" in of_tied_keys([4, 3], 10)[0] and "key 3 first" in of_tied_keys([4, 3], 10)[0]
    )


def test_a_sound_model_has_no_cautions(tmp_path):
    sound = SweepConfig(model="asv-raw10", corpus="bundled", trials="corpus", keys=1, device="cpu", replicates=20)
    folder = sweep(sound, tmp_path / "run", workers=1)
    assert json.loads((folder.path / "manifest.json").read_text())["cautions"] == []
