"""The attack `polyphase`: it must find the key of speech, and say that it found none in white noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.narrow import present
from wrongkey.attacks.base import Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.waveforms.linear_prediction import LinearPrediction
from wrongkey.attacks.waveforms.polyphase import Polyphase, agreement_of
from wrongkey.attacks.waveforms.polyphase_settings import PolyphaseSettings
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import SCHEMES, Group


def attacked(queries, size, seed=0):
    key = correct_key("rom", size, seed)
    cipher = tuple(encrypt_query(query[: len(query) // size * size], key, blocks="samples") for query in queries)
    evidence = Evidence(
        Setting(SCHEMES["rom"], KeyCut("samples", size), 16_000), Case(seconds=10.0), seed, ciphertext=cipher
    )
    recovery = Polyphase().run(evidence)
    return key_error(present(recovery.key), key, "samples"), recovery


@pytest.fixture(scope="module")
def voice():
    """Ten seconds of one of the bundled voices."""
    corpus = open_corpus("bundled")
    waveforms = [torch.from_numpy(load_audio(u)).double() for u in corpus.utterances if u.speaker == corpus.speakers[0]]
    return waveforms[:3]


@pytest.mark.parametrize("size", [3, 5, 10])
def test_the_key_of_a_voice_is_found_from_ciphertext_alone(voice, size):
    error, recovery = attacked(voice, size)
    assert error < 0.1 and recovery.success_claimed
    np.testing.assert_allclose(recovery.key @ recovery.key.T, np.eye(size), atol=1e-9)


@pytest.mark.parametrize("size", [2, 3, 5, 10])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_white_noise_has_no_key_to_find_and_the_attack_says_so(size, seed):
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, 80_000)))
    error, recovery = attacked(list(noise), size, seed)
    assert not recovery.success_claimed
    assert error > 0.1


@pytest.mark.parametrize(("size", "taken"), [(5, 3), (7, 5), (7, 3), (None, 3), (None, 10)])
def test_other_blocks_and_plain_speech_are_not_claimed(voice, size, taken):
    """The ciphertext looks like plain speech then: the identity explains it, and estimates agree on it."""
    cipher = voice if size is None else [encrypt_query(q, correct_key("rom", size, 0), blocks="samples") for q in voice]
    setting = Setting(SCHEMES["rom"], KeyCut("samples", taken), 16_000)
    recovery = Polyphase().run(Evidence(setting, Case(), 0, ciphertext=tuple(cipher)))
    assert recovery.measured["stationarity of the ciphertext"] > 0.98
    assert not recovery.success_claimed


def test_too_little_ciphertext_is_refused_in_a_sentence():
    with pytest.raises(BadInput, match="segment"):
        attacked([torch.randn(100, dtype=torch.float64)], 10)


def test_keys_agree_whatever_their_sign_and_unrelated_ones_do_not():
    blocks = [torch.randn(200, 4, dtype=torch.float64)]
    one, other = (torch.from_numpy(correct_key("rom", 4, seed)) for seed in (0, 1))
    assert agreement_of(one, -one, blocks) == pytest.approx(1)
    assert agreement_of(one, other, blocks) < 0.9


@pytest.mark.parametrize(("kinds", "word"), [(("rom", "tiles"), "tones"), (("flipping", "samples"), "sign-chain")])
def test_what_it_is_not_for_is_said(kinds, word):
    scheme, blocks = kinds
    setting = Setting(SCHEMES[scheme], KeyCut(blocks, 4), 16_000)
    assert word in (Polyphase().inapplicable(setting) or "")


@pytest.mark.parametrize("attack", [Polyphase(), LinearPrediction()])
def test_a_finite_scheme_is_not_attacked_as_a_continuum(attack):
    rom = SCHEMES["rom"]
    setting = Setting(replace(rom, name="mine"), KeyCut("samples", 4), 16_000)
    assert attack.inapplicable(setting) is None
    for finite in (replace(setting.scheme, space=lambda size: size), replace(rom, group=Group.SIGNED_PERMUTATIONS)):
        assert "finitely many keys" in attack.inapplicable(replace(setting, scheme=finite))


def test_settings_reach_the_estimates(voice):
    key = correct_key("rom", 5, 0)
    cipher = tuple(encrypt_query(query[: len(query) // 5 * 5], key, blocks="samples") for query in voice)
    trial = Evidence(Setting(SCHEMES["rom"], KeyCut("samples", 5), 16_000), Case(), 0, ciphertext=cipher)
    assert Polyphase().run(trial).success_claimed
    assert not Polyphase(PolyphaseSettings(linked=1.1)).run(trial).success_claimed
