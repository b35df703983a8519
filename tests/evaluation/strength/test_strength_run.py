"""A strength run end to end on bundled voices and toy models: exact where it can be counted, resumed bit for bit."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch

from tests.evaluation.strength.known_tails import Moving
from tests.hanging import NotAtFirst
from tests.narrow import of_type, present
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.processes import elsewhere, spread
from wrongkey.evaluation.processes.late import HOPELESS
from wrongkey.evaluation.run_folder.strength import strength_content
from wrongkey.evaluation.strength import run as running
from wrongkey.evaluation.strength.config import StrengthConfig
from wrongkey.evaluation.strength.run import strength
from wrongkey.evaluation.strength.score import MEASURES, _rising_cllr, plain_error, score_of
from wrongkey.evaluation.sweep import sweep
from wrongkey.evaluation.tasks.asc import SceneClassification
from wrongkey.keys import IncorrectKeys
from wrongkey.keys.schemes import SCHEMES

ROOT = Path(__file__).parents[3]
SHARED: dict[str, Any] = {"corpus": "bundled", "per_speaker": 2, "replicates": 5, "device": "cpu"}
HOW = StrengthConfig(within=(5.0, 9.0), population=50, moves=2, repetitions=2)
RARE = 15.0  # points that the toys' plain error is set lower: untrained, they work as well under any key


def config(model: str = "raw10", **settings) -> SweepConfig:
    return SweepConfig(model=f"tests.toys:{model}", **SHARED | settings)


def held(folder: Path) -> dict[str, Any]:
    return present(strength_content(folder))


def timeless(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in ("cpu_seconds", "format")}


@pytest.fixture(scope="module", autouse=True)
def rare():
    """Goals that few keys reach; and one batch size, because answers of batches of other sizes differ by rounding."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "plain_error", lambda experiment: plain_error(experiment) - RARE)
        patch.setattr(
            Experiment, "tune", lambda experiment, segments=None: setattr(experiment.engine.batch, "rows", 16)
        )
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    strength(config(), HOW, folder, workers=1)
    return folder


def test_a_run_says_what_the_interface_promises(run):
    found = held(run)
    assert (found["task"], found["metric"], found["scheme"], found["block_size"]) == ("asv", "eer", "rom", 10)
    assert (found["blocks"], found["dims"], found["size"], found["variant"]) == ("samples", 1, 10, "both")
    assert (found["recordings"], found["state"], found["counted"]) == ("synthetic", "complete", False)
    assert found["settings"] == {
        **{"within": [5.0, 9.0], "population": 50, "share": 0.2, "moves": 2, "repetitions": 2, "seed": 0}
    }
    assert found["tolerance"] == 0.1 and found["nominal_bits"] > 0
    assert [one["goal"] - found["plain"] for one in found["estimates"]] == pytest.approx([5.0, 9.0])
    assert found["evaluations"] == sum(level["evaluations"] for levels in found["history"] for level in levels)
    assert len(found["history"]) == 2 and 0 <= found["best_distance"] <= 2
    for one in found["estimates"]:
        assert (one["bits"] is None) == bool(one["why_not"])
        assert len(one["repetitions"]) == 2
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["keys_done"] == 0 and all(check["passed"] for check in manifest["self_checks"])
    assert (run / "scores" / "conditions.parquet").exists()
    assert not list((run / "strength").glob("*.parquet")), "chains are deleted when they are needed no more"


def test_errors_are_those_of_the_sweep(tmp_path):
    folder = sweep(config(keys=5), tmp_path / "run", workers=1).path
    table = pd.concat(map(pd.read_parquet, (folder / "scores").glob("*.parquet"))).query("metric == 'eer'")
    experiment = Experiment(config(keys=5))
    error, tie = score_of(experiment)(of_type(IncorrectKeys, experiment.incorrect).batch(0, 5))
    np.testing.assert_allclose(error, table[table.condition == "incorrect"].sort_values("key_index").value)
    assert plain_error(experiment) == pytest.approx(table.set_index("condition").value["plain"])
    prepared = Experiment(config(keys=5, scheme="rom+flat=15"))
    assert plain_error(prepared) == plain_error(experiment), "plain is the model on speech as it was recorded"
    assert len(np.unique(tie)) == 5 and (tie > 0).all() and (tie < 2).all()


def test_the_same_call_again_changes_nothing_and_more_repetitions_are_added(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    assert timeless(strength(config(), HOW, folder, workers=1)) == timeless(held(run))
    more = StrengthConfig(within=(5.0, 9.0), population=50, moves=2, repetitions=3)
    found = strength(config(), more, folder, workers=1)
    assert found["history"][:2] == held(run)["history"] and len(found["history"]) == 3
    assert found["history"][2] not in found["history"][:2]


@pytest.mark.parametrize("stop_at", [1, 3])
def test_a_run_that_fails_midway_continues_to_the_same_numbers(run, tmp_path, stop_at, monkeypatch):
    """Whatever a level left behind: the end is the same, bit for bit."""
    said = []

    def report(line: str) -> None:
        said.append(line)
        if sum("level" in one for one in said) == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        strength(config(), HOW, tmp_path / "run", workers=1, report=report)
    assert list((tmp_path / "run" / "strength").glob("chains-*"))
    assert timeless(strength(config(), HOW, tmp_path / "run", workers=1)) == timeless(held(run))


def test_damaged_chains_are_computed_again(run, tmp_path):
    lines = []

    def report(line: str) -> None:
        lines.append(line)
        if sum("level" in one for one in lines) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        strength(config(), HOW, tmp_path / "run", workers=1, report=report)
    some = sorted((tmp_path / "run" / "strength").glob("chains-*"))[5]
    some.write_bytes(some.read_bytes()[:-40])
    assert timeless(strength(config(), HOW, tmp_path / "run", workers=1)) == timeless(held(run))


def test_workers_change_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    found = strength(config(), HOW, tmp_path / "run", workers=2)
    assert [one["repetitions"] for one in found["estimates"]] == [one["repetitions"] for one in held(run)["estimates"]]


def test_chains_that_hang_are_given_to_another_worker_once(tmp_path, monkeypatch):
    asked = config("raw3", scheme="flipping")  # few keys, which are counted
    how = StrengthConfig(within=(RARE,))
    whole = strength(asked, how, tmp_path / "whole", workers=1)
    monkeypatch.setattr(elsewhere, "processes", lambda *asked: nullcontext(NotAtFirst(0)))

    def measured(out: Path, hang: int) -> dict[str, Any]:
        monkeypatch.setattr(spread, "processes", lambda *asked: nullcontext(NotAtFirst(hang)))
        return strength(asked, how, out, workers=1, timeout=0.1)

    assert timeless(measured(tmp_path / "once", 1)) == timeless(whole)
    assert json.loads((tmp_path / "once/manifest.json").read_text())["late_shards"] >= 1
    with pytest.raises(
        BadInput, match=r"^Chains \d+ … \d+ of level 0.* took longer than --timeout 0\.1 s: what is done"
    ):
        measured(tmp_path / "always", 10**9)
    assert json.loads((tmp_path / "always/manifest.json").read_text())["late_shards"] == HOPELESS
    assert timeless(measured(tmp_path / "always", 0)) == timeless(whole)


def test_a_killed_command_continues_to_the_same_estimate(tmp_path):
    command = [sys.executable, "-m", "wrongkey", "strength", "--model", "tests.toys:slow", "--workers", "1"]
    command += "--corpus bundled --per-speaker 2 --replicates 5 --device cpu --within 0.5".split()
    command += "--population 50 --moves 1 --repetitions 1".split()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(out: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*command, "--out", str(out)], cwd=ROOT, env=environment, stderr=subprocess.PIPE)

    stopped = start(tmp_path / "stopped")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "stopped").glob("strength/chains-0-000-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    stopped.kill()
    _, said = stopped.communicate(timeout=60)
    assert b"Traceback" not in said
    assert not (tmp_path / "stopped" / "strength" / "strength.json").exists(), "stopped too late to mean anything"
    for name in ("stopped", "whole"):
        process = start(tmp_path / name)
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert timeless(held(tmp_path / "stopped")) == timeless(held(tmp_path / "whole"))


@pytest.mark.parametrize("scheme", ["flipping", "shuffling"])
def test_a_small_space_is_counted(scheme, tmp_path):
    how = StrengthConfig(within=(RARE, RARE + 8))
    found = strength(config("raw3", scheme=scheme), how, tmp_path / "run", workers=1)
    experiment = Experiment(config("raw3", scheme=scheme))
    space = present(experiment.scheme.space(3))
    keys = present(experiment.scheme.unrank)(3, np.arange(space))
    error = score_of(experiment)(keys)[0]
    assert found["counted"] and found["evaluations"] == space
    for one in found["estimates"]:
        assert one["probability"] == pytest.approx((error <= one["goal"] + 1e-9).mean())
        assert one["bits"] == one["bits_low"] == one["bits_high"] <= np.log2(space)
    assert found["best"] == pytest.approx(error.min())
    assert timeless(strength(config("raw3", scheme=scheme), how, tmp_path / "run", workers=1)) == timeless(found)


def test_splitting_agrees_with_counting(tmp_path):
    """The same finite scheme, counted, and split as if it could not be."""
    name = "tests.evaluation.strength.test_strength_run:uncounted"
    counted = strength(config("raw10", scheme="flipping"), StrengthConfig(within=(5.0,)), tmp_path / "one", workers=1)
    found = strength(
        config("raw10", scheme=name), StrengthConfig(within=(5.0,), population=100), tmp_path / "two", workers=1
    )
    (one,), (other,) = counted["estimates"], found["estimates"]
    assert counted["counted"] and not found["counted"]
    assert other["bits_low"] <= one["bits"] <= other["bits_high"], (one, other)


def uncounted() -> Moving:
    """Flipping, whose keys cannot be numbered: its words are moved."""
    flipping = SCHEMES["flipping"]
    return Moving("uncounted", flipping.words, flipping.matrices, lambda size: None)


def test_a_sweep_and_a_strength_share_a_folder(tmp_path):
    sweep(config(keys=3), tmp_path / "run", workers=1)
    before = json.loads((tmp_path / "run" / "manifest.json").read_text())
    strength(
        config(), StrengthConfig(within=(30.0,), population=50, moves=1, repetitions=1), tmp_path / "run", workers=1
    )
    after = json.loads((tmp_path / "run" / "manifest.json").read_text())
    for name in ("keys_done", "ended", "identity"):
        assert after[name] == before[name]
    assert after["config"]["keys"] == 3 and len(after["sessions"]) == 2
    sweep(config(keys=4), tmp_path / "run", workers=1)
    assert (tmp_path / "run" / "strength" / "strength.json").exists()


def test_another_measurement_in_the_same_folder_is_refused(run):
    with pytest.raises(BadInput, match=r"another population \(50 there, 80 now\): choose another --out"):
        strength(config(), StrengthConfig(within=(5.0, 9.0), population=80, moves=2), run, workers=1)
    with pytest.raises(BadInput, match="scheme"):
        strength(config(scheme="flipping"), HOW, run, workers=1)


def test_words_are_scored_as_in_the_sweep_and_ties_are_broken_by_characters(tmp_path):
    asked = config("subsampled", task="asr", per_speaker=1, keys=3)
    folder = sweep(asked, tmp_path / "run", workers=1).path
    table = pd.concat(map(pd.read_parquet, (folder / "scores").glob("incorrect*"))).sort_values("key_index")
    experiment = Experiment(asked)
    error, tie = score_of(experiment)(of_type(IncorrectKeys, experiment.incorrect).batch(0, 3))
    np.testing.assert_allclose(error, table[table.metric == "wer"].value)
    np.testing.assert_allclose(tie, table[table.metric == "cer"].value)


def test_classes_are_scored_by_their_error_and_ties_are_broken_by_cross_entropy():
    task = SceneClassification((), torch.tensor([0, 1, 1, 2]), ("a", "b", "c"), 0)
    experiment = cast(Experiment, SimpleNamespace(task=task, scores=task.scores))
    sure = 5.0 * torch.nn.functional.one_hot(torch.tensor([[0, 1, 1, 0], [0, 1, 1, 2]]), 3).double()
    error, tie = MEASURES["asc"](experiment, torch.stack([0.5 * sure[0], *sure]))
    np.testing.assert_allclose(error, [25, 25, 0])
    expected = torch.nn.functional.cross_entropy(sure[1], task.labels)
    assert tie[2] == pytest.approx(float(expected)) and tie[0] != tie[1]


def test_cllr_rises_with_scores_that_mislead():
    generator = np.random.default_rng(0)
    target = np.arange(400) % 2 == 0
    noise = generator.normal(size=400)
    costs = [_rising_cllr(noise + shift * target, target) for shift in (3.0, 1.0, 0.0, -1.0, -3.0)]
    assert costs == sorted(costs) and costs[0] < 0.5 and costs[2] == pytest.approx(1, abs=0.02) and costs[4] > 1.5
    assert _rising_cllr(100 * noise - 7, target) == pytest.approx(_rising_cllr(noise, target), abs=1e-6)


def test_a_plain_model_is_asked_with_encrypted_waveforms(tmp_path):
    how = StrengthConfig(within=(40.0,), population=50, moves=1, repetitions=1)
    found = strength(config(variant="waveform", block=3), how, tmp_path / "run", workers=1)
    assert found["variant"] == "waveform" and found["state"] == "complete"


def test_a_model_without_numbers_is_one_sentence(tmp_path, monkeypatch):
    answers = Experiment.answers
    monkeypatch.setattr(
        Experiment, "answers", lambda self, keys: of_type(torch.Tensor, answers(self, keys)) * float("nan")
    )
    with pytest.raises(BadInput, match="NaN or infinity"):
        strength(config(), HOW, tmp_path / "run", workers=1)


def test_moves_that_bias_are_refused_before_anything_is_asked(tmp_path):
    with pytest.raises(BadInput, match="'biased' do not leave the law of its keys invariant"):
        strength(config(scheme=f"{__name__}:biased"), HOW, tmp_path / "run", workers=1)
    assert not (tmp_path / "run" / "manifest.json").exists()


def biased() -> Moving:
    rom = SCHEMES["rom"]
    return Moving("biased", rom.words, rom.matrices, rom.space, moves=lambda keys, size, scale, rng: 1.01 * keys)
