"""The block size from ciphertext alone: found under every scheme, and not where there are no blocks."""

from hashlib import shake_128

import numpy as np
import pytest

from wrongkey.attacks.waveforms.block_size import PeriodSettings, block_within, period_of
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.keys import SecretKey, encrypt_query

RATE = 16_000


@pytest.fixture(scope="module")
def voice():
    """Eight seconds of one of the bundled voices."""
    return [load_audio(utterance) for utterance in open_corpus("bundled").utterances[:3]]


def encrypted(voice, scheme, size):
    key = SecretKey.from_seed(scheme, size, seed=1)
    return [encrypt_query(wave, key) for wave in voice]


@pytest.mark.parametrize("scheme", ["rom", "shuffling", "flipping", "signed-shuffling", "invertible"])
@pytest.mark.parametrize("size", [3, 10, 12, 64])
def test_the_block_size_is_found(voice, scheme, size):
    found = period_of(encrypted(voice, scheme, size), RATE)
    assert found.samples == size and found.chance < -30


@pytest.mark.parametrize("scheme", ["rom+turns=2", "rom+turns=3", "rom+signs=3", "rom+order=4"])
def test_blocks_taken_together_are_one_period_within_which_energies_have_none(voice, scheme):
    secret = encrypted(voice, scheme, 10)
    period = 10 * int(scheme[-1])
    assert period_of(secret, RATE).samples == period
    assert block_within(secret, period, RATE) == 10


def test_a_single_key_has_no_block_within(voice):
    assert block_within(encrypted(voice, "rom", 12), 12, RATE) is None


def nothing(kind, voice):
    rng = np.random.default_rng(0)
    if kind == "white noise":
        return [rng.standard_normal(80_000)]
    if kind == "keystream":
        plain = np.round(np.concatenate(voice) * 2**15).astype(np.int16).view(np.uint16)
        key = np.frombuffer(shake_128(b"key").digest(2 * len(plain)), np.uint16)
        return [(plain ^ key).view(np.int16) / 2**15]
    if kind == "tone":
        return [np.sin(np.arange(80_000) * 0.3)]
    return {
        "plain speech": voice,
        "silence": [np.zeros(80_000)],
        "constant": [np.ones(80_000)],
        "short": [voice[0][:9_000]],
    }[kind]


@pytest.mark.parametrize("kind", ["plain speech", "white noise", "keystream", "tone", "silence", "constant", "short"])
def test_what_has_no_blocks_shows_none(voice, kind):
    assert period_of(nothing(kind, voice), RATE).samples is None


def test_under_no_period_its_probability_is_what_it_says():
    """Of 60 stretches of coloured noise with a changing level, about a fifth should look so by a chance of 0.2."""
    rng = np.random.default_rng(0)
    settings, chances = PeriodSettings(largest=16), []
    for _ in range(60):
        noise = np.convolve(rng.standard_normal(8_000), [1, 0.9, 0.5], "same") * np.repeat(rng.exponential(1, 10), 800)
        chances.append(period_of([noise], RATE, settings).chance)
    assert np.mean(np.exp(chances) < 0.2) < 0.35
