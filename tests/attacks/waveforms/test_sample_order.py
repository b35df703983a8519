"""The order of shuffled samples: found where speech tells it, and no success claimed where nothing can."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.waveforms.blind import BLIND
from wrongkey.attacks.waveforms.order_search import anneal, cost, pair_costs, polish, rearrangements
from wrongkey.attacks.waveforms.sample_order import SampleOrder, SampleOrderSettings, key_of_order
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import SCHEMES, Group

SECONDS = 5


@pytest.fixture(scope="module")
def voices() -> list[list[torch.Tensor]]:
    """Pre-emphasised speech of bundled voices, as the bundled models encrypt it: first the victim's."""
    speakers: dict[str, list[torch.Tensor]] = {}
    for utterance in open_corpus("bundled").utterances:
        waveform = load_audio(utterance).astype(np.float64)
        waveform[1:] -= 0.97 * waveform[:-1]
        speakers.setdefault(str(utterance.speaker), []).append(torch.from_numpy(waveform))
    return list(speakers.values())[:8]


def evidence(queries: list[torch.Tensor], size: int, background: list[torch.Tensor], variant: str = "") -> Evidence:
    key, left, cipher = correct_key("shuffling", size, 3), SECONDS * 16_000, []
    for query in queries:
        piece = query[: min(left, len(query)) // size * size]
        if len(piece):
            cipher.append(encrypt_query(piece, key, blocks="samples"))
        left -= len(query)
        if left < size:
            break
    setting = Setting(SCHEMES["shuffling"], KeyCut("samples", size), 16_000.0)
    return Evidence(
        setting, Case(SECONDS, variant=variant), 0, tuple(cipher), background=BackgroundSpeech(tuple(background), ())
    )


@pytest.mark.parametrize(("size", "variant"), [(3, ""), (10, BLIND), (24, "")])
def test_shuffled_speech_is_ordered_exactly(voices: list[list[torch.Tensor]], size: int, variant: str) -> None:
    background = [query for voice in voices[1:] for query in voice]
    recovery = SampleOrder().run(evidence(voices[0], size, background, variant))
    assert recovery.key is not None
    assert key_error(recovery.key, correct_key("shuffling", size, 3), "samples") == 0
    assert recovery.success_claimed


def test_white_noise_is_not_claimed_as_a_success(voices: list[list[torch.Tensor]]) -> None:
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(SECONDS * 16_000))
    recovery = SampleOrder().run(evidence([noise], 12, voices[1]))
    assert recovery.success_claimed is False
    assert recovery.key is not None
    assert key_error(recovery.key, correct_key("shuffling", 12, 3), "samples") > 0.8
    assert recovery.objective == pytest.approx(0, abs=0.05)


def test_other_settings_are_refused_with_a_reason() -> None:
    attack, setting = SampleOrder(), Setting(SCHEMES["shuffling"], KeyCut("samples", 10), 16_000.0)
    assert attack.inapplicable(setting) is None
    assert "mine" in (attack.inapplicable(replace(setting, scheme=replace(SCHEMES["rom"], name="mine"))) or "")
    assert "tiles" in (attack.inapplicable(replace(setting, cut=KeyCut("tiles", 10))) or "")


def test_a_scheme_is_judged_by_its_group_and_not_by_its_name() -> None:
    mine = Setting(replace(SCHEMES["shuffling"], name="mine"), KeyCut("samples", 10), 16_000.0)
    assert SampleOrder().inapplicable(mine) is None
    signed = replace(mine, scheme=replace(mine.scheme, group=Group.SIGNED_PERMUTATIONS))
    assert (SampleOrder().inapplicable(signed) or "").startswith("This attack")


def test_too_little_ciphertext_is_refused() -> None:
    with pytest.raises(BadInput, match="give more ciphertext"):
        SampleOrder().run(evidence([torch.ones(100, dtype=torch.float64)], 10, [], BLIND))


def test_key_of_an_order_encrypts_as_the_order_says() -> None:
    assert (np.array([5.0, 6.0, 7.0]) @ key_of_order(np.array([2, 0, 1]))).tolist() == [6, 7, 5]


def test_pair_costs_sum_to_the_weighted_covariances() -> None:
    """Against the plain sum over all entries, for blocks shorter and longer than the weights reach."""
    rng = np.random.default_rng(0)
    for size in (4, 9, 20):
        reach = 6
        blocks = 1 + -(-reach // size)
        covariances, weights = rng.standard_normal((2, blocks, size, size)), rng.standard_normal((2, reach + 1))
        order = rng.permutation(size)
        expected = sum(
            weights[state, lag] * covariances[state, block, order[i], order[j]]
            for state in range(2)
            for block in range(blocks)
            for i in range(size)
            for j in range(size)
            if i != j and 1 <= (lag := block * size + j - i) <= reach
        )
        assert cost(pair_costs(weights, covariances), order) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_search_finds_a_path() -> None:
    """Neighbours within a hidden order cost -1: annealing finds it, and polishing mends a displaced piece of it."""
    size = 30
    hidden = np.random.default_rng(0).permutation(size)
    covariance = np.zeros((1, 1, size, size))
    covariance[0, 0, hidden[:-1], hidden[1:]] = 1
    pairs = pair_costs(np.array([[0.0, -1.0]]), covariance)
    found = anneal(pairs, np.arange(size), 1.0, 0.05, 200_000, 0, SampleOrderSettings().moves)
    assert np.array_equal(found, hidden)
    displaced = np.concatenate([hidden[:5], hidden[12:20], hidden[5:12], hidden[20:]])
    assert np.array_equal(polish(pairs, displaced, 12, 4, 1e-4), hidden)


def test_rearrangements_are_permutations_and_hold_the_known_patterns() -> None:
    found = rearrangements(8, (2, 3, 4))
    assert (np.sort(found, axis=1) == np.arange(8)).all()
    for pattern in (
        [0, 2, 1, 3, 4, 6, 5, 7],
        [7, 6, 5, 4, 3, 2, 1, 0],
        [3, 4, 5, 6, 7, 0, 1, 2],
        [0, 2, 4, 6, 1, 3, 5, 7],
    ):
        assert (found == pattern).all(1).any()


def test_settings_reach_the_search(voices: list[list[torch.Tensor]]) -> None:
    trial = evidence(voices[0], 3, [], BLIND)
    assert SampleOrder().run(trial).success_claimed is True
    assert SampleOrder(SampleOrderSettings(stationary=1.1)).run(trial).success_claimed is False
