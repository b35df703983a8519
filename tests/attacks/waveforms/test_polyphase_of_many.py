"""The attack `polyphase-of-many`: what one speaker's ciphertext is too little for, that of all gives away."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.narrow import present
from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.waveforms.polyphase import Polyphase
from wrongkey.attacks.waveforms.polyphase_of_many import PolyphaseOfMany
from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS
from wrongkey.errors import BadInput
from wrongkey.keys import correct_key, encrypt_query, get_scheme
from wrongkey.keys.key_cut import KeyCut

SIZE = 10


def setting(size: int) -> Setting:
    return Setting(get_scheme("rom"), KeyCut("samples", size), 16_000)


def test_the_ciphertext_of_others_gives_the_key_away(voice):
    key = correct_key("rom", SIZE, 0)
    short = encrypt_query(voice[0][: 20 * SIZE], key, blocks="samples")
    others = tuple(encrypt_query(query[: len(query) // SIZE * SIZE], key, blocks="samples") for query in voice[1:])
    (case,) = PolyphaseOfMany().cases(setting(64))
    with pytest.raises(BadInput, match="segment"):
        Polyphase().run(Evidence(setting(SIZE), case, 0, ciphertext=(short,)))
    many = BackgroundSpeech(tuple(query.float() for query in others), ("",) * len(others))
    recovery = PolyphaseOfMany().run(Evidence(setting(SIZE), case, 0, ciphertext=(short,), enrolled=many))
    assert key_error(present(recovery.key), key, "samples") < 0.1 and recovery.success_claimed


def test_the_rest_of_a_block_at_the_end_of_a_query_is_left_out(voice):
    key = correct_key("rom", SIZE, 0)
    whole = voice[1][: len(voice[1]) // SIZE * SIZE]
    query = encrypt_query(whole, key, blocks="samples").float()
    (case,) = PolyphaseOfMany().cases(setting(64))
    longer = torch.cat([query, query[:3]])
    evidence = Evidence(setting(SIZE), case, 0)
    first, second = [
        present(PolyphaseOfMany().run(replace(evidence, enrolled=BackgroundSpeech((one,), ("",)))).key)
        for one in (query, longer)
    ]
    np.testing.assert_array_equal(first, second)


def of_many(queries, size):
    """What the attack makes of queries, the first of them the victim's."""
    first, *others = [query[: len(query) // size * size] for query in queries]
    many = BackgroundSpeech(tuple(query.float() for query in others), ("",) * len(others))
    return PolyphaseOfMany().run(Evidence(setting(size), Case(), 0, ciphertext=(first,), enrolled=many))


def test_plain_speech_is_not_claimed_at_large_blocks(voice):
    assert not of_many(voice, 32).success_claimed


def test_white_noise_is_not_claimed_at_large_blocks():
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 60_000)))
    assert not of_many(list(noise), 32).success_claimed


@pytest.mark.parametrize("size", [10, 40])
def test_another_block_size_is_not_claimed_at_large_blocks(voice, size):
    key = correct_key("rom", size, 0)
    sent = [encrypt_query(query[: len(query) // size * size], key, blocks="samples") for query in voice]
    assert not of_many(sent, 32).success_claimed


def test_it_leaves_small_blocks_to_the_attack_on_one_speaker():
    assert PolyphaseOfMany().inapplicable(setting(DEFAULTS.smallest_of_many)) is None
    assert "polyphase" in present(PolyphaseOfMany().inapplicable(setting(DEFAULTS.smallest_of_many - 1)))
