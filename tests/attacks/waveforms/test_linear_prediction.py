"""The attack from ciphertext alone: keys that it must recover, and noise in which there is nothing to know."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from wrongkey.attacks.base import Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.solvers.haar import haar
from wrongkey.attacks.waveforms.average_speech import average_starts
from wrongkey.attacks.waveforms.linear_prediction import LinearPrediction, recover, stationarity_defect
from wrongkey.attacks.waveforms.linear_prediction_settings import DEFAULTS, Effort, LinearPredictionSettings
from wrongkey.attacks.waveforms.mirror import NOT_TOLD
from wrongkey.attacks.waveforms.population_search import distinct, low_frequencies_strongest, search, similarity
from wrongkey.attacks.waveforms.prediction_objective import PredictionObjective
from wrongkey.attacks.waveforms.speech_states import speech_states
from wrongkey.evaluation.preparation import Preparation
from wrongkey.keys import get_scheme
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.key_cut import KeyCut

from .toy_speech import toy_blocks


def key_of(size: int, index: int = 0) -> torch.Tensor:
    return torch.from_numpy(draw_keys("rom", size, 3, index, 1)[0])


def setting(scheme: str, size: int, blocks: str = "samples") -> Setting:
    return Setting(get_scheme(scheme), KeyCut(blocks, size), 16_000.0)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_rom_key_is_recovered_from_ciphertext_alone(size: int) -> None:
    key = key_of(size)
    cipher = (toy_blocks(size, 4.0, 1)[0] @ key).flatten()
    evidence = Evidence(setting("rom", size), Case(seconds=4.0), seed=0, ciphertext=(cipher,))
    found = LinearPrediction().run(evidence)
    assert found.key is not None and key_error(found.key, key.numpy(), "samples") < 0.05
    assert found.success_claimed is True


TWO_RUNS = LinearPredictionSettings(most_runs=(2, 2, 2))


@pytest.mark.parametrize("size", [3, 5])
def test_no_success_is_claimed_in_white_noise(size: int) -> None:
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(20_000 * size))
    recovery = LinearPrediction(TWO_RUNS).run(Evidence(setting("rom", size), Case(), seed=0, ciphertext=(noise,)))
    assert recovery.success_claimed is False
    assert recovery.measured["stationarity defect"] > 0.3


def test_no_success_is_claimed_for_blocks_without_a_common_process() -> None:
    rng = np.random.default_rng(1)  # coloured inside a block, no two blocks depend on each other
    blocks = torch.from_numpy(rng.standard_normal((20_000, 4)) @ np.diag([3.0, 2, 1, 0.3]))
    trial = Evidence(setting("rom", 4), Case(), seed=0, ciphertext=(blocks.flatten(),))
    assert LinearPrediction(TWO_RUNS).run(trial).success_claimed is False


def test_one_run_alone_proves_nothing() -> None:
    key = key_of(4)
    settings = replace(DEFAULTS, most_runs=(1, 1, 1))
    recovered = recover([part @ key for part in toy_blocks(4, 4.0, 1)], 0, 16_000.0, settings)
    assert (recovered.runs, recovered.agreeing, recovered.needed) == (1, 1, 2)


@pytest.mark.parametrize(("size", "starts", "agreeing"), [(5, 48, 2), (6, 96, 2), (12, 96, 2), (13, 128, 3)])
def test_larger_blocks_take_more_effort(size: int, starts: int, agreeing: int) -> None:
    effort = DEFAULTS.effort(size)
    assert (effort.starts, effort.agreeing_runs) == (starts, agreeing)


def test_the_search_falls_from_level_to_level_and_keeps_distinct_keys() -> None:
    states = speech_states([part @ key_of(4) for part in toy_blocks(4, 3.0, 1)], 3, 4, 0, 16_000.0, DEFAULTS)
    objective = PredictionObjective(states, 12, 1e-3)
    effort = Effort(starts=8, kept=3, variants=12, rounds=2, patience=1, most_runs=1, agreeing_runs=1)
    keys, values = search(objective, effort, 0, replace(DEFAULTS, levels=(1.0, 0.01)))
    assert len(keys) <= 3
    assert bool((values.diff() >= 0).all())
    assert torch.allclose(objective.with_correction(0.01).value(keys), values, atol=1e-9)
    again, _ = distinct(objective, torch.cat([keys, -keys]), torch.cat([values, values]), 10, DEFAULTS)
    assert len(again) == len(keys)


def test_upright_speech_has_more_low_frequencies_and_similarity_ignores_the_sign() -> None:
    objective = PredictionObjective(speech_states(toy_blocks(4, 2.0, 0), 2, 2, 0, 16_000.0, DEFAULTS), 8, 1e-3)
    plain = torch.eye(4, dtype=torch.float64)[None]
    turned = torch.tensor([1.0, -1, 1, -1], dtype=torch.float64).diag()[None]
    assert torch.equal(low_frequencies_strongest(objective, torch.cat([plain, turned])), torch.cat([plain, plain]))
    both = similarity(objective, torch.cat([plain, -plain, haar(1, 4, np.random.default_rng(0))]))
    assert float(both[0, 1]) == pytest.approx(1) and float(both[0, 2]) < 0.99


def test_average_starts_are_orthogonal_and_better_than_random_ones() -> None:
    states = speech_states([part @ key_of(8) for part in toy_blocks(8, 4.0, 1)], 3, 4, 0, 16_000.0, DEFAULTS)
    objective = PredictionObjective(states, 24, 1.0)
    starts = average_starts(states, 40, np.random.default_rng(0), DEFAULTS)
    assert torch.allclose(starts @ starts.mT, torch.eye(8, dtype=torch.float64).expand_as(starts), atol=1e-10)
    assert objective.value(starts).median() < objective.value(haar(40, 8, np.random.default_rng(0))).median()


def test_the_defect_tells_stationary_covariances_from_turned_ones() -> None:
    states = speech_states(toy_blocks(4, 4.0, 1), 3, 4, 0, 16_000.0, DEFAULTS)
    assert stationarity_defect(states, torch.eye(4, dtype=torch.float64)) < 0.02
    assert stationarity_defect(states, key_of(4)) > 0.2


def test_where_the_attack_does_not_apply_it_says_so() -> None:
    attack = LinearPrediction()
    assert attack.inapplicable(setting("rom", 10)) is None
    assert "spectrogram" in (attack.inapplicable(setting("rom", 3, "tiles")) or "")
    assert "sign-chain" in (attack.inapplicable(setting("flipping", 10)) or "")
    assert "sample-order" in (attack.inapplicable(setting("shuffling", 10)) or "")
    assert "128" in (attack.inapplicable(setting("rom", 128)) or "")
    assert [case.seconds for case in attack.cases(setting("rom", 10))] == [10, 75]


@pytest.mark.parametrize("scheme", ["rom+flat=15", "rom+phase"])
def test_voices_tell_the_key_from_that_of_the_mirrored_spectrum(scheme: str, voice: list[torch.Tensor]) -> None:
    """Pre-emphasised whitened speech is strongest at high frequencies, as mirrored speech is."""
    key, size = key_of(4), 4
    whitened = [Preparation.of(scheme).recording(one, 16_000) for one in voice]
    plain = [torch.cat([one[:1], one[1:] - 0.97 * one[:-1]]) for one in whitened]
    secret = tuple((one[: len(one) // size * size].reshape(-1, size) @ key).flatten() for one in plain)
    found = LinearPrediction().run(Evidence(setting(scheme, size), Case(), seed=0, ciphertext=secret))
    assert found.key is not None and key_error(found.key, key.numpy(), "samples") < 0.1
    assert found.success_claimed is True and found.measured["harmonics"] > 5


def test_what_voices_do_not_tell_is_not_claimed() -> None:
    noise = lfilter([1.0], [1.0, -0.9], np.random.default_rng(0).standard_normal(40_000))  # predictable, and no voice
    secret = (torch.from_numpy(noise).reshape(-1, 4) @ key_of(4)).flatten()
    found = LinearPrediction(TWO_RUNS).run(Evidence(setting("rom", 4), Case(), seed=0, ciphertext=(secret,)))
    assert found.success_claimed is False and found.note == NOT_TOLD
