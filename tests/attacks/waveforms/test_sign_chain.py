"""Signs of flipped samples: found where speech tells them, and no success claimed where nothing can."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.waveforms.blind import BLIND
from wrongkey.attacks.waveforms.sign_chain import SignChain, SignChainSettings, descended_signs, lowest_signs
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import SCHEMES, Group


@pytest.fixture(scope="module")
def voices() -> list[list[torch.Tensor]]:
    """Speech of bundled voices, first the victim's."""
    speakers: dict[str, list[torch.Tensor]] = {}
    for utterance in open_corpus("bundled").utterances:
        speakers.setdefault(str(utterance.speaker), []).append(torch.from_numpy(load_audio(utterance)).double())
    return list(speakers.values())[:8]


def emphasised(query: torch.Tensor) -> torch.Tensor:
    return torch.cat([query[:1], query[1:] - 0.97 * query[:-1]])


def evidence(queries: list[torch.Tensor], size: int, background: list[torch.Tensor], variant: str = "") -> Evidence:
    key = correct_key("flipping", size, 3)
    whole = [query[: len(query) // size * size] for query in queries]
    setting = Setting(SCHEMES["flipping"], KeyCut("samples", size), 16_000.0)
    cipher = tuple(encrypt_query(query, key, blocks="samples") for query in whole)
    return Evidence(setting, Case(5, variant=variant), 0, cipher, background=BackgroundSpeech(tuple(background), ()))


@pytest.mark.parametrize("variant", ["", BLIND])
@pytest.mark.parametrize("size", [1, 2, 5, 32])
@pytest.mark.parametrize("plain", [True, False])
def test_flipped_speech_is_found_exactly(
    voices: list[list[torch.Tensor]], size: int, variant: str, plain: bool
) -> None:
    front_end = (lambda query: query) if plain else emphasised
    background = [front_end(query) for voice in voices[1:] for query in voice]
    recovery = SignChain().run(evidence([front_end(query) for query in voices[0]], size, background, variant))
    key = correct_key("flipping", size, 3)
    assert recovery.key is not None
    if variant == BLIND and not plain and size % 2 == 0:  # a bright voice: a turned spectrum is as good
        assert recovery.success_claimed is (None if size > 2 else False)
        turned = recovery.key * np.where(np.arange(size) % 2, -1.0, 1.0)
        assert 0 in (key_error(recovery.key, key, "samples"), key_error(turned, key, "samples"))
        return
    assert key_error(recovery.key, key, "samples") == 0
    assert recovery.success_claimed is (size > 2)  # signs of one or two samples leave no structure of blocks to see


def test_white_noise_is_not_claimed_as_a_success(voices: list[list[torch.Tensor]]) -> None:
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(80_000))
    recovery = SignChain().run(evidence([noise], 32, voices[1]))
    assert recovery.success_claimed is False
    assert recovery.key is not None
    assert key_error(recovery.key, correct_key("flipping", 32, 3), "samples") > 0.8


def test_other_settings_are_refused_with_a_reason() -> None:
    attack, setting = SignChain(), Setting(SCHEMES["flipping"], KeyCut("samples", 10), 16_000.0)
    assert attack.inapplicable(setting) is None
    assert "mine" in (attack.inapplicable(replace(setting, scheme=replace(SCHEMES["rom"], name="mine"))) or "")
    assert "frames" in (attack.inapplicable(replace(setting, cut=KeyCut("frames", 10))) or "")


def test_a_scheme_is_judged_by_its_group_and_not_by_its_name() -> None:
    mine = Setting(replace(SCHEMES["flipping"], name="mine"), KeyCut("samples", 10), 16_000.0)
    assert SignChain().inapplicable(mine) is None
    signed = replace(mine, scheme=replace(mine.scheme, group=Group.SIGNED_PERMUTATIONS))
    assert (SignChain().inapplicable(signed) or "").startswith("This attack")


def test_too_little_ciphertext_is_refused() -> None:
    with pytest.raises(BadInput, match="give more ciphertext"):
        SignChain().run(evidence([torch.ones(100, dtype=torch.float64)], 10, [], BLIND))


def test_signs_of_a_chain_are_found_from_its_neighbours_alone() -> None:
    """A domain wall in the middle costs one pair only: no single flip mends it, a flip of all behind it does."""
    hidden = np.random.default_rng(0).choice([-1.0, 1.0], 40)
    form = np.zeros((40, 40))
    form[np.arange(39), np.arange(1, 40)] = -hidden[:-1] * hidden[1:]
    symmetric = (form + form.T) / 2
    wall = hidden * np.where(np.arange(40) < 20, 1.0, -1.0)
    for found in (descended_signs(symmetric, wall), lowest_signs(form)):
        assert abs(found @ hidden) == 40


def test_background_speech_is_learned_from_once_for_all_trials(
    voices: list[list[torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    attack, trial = SignChain(), evidence(voices[0][:1], 5, voices[1])
    first = attack.run(trial)
    monkeypatch.setattr("wrongkey.attacks.waveforms.sign_chain.learned", None)
    assert attack.run(trial).objective == first.objective
    with pytest.raises(TypeError):
        attack.run(evidence(voices[0][:1], 5, voices[1]))


def test_settings_reach_the_search(voices: list[list[torch.Tensor]]) -> None:
    trial = evidence(voices[0], 5, voices[1])
    assert SignChain().run(trial).success_claimed is True
    assert SignChain(SignChainSettings(stationary=1.1)).run(trial).success_claimed is False
