"""A precision below float32 is refused where it moves the error rate under the correct key."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import REDUCED, choose_precision
from wrongkey.evaluation.reduced_precision import Rate, against_float32, compared, in_float32, rate
from wrongkey.evaluation.sweep import sweep

SHARED: dict[str, Any] = {"corpus": "bundled", "per_speaker": 2, "replicates": 5, "device": "cpu", "keys": 1}
WHOLE = Rate(20.0, 15.0, 25.0)  # a tenth of whose interval is 1


def config(model: str = "raw3", **settings: Any) -> SweepConfig:
    return SweepConfig(model=f"tests.toys:{model}", **SHARED | settings)


def eer_of(folder: Path, condition: str) -> float:
    table = pd.concat(pd.read_parquet(file) for file in (folder / "scores").glob("*.parquet"))
    (value,) = table[(table.condition == condition) & (table.metric == "eer")]["value"]
    return float(value)


def checks_of(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "manifest.json").read_text())["self_checks"])


def rates_in(text: str) -> list[float]:
    """The rates in the reduced precision and in float32 that a sentence names."""
    found = re.search(r"EER under the correct key, (\S+) % at \w+ and (\S+) % at float32", text)
    assert found is not None, text
    return [float(one) for one in found.groups()]


@pytest.fixture(scope="module")
def in_float32_alone(tmp_path_factory):
    return sweep(config(), tmp_path_factory.mktemp("runs") / "run", workers=1).path


@pytest.mark.parametrize(
    ("value", "passed"), [(20.0, True), (20.9, True), (19.1, True), (21.1, False), (18.9, False), (float("nan"), False)]
)
def test_a_rate_may_move_by_a_tenth_of_its_interval(value, passed):
    check = compared("eer", "bfloat16", Rate(value, 0.0, 100.0), WHOLE)
    assert check.passed == passed
    assert f"EER under the correct key, {value:.2f} % at bfloat16 and 20.00 % at float32" in check.text


def test_without_a_width_the_rate_must_be_the_same():
    none = Rate(0.0, 0.0, 0.0)
    assert compared("wer", "float16", none, none).passed
    assert not compared("wer", "float16", Rate(0.1, 0.0, 0.2), none).passed


def test_a_precision_that_moves_the_error_rate_is_refused_with_both_rates(tmp_path, in_float32_alone):
    with pytest.raises(
        BadInput, match=r"'EER in float32' failed for model toy-coarse.*--precision bfloat16: leave it"
    ) as e:
        sweep(config("coarse", precision="bfloat16"), tmp_path / "run", workers=1)
    reduced, whole = rates_in(str(e.value))
    assert whole == pytest.approx(eer_of(in_float32_alone, "correct"), abs=0.005)  # the same network
    assert abs(reduced - whole) > 1 and "\n" not in str(e.value)
    assert sweep(config("coarse"), tmp_path / "whole", workers=1).keys_done().below(1) == 1


def test_the_manifest_has_both_rates_below_float32_alone(tmp_path, in_float32_alone):
    run = sweep(config(precision="bfloat16"), tmp_path / "run", workers=1).path
    (check,) = [one for one in checks_of(run) if one["name"] == "EER in float32"]
    assert rates_in(check["text"]) == [
        pytest.approx(eer_of(folder, "correct"), abs=0.005) for folder in (run, in_float32_alone)
    ]
    assert check["passed"] and check["limit"] == 1
    assert not [one for one in checks_of(in_float32_alone) if "float32" in one["name"]]


def test_a_plain_model_is_compared_once_for_all_keys_by_its_plain_answers(monkeypatch):
    first = Experiment(config(variant="waveform", block=3, precision="bfloat16", scheme="flipping"))
    (check,) = against_float32(first, None)
    assert rates_in(check.text)[0] == pytest.approx(rate(first, first.plain()).value, abs=0.005)
    second = first.with_keys_of(replace(first.config, block=5))
    assert second is not None
    monkeypatch.setattr("wrongkey.evaluation.reduced_precision.in_float32", None)  # nothing more is asked
    assert list(against_float32(second, None)) == [check]


def test_float32_leaves_the_products_of_a_gpu_as_they_were():
    experiment = Experiment(config(precision="tf32"))
    try:
        with in_float32(experiment) as other:
            assert not torch.backends.cudnn.allow_tf32 and other.engine.batch.rows == experiment.engine.batch.rows
        assert torch.backends.cudnn.allow_tf32
        (check,) = against_float32(experiment, experiment.explicit(experiment.correct))
        assert check.value == 0  # on a CPU tf32 is float32
    finally:
        choose_precision("float32")


def test_too_few_utterances_for_an_interval_are_refused(tmp_path):
    (tmp_path / "one.txt").write_text("bm_george-sentence1\n")
    settings = {"task": "asr", "per_speaker": None, "only": str(tmp_path / "one.txt"), "replicates": 0}
    experiment = Experiment(config("subsampled", precision="bfloat16", **settings))
    with pytest.raises(BadInput, match=r"--precision bfloat16 is compared with float32 .* leave it out"):
        list(against_float32(experiment, experiment.explicit(experiment.correct)))


def test_every_precision_below_float32_is_compared():
    assert set(REDUCED) == {"tf32", "bfloat16", "float16"}
