"""The sweep end to end on bundled voices and toy models: resume, extension, refusal, variants, self-checks."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from evaluation.experiment import Experiment, SweepConfig
from evaluation.metrics import eer
from evaluation.sweep import sweep
from keys.errors import BadInput

ROOT = Path(__file__).parents[2]
SHARED = {"corpus": "bundled", "per_speaker": 2, "replicates": 5, "device": "cpu"}


def config(model: str = "raw3", **settings) -> SweepConfig:
    return SweepConfig(model=f"tests.toys:{model}", **SHARED | settings)


def scores(folder: Path) -> pd.DataFrame:
    table = pd.concat(pd.read_parquet(file) for file in sorted((folder / "scores").glob("*.parquet")))
    return table.sort_values(["condition", "metric", "key_index"], ignore_index=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One uninterrupted run of 6 keys."""
    return sweep(config(keys=6), tmp_path_factory.mktemp("runs") / "run", workers=1).path


def test_a_run_folder_holds_what_the_design_says(run):
    table = scores(run)
    incorrect = table[(table.condition == "incorrect") & (table.metric == "eer")]
    assert list(incorrect.key_index) == list(range(6))
    assert set(table.metric) == {"eer", "min_dcf"}
    assert (table.ci_low <= table.ci_high).all()
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["keys_done"] == 6
    assert manifest["ended"] is not None
    assert manifest["corpus"]["recordings"] == "synthetic"
    assert all(check["passed"] for check in manifest["self_checks"])
    assert len((run / "trials.txt").read_text().splitlines()) == table.n.iloc[0] == 56


def test_the_correct_key_gives_the_plain_eer_and_incorrect_keys_do_not(run):
    table = scores(run).query("metric == 'eer'").set_index("condition").value
    assert table["correct"] == table["plain"]
    assert (table["incorrect"] != table["plain"]).any()


def test_scores_follow_from_explicitly_encrypted_audio(run):
    experiment = Experiment(config(keys=6))
    for index, key in enumerate(experiment.incorrect.batch(0, 2)):
        answer = experiment.explicit(key)[None]
        expected = eer(experiment.scores(answer), experiment.task.target).item()
        table = scores(run).query("condition == 'incorrect' and metric == 'eer'")
        assert table.value.iloc[index] == pytest.approx(expected, abs=100 / 28)  # one trial may change sides


def test_a_larger_number_of_keys_extends_the_run(run, tmp_path):
    folder = tmp_path / "run"
    sweep(config(keys=4), folder, workers=1)
    before = {file.name: file.stat().st_mtime_ns for file in (folder / "scores").glob("incorrect*")}
    sweep(config(keys=6), folder, workers=1)
    after = {file.name: file.stat().st_mtime_ns for file in (folder / "scores").glob("incorrect*")}
    assert before.items() < after.items()
    pd.testing.assert_frame_equal(scores(folder), scores(run))


def test_workers_and_shards_change_no_score(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = sweep(config(keys=6), tmp_path / "run", workers=2).path
    pd.testing.assert_frame_equal(scores(folder), scores(run), rtol=1e-5, atol=100 / 28)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_sweep_continues_to_the_same_scores(stop, tmp_path):
    keys = 60
    command = [sys.executable, "-m", "wrongkey", "sweep", "--model", "tests.toys:whole_utterances"]
    command += "--corpus bundled --per-speaker 2 --replicates 5 --workers 1 --device cpu".split()
    command += ["--keys", str(keys)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(out: Path) -> subprocess.Popen:
        return subprocess.Popen([*command, "--out", str(out)], cwd=ROOT, env=environment, stderr=subprocess.PIPE)

    stopped = start(tmp_path / "stopped")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "stopped").glob("scores/incorrect-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    stopped.send_signal(stop)
    _, said = stopped.communicate(timeout=60)
    assert stopped.returncode == (130 if stop == signal.SIGINT else -signal.SIGKILL)
    assert b"Traceback" not in said
    done = sum(len(pd.read_parquet(f)) // 2 for f in (tmp_path / "stopped").glob("scores/incorrect-*"))
    assert 0 < done < keys, "stopped too late for the test to mean anything"

    for name in ("stopped", "whole"):
        process = start(tmp_path / name)
        process.communicate(timeout=120)
        assert process.returncode == 0
    pd.testing.assert_frame_equal(scores(tmp_path / "stopped"), scores(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "seed"),
        ({"scheme": "flipping"}, "scheme"),
        ({"model": "raw10"}, "weights"),
        ({"per_speaker": 3}, "corpus"),
        ({"nontargets": 2}, "trials"),
        ({"variant": "test"}, "variant"),
    ],
)
def test_a_folder_of_another_experiment_is_refused_and_left_intact(run, change, said):
    before = scores(run)
    with pytest.raises(BadInput, match=said):
        sweep(config(**{"keys": 6} | change), run, workers=1)
    pd.testing.assert_frame_equal(scores(run), before)


@pytest.mark.parametrize(("scheme", "total"), [("shuffling", 5), ("flipping", 7)])
def test_a_small_key_space_is_enumerated(scheme, total, tmp_path):
    folder = sweep(config(scheme=scheme, keys=1000), tmp_path / "run", workers=1).path
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["keys_done"] == manifest["key_space"] == total
    assert manifest["enumerated"]
    keys = Experiment(config(scheme=scheme)).incorrect.batch(0, total)
    assert len(np.unique(keys.reshape(total, -1), axis=0)) == total


def test_the_negated_key_of_flipping_is_found_by_enumeration():
    experiment = Experiment(config(scheme="flipping"))
    assert any(np.array_equal(key, -experiment.correct) for key in experiment.incorrect.batch(0, 7))


def test_only_the_test_side_is_wrong_in_the_variant_test():
    both, test = Experiment(config()), Experiment(config(variant="test"))
    answers = both.engine.embeddings(both.incorrect.batch(0, 2))
    plain = both.plain()
    trials = both.trials
    wrong, right = answers[:, trials.test], plain[trials.enrolment].expand(2, -1, -1)
    expected = torch.nn.functional.cosine_similarity(right, wrong, dim=-1)
    torch.testing.assert_close(test.scores(answers), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(both.scores(answers), expected, atol=1e-3)


def test_raw_scores_are_kept_where_asked(tmp_path):
    folder = sweep(config(keys=3, keep_outputs=True), tmp_path / "run", workers=1).path
    kept = pd.concat(pd.read_parquet(file) for file in (folder / "outputs").glob("*.parquet"))
    target = torch.tensor([line.startswith("1") for line in (folder / "trials.txt").read_text().splitlines()])
    rebuilt = eer(torch.tensor(np.stack(kept.sort_values("key_index").scores)), target)
    stated = scores(folder).query("condition == 'incorrect' and metric == 'eer'").value
    np.testing.assert_allclose(rebuilt, stated, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("restless", "eval mode"),
        ("random_answers", "deterministic"),
        ("deaf", "key matters"),
        ("overlapping", "stride"),
        ("not_a_model", "no network"),
        ("missing", "cannot be imported"),
    ],
)
def test_a_model_that_cannot_be_trusted_stops_the_run(model, said, tmp_path):
    with pytest.raises(BadInput, match=said):
        sweep(config(model, keys=2), tmp_path / "run", workers=1)
    assert not list((tmp_path / "run").glob("scores/*"))


def test_a_plain_module_with_the_least_is_a_model(tmp_path):
    folder = sweep(config("as_module", keys=2), tmp_path / "run", workers=1).path
    assert len(scores(folder)) == 2 * (3 + 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keys": 0}, "--keys 0"),
        ({"keys": -5}, "--keys -5"),
        ({"block": 5}, "--block 5"),
        ({"scheme": "rot13"}, "rot13"),
        ({"variant": "none"}, "variant"),
        ({"task": "asr"}, "asr"),
        ({"precision": "float8"}, "float8"),
        ({"device": "toaster"}, "toaster"),
        ({"per_speaker": 0}, "--per-speaker 0"),
        ({"corpus": "/nowhere"}, "/nowhere"),
        ({"trials": "/nowhere/trials"}, "/nowhere/trials"),
    ],
)
def test_bad_settings_are_one_sentence(change, said):
    with pytest.raises(BadInput, match=said) as error:
        Experiment(config(**change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_other_precisions_pass_their_own_checks(precision, tmp_path):
    folder = sweep(config(keys=2, precision=precision), tmp_path / "run", workers=1).path
    assert json.loads((folder / "manifest.json").read_text())["config"]["precision"] == precision


def test_an_utterance_shorter_than_the_receptive_field_is_named(tmp_path):
    import soundfile

    corpus = tmp_path / "corpus"
    for speaker in ("ann", "bob"):
        for number, samples in enumerate((8_000, 10 if speaker == "bob" else 8_000)):
            (corpus / speaker).mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(number).normal(0, 0.1, samples)
            soundfile.write(corpus / speaker / f"{number}.wav", noise, 16_000)
    with pytest.raises(BadInput, match="bob/1"):
        Experiment(SweepConfig(model="tests.toys:whole_utterances", corpus=f"folder:{corpus}", keys=2))


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit to make a disk that is full")
def test_a_full_disk_is_a_sentence_and_keeps_what_is_there(tmp_path):
    command = [sys.executable, "-m", "wrongkey", "sweep", "--model", "tests.toys:raw3", "--out", str(tmp_path / "run")]
    command += "--corpus bundled --per-speaker 2 --replicates 5 --workers 1 --keys 3 --device cpu".split()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    full = subprocess.run(
        ["prlimit", "--fsize=2000", *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert full.returncode == 2
    assert "cannot be written" in full.stderr
    assert "Traceback" not in full.stderr
    assert subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=120).returncode == 0
