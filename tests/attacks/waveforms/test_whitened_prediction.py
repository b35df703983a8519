"""Linear prediction on whitened speech: keys that it must find, and inputs on which it must not claim success."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from tests.narrow import present
from wrongkey.attacks.base import Case, Evidence, Recovery, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.waveforms.linear_prediction import NOT_ALIKE, halves_of_all
from wrongkey.attacks.waveforms.whitened_prediction import WhitenedPrediction
from wrongkey.errors import BadInput
from wrongkey.evaluation.preparation import Preparation
from wrongkey.keys import correct_key, encrypt_query, get_scheme
from wrongkey.keys.key_cut import KeyCut

RATE = 16_000


def setting(scheme, size, blocks="samples"):
    return Setting(get_scheme(scheme), KeyCut(blocks, size).under(get_scheme(scheme)).merged, RATE)


def attacked(queries, scheme, size, attack=None):
    return (attack or WhitenedPrediction(0.98, 12)).run(
        Evidence(setting(scheme, size), Case(), 0, ciphertext=tuple(queries))
    )


def prepared(wave, scheme):
    """What a model with pre-emphasis reads of prepared speech."""
    whitened = Preparation.of(scheme).recording(wave, RATE)
    return torch.cat([whitened[:1], whitened[1:] - 0.97 * whitened[:-1]])


def encrypted(voice, scheme, size):
    key = correct_key(scheme, size, 1)
    plain = [prepared(one, scheme) for one in voice]
    return key, [encrypt_query(one[: len(one) // size * size], key, blocks="samples") for one in plain]


@dataclass
class Finds:
    """A search that claims these keys, one after the other, or raises an error."""

    keys: list[Any]

    def run(self, evidence):
        key = self.keys.pop(0)
        if isinstance(key, BadInput):
            raise key
        return Recovery(key, success_claimed=True)


def finding(*keys):
    attack = WhitenedPrediction(0.98, 12)
    object.__setattr__(attack, "_searched", Finds(list(keys)).run)
    return attack


@pytest.mark.parametrize("scheme", ["rom+flat=15", "rom+phase"])
def test_the_key_of_a_whitened_voice_is_found_from_ciphertext_alone(voice, scheme):
    key, secret = encrypted(voice, scheme, 3)
    found = attacked(secret, scheme, 3)
    assert found.success_claimed and found.measured["agreement of halves"] > 0.98
    assert min(key_error(present(found.key), turned, "samples") for turned in (key, -key)) < 0.1


def test_what_is_not_under_a_key_for_such_blocks_is_not_claimed(voice):
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 60_000)))
    plain = [prepared(one, "rom+flat=15") for one in voice]
    _, other = encrypted(voice, "rom+flat=15", 5)
    for queries in (list(noise), plain, other):
        assert not attacked(queries, "rom+flat=15", 3).success_claimed


def test_halves_that_have_other_keys_withhold_the_claim(voice):
    key, secret = encrypted(voice, "rom+flat=15", 3)
    wrong = correct_key("rom", 3, 2)
    assert attacked(secret, "rom+flat=15", 3, finding(key, key, -key)).success_claimed
    for keys in ((key, wrong, key), (key, key, wrong)):
        found = attacked(secret, "rom+flat=15", 3, finding(*keys))
        assert not found.success_claimed and found.note == NOT_ALIKE


def test_a_half_that_cannot_be_attacked_withholds_the_claim_and_keeps_the_key(voice):
    key, secret = encrypted(voice, "rom+flat=15", 3)
    found = attacked(secret, "rom+flat=15", 3, finding(key, BadInput("Silent.")))
    assert not found.success_claimed and found.note == "Silent." and found.key is key


def test_a_half_may_have_the_key_of_the_mirrored_spectrum(voice):
    key, secret = encrypted(voice, "rom+flat=15", 4)
    mirrored = np.array([[1.0], [-1.0], [1.0], [-1.0]]) * key
    assert attacked(secret, "rom+flat=15", 4, finding(key, mirrored, key)).success_claimed


def test_halves_are_of_all_queries_together_and_of_whole_blocks():
    first, second = halves_of_all([torch.arange(13.0), torch.arange(8.0)], 4)
    assert [one.tolist() for one in first] == [[*range(8)]]
    assert [one.tolist() for one in second] == [[*range(8, 12)], [*range(8)]]


@pytest.mark.parametrize(
    ("scheme", "size", "says"),
    [
        ("rom", 5, "whitened"),
        ("rom+phase", 13, "minutes"),
        ("rom+flat=15+turns=3", 5, "minutes"),
        ("flipping+phase", 5, "only turn signs"),
        ("rom+phase", 1, "2 to 20"),
    ],
)
def test_what_it_is_not_for_is_said(scheme, size, says):
    assert says in present(WhitenedPrediction(0.98, 12).inapplicable(setting(scheme, size)))
