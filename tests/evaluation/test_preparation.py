"""Speech that users prepare before they encrypt it, through experiment and sweep."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests import toys
from wrongkey.errors import BadInput
from wrongkey.evaluation import preparation as preparations
from wrongkey.evaluation.answers import difference_of
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.preparation import Preparation, unprepared
from wrongkey.evaluation.sweep import sweep
from wrongkey.keys.preparations import PREPARATIONS, Step

SHARED: dict[str, Any] = {"corpus": "bundled", "per_speaker": 2, "replicates": 5, "device": "cpu", "keys": 3}
NOISE = Preparation((Step("noise", 20.0),))


def config(model: str = "raw3", **settings) -> SweepConfig:
    return SweepConfig(model=f"tests.toys:{model}", **SHARED | settings)


def eers(folder: Path) -> dict[str, float]:
    rows = pd.read_parquet(folder / "scores" / "conditions.parquet").query("metric == 'eer'")
    return dict(zip(rows.condition, rows.value, strict=True))


def ratio(plain: torch.Tensor, noisy: torch.Tensor) -> float:
    return float(10 * torch.log10((plain**2).sum() / ((noisy - plain) ** 2).sum()))


def test_names_and_steps():
    prepared = Preparation.of("rom+turns=4+flat=15+noise=20")
    assert prepared.steps == (Step("flat", 15), Step("noise", 20.0)) and prepared
    assert not Preparation.of("rom+turns=4") and Preparation.of("rom").about() is None
    assert unprepared("rom+turns=4+flat=15+noise=20+nonce") == "rom+turns=4+nonce"
    assert unprepared("tests.toys:scheme") == "tests.toys:scheme"
    with pytest.raises(BadInput, match="noise=loud"):
        Preparation.of("rom+noise=loud")


def test_noise_has_the_ratio_asked_for_and_is_white():
    queries = torch.randn(3, 40_000, generator=torch.Generator().manual_seed(0)).double().cumsum(-1)
    noisy = NOISE.noisy(queries, 0, "a")
    assert [ratio(*pair) for pair in zip(queries, noisy, strict=True)] == pytest.approx([20] * 3, abs=0.1)
    noise = (noisy - queries)[0]
    covariance = [float((noise[lag:] * noise[: len(noise) - lag]).mean() / (noise**2).mean()) for lag in range(1, 6)]
    assert np.abs(covariance).max() < 0.03


def test_the_mean_of_a_spectrogram_is_no_signal():
    """A log-mel spectrogram may lie far below zero everywhere: what varies about its mean is the signal."""
    spectrogram = torch.randn(1, 80, 300, generator=torch.Generator().manual_seed(0)) - 50
    noisy = NOISE.noisy(spectrogram, 0, "a")
    assert noisy.dtype == spectrogram.dtype
    assert ratio(spectrogram - spectrogram.mean(), noisy - spectrogram.mean()) == pytest.approx(20, abs=0.1)


def test_noise_depends_on_seed_utterance_and_segment_alone():
    queries = torch.ones(3, 501)
    noise = NOISE.noisy(queries, 0, "a") - 1
    torch.testing.assert_close(NOISE.noisy(queries[:2], 0, "a") - 1, noise[:2], rtol=0, atol=0)
    torch.testing.assert_close(NOISE.noisy(queries, 0, "a") - 1, noise, rtol=0, atol=0)
    others = [noise[1], noise[2], (NOISE.noisy(queries, 1, "a") - 1)[0], (NOISE.noisy(queries, 0, "b") - 1)[0]]
    for other in others:
        assert abs(float(torch.corrcoef(torch.stack([noise[0], other]))[0, 1])) < 0.2


@pytest.mark.parametrize("options", ["noise=20", "flat=15", "phase", "lpc=16", "flat=15+noise=10"])
def test_the_encrypted_model_is_exact_on_prepared_speech(options):
    prepared, clean = Experiment(config(scheme=f"rom+{options}")), Experiment(config())
    exact = difference_of(prepared.explicit(prepared.correct), prepared.plain())
    assert exact < 1e-5 < difference_of(prepared.plain(), prepared.clean())
    assert difference_of(prepared.clean(), clean.plain()) == 0


def test_the_plain_model_stays_clean_and_the_cost_is_said(tmp_path):
    """The difference of the rows `correct` and `plain` is what the preparation costs."""
    lines: list[str] = []
    noisy, clean = config(scheme="rom+noise=10"), Experiment(config())
    run = sweep(noisy, tmp_path / "run", workers=1, report=lines.append).path
    rows = clean.task.measure(clean.scores(clean.plain()))
    assert eers(run)["plain"] == next(row["value"] for row in rows if row["metric"] == "eer")
    manifest = json.loads((run / "manifest.json").read_text())
    steps = [{"name": "noise", "amount": 10.0}]
    assert manifest["preparation"] == {"text": "noise at 10 dB", "steps": steps}
    assert all(check["passed"] for check in manifest["self_checks"])
    cost = eers(run)["correct"] - eers(run)["plain"]
    (said,) = (line for line in manifest["cautions"] if "costs the authorised user" in line)
    assert f"costs the authorised user {cost:.1f} points of EER" in said
    assert f"caution: {said}" in lines


def test_what_is_asked_is_the_prepared_query():
    prepared, clean = Experiment(config(scheme="rom+flat=15+noise=30")), Experiment(config())
    utterance = clean.used[1]
    waveform = prepared.preparation.recording(clean.reader.waveform(utterance), 16_000)
    front = toys.raw3().segments(toys.raw3().front_end(waveform))
    expected = prepared.preparation.noisy(front, 0, utterance.id)
    found = prepared.engine.queries.among([1]).groups[0].segments
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    torch.testing.assert_close(prepared.clean(), clean.plain(), rtol=0, atol=0)
    assert clean.clean() is clean.plain()


def test_workers_and_a_resumed_run_hear_the_same_noise(tmp_path):
    noisy = config(scheme="rom+noise=10", keys=4)
    once = sweep(noisy, tmp_path / "once", workers=1).path
    sweep(replace(noisy, keys=2), tmp_path / "twice", workers=1)
    twice = sweep(noisy, tmp_path / "twice", workers=2).path

    def scores(folder: Path) -> pd.DataFrame:
        table = pd.concat(pd.read_parquet(file) for file in sorted((folder / "scores").glob("*.parquet")))
        return table.sort_values(["condition", "metric", "key_index"], ignore_index=True)

    pd.testing.assert_frame_equal(scores(once), scores(twice))


def test_enrolment_is_prepared_as_the_test_side_is():
    """In the variant `test` too: speakers are enrolled under the correct key, from prepared speech."""
    plain, both = (Experiment(config(variant=variant, scheme="rom+flat=15")) for variant in ("test", "both"))
    torch.testing.assert_close(plain.scores(plain.plain()), both.scores(both.plain()))


def test_waveforms_are_encrypted_with_their_noise():
    """In the variant `waveform` the waveform is the query: noise is added to it, and not behind the front end."""
    noisy = Experiment(config(variant="waveform", block=4, scheme="rom+noise=20"))
    plain = Experiment(config(variant="waveform", block=4))
    for heard, clean in list(zip(noisy.waveforms, plain.waveforms, strict=True))[:3]:
        assert ratio(clean.double(), heard.double()) == pytest.approx(20, abs=0.3)
    identity = np.eye(4)[None]
    torch.testing.assert_close(noisy.answers(identity), noisy.plain(), rtol=0, atol=1e-5)
    torch.testing.assert_close(noisy.clean(), plain.plain(), rtol=0, atol=0)
    assert noisy.with_keys_of(replace(noisy.config, scheme="rom")) is None
    assert noisy.with_keys_of(replace(noisy.config, scheme="flipping+noise=20")) is not None


def test_more_bins_than_the_rate_gives_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(BadInput, match=r"^The option flat=300 "):
        sweep(config(scheme="rom+flat=300"), tmp_path / "run", workers=1)
    assert not list(tmp_path.rglob("*.parquet"))


def test_every_step_is_known():
    names = {*preparations.FRONT_ENDS, "noise"}
    assert names == set(PREPARATIONS)
