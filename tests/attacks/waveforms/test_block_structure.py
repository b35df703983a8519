"""The structure of blocks: a ciphertext shows it at its own block size alone, and the right key takes it away."""

import numpy as np
import pytest
import torch

from wrongkey.attacks.waveforms.block_structure import StructureSettings, block_structure, stationarity_by_size
from wrongkey.attacks.waveforms.lag_covariances import block_rows
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.keys import correct_key, encrypt_query

RATE, SETTINGS = 16_000, StructureSettings()


@pytest.fixture(scope="module")
def voice():
    corpus = open_corpus("bundled")
    return [torch.from_numpy(load_audio(u)).double() for u in corpus.utterances if u.speaker == corpus.speakers[0]][:2]


def encrypted(voice, key):
    return [encrypt_query(wave, key, blocks="samples") for wave in voice]


@pytest.mark.parametrize("size", [3, 5, 10, 20])
def test_the_right_key_takes_it_away_and_another_does_not(voice, size):
    key, other = correct_key("rom", size, 0), correct_key("rom", size, 1)
    rows = block_rows(encrypted(voice, key), size)
    right, wrong = (block_structure(rows, one, RATE, SETTINGS) for one in (key, other))
    assert right.seen and right.taken_away and right.after > 0.99
    assert wrong.before == right.before < 0.9 and not wrong.taken_away


@pytest.mark.parametrize(("size", "taken"), [(5, 3), (7, 5), (10, 3), (10, 7)])
def test_blocks_without_a_common_divisor_look_like_plain_speech(voice, size, taken):
    rows = block_rows(encrypted(voice, correct_key("rom", size, 0)), taken)
    structure = block_structure(rows, np.eye(taken), RATE, SETTINGS)
    assert not structure.seen and not structure.taken_away
    assert structure.before == structure.after > 0.98


def test_a_scan_of_sizes_shows_the_block_size_and_its_multiples(voice):
    sizes = list(range(2, 13))
    plain = stationarity_by_size(voice, sizes, RATE, SETTINGS)
    secret = stationarity_by_size(encrypted(voice, correct_key("rom", 5, 0)), sizes, RATE, SETTINGS)
    assert plain.min() > 0.99
    assert [size for size, value in zip(sizes, secret, strict=True) if value < 0.5] == [5, 10]


def test_long_ciphertext_takes_no_more_segments():
    noise = np.random.default_rng(0).standard_normal((60_000, 8))
    few = StructureSettings(structure_segments=50)
    assert block_structure([noise], np.eye(8), RATE, few).block_size == 8  # 480,000 samples in about 50 segments
