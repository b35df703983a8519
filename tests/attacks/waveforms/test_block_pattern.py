"""The attack `block-pattern`: one key whose blocks have secret signs or a secret order."""

from itertools import product

import numpy as np
import pytest
import torch

from tests.narrow import present
from wrongkey.attacks.base import Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.waveforms.block_meetings import alike, block_order, block_signs, distances, meetings, signed
from wrongkey.attacks.waveforms.block_pattern import BlockPattern, Pattern
from wrongkey.attacks.waveforms.block_pattern_settings import DEFAULTS
from wrongkey.attacks.waveforms.lag_covariances import block_rows
from wrongkey.errors import BadInput
from wrongkey.keys import correct_key, draw_keys, encrypt_query, get_scheme
from wrongkey.keys.key_cut import KeyCut

RATE = 16_000


def setting(name, size, blocks="samples"):
    scheme = get_scheme(name)
    return Setting(scheme, KeyCut(blocks, size).under(scheme).merged, RATE)


def attacked(name, size, queries, key):
    """What the attack makes of queries; key: None where they are as they are."""
    where = setting(name, size)
    whole = [query[: len(query) // where.size * where.size] for query in queries]
    cipher = tuple(whole if key is None else [encrypt_query(query, key, blocks="samples") for query in whole])
    return BlockPattern().run(Evidence(where, Case(), 0, ciphertext=cipher))


def brightened(query):
    """Three times pre-emphasised: most of the energy is at high frequencies."""
    for _ in range(3):
        query = torch.cat([query[:1], query[1:] - 0.97 * query[:-1]])
    return query


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("rom+signs=2", 5),
        ("rom+signs=8", 10),
        ("rom+signs=5", 3),
        ("rom+order=2", 5),
        ("rom+order=8", 10),
        ("rom+signs=4+order=3", 5),
        ("shuffling+signs=4", 5),
        ("shuffling+order=4", 5),
        ("flipping+order=4", 5),
        ("signed-shuffling+order=4", 5),
        ("invertible+signs=4", 3),
        ("invertible+order=3", 4),
    ],
)
def test_key_and_pattern_are_found_from_ciphertext_alone(voice, name, size):
    key = correct_key(name, setting(name, size).size, 1)
    recovery = attacked(name, size, voice, key)
    error = min(key_error(present(recovery.key), turned, "samples") for turned in (key, -key))
    assert error < 0.1 and recovery.success_claimed


def test_a_pattern_is_claimed_though_the_key_that_blocks_share_is_the_identity(voice):
    identity = next(seed for seed in range(99) if np.all(np.diag(correct_key("flipping+signs=4", 12, seed))[:3] == 1))
    key = correct_key("flipping+signs=4", 12, identity)
    assert attacked("flipping+signs=4", 3, voice, key).success_claimed


@pytest.mark.parametrize("name", ["flipping+signs=2", "rom+signs=2", "invertible+signs=2"])
def test_the_mirrored_key_of_bright_speech_is_not_claimed(voice, name):
    for seed in range(3):
        key = correct_key(name, 6, seed)
        recovery = attacked(name, 3, [brightened(one) for one in voice], key)
        error = min(key_error(present(recovery.key), turned, "samples") for turned in (key, -key))
        assert error < 0.1 or not recovery.success_claimed


@pytest.mark.parametrize(
    ("name", "size"),
    [
        *product(["rom+signs=4", "rom+order=4"], [3, 5]),
        ("rom+order=4", 44),
        ("invertible+signs=4", 3),
        ("invertible+order=4", 3),
    ],
)
def test_no_success_is_claimed_where_there_is_none(voice, name, size):
    where = setting(name, size)
    rng = np.random.default_rng(0)
    rows = [query.numpy()[: len(query) // where.size * where.size].reshape(-1, 1, size) for query in voice]
    fresh = [
        (one @ draw_keys("rom", size, 0, 0, len(one))).ravel() for one in rows
    ]  # what QR leaves has a mean: one key
    other = encrypt_query(voice[0], correct_key("rom+turns=4", where.size, 0), blocks="samples")
    noise = torch.from_numpy(rng.standard_normal((2, 80_000)))
    for queries in (voice, [torch.from_numpy(one) for one in fresh], list(noise), [other]):
        assert not attacked(name, size, queries, None).success_claimed


def test_the_covariance_of_two_blocks_depends_on_their_distance_alone(voice):
    met = meetings(block_rows(voice, 40), 8, RATE, DEFAULTS)
    places = np.arange(8)
    assert met.shape == (2, 8, 8, 5, 5)
    assert alike(met, places) > 0.9
    assert alike(met, places[::-1].copy()) < alike(met, places)
    assert alike(signed(met, np.where(places == 3, -1.0, 1.0)), places) < 0.9 * alike(met, places)


def test_distances_count_blocks_to_the_next_super_block():
    here, after = distances(np.array([1, 0]))
    np.testing.assert_array_equal(here, [[0, -1], [1, 0]])
    np.testing.assert_array_equal(after, [[2, 1], [3, 2]])


@pytest.mark.parametrize("count", [3, 8, 12])
def test_patterns_are_found_whatever_the_key(voice, count):
    rng = np.random.default_rng(count)
    size = 5
    key = correct_key("rom", size, 0)
    order, signs = rng.permutation(count), np.sign(rng.standard_normal(count))
    blocks = [(rows.reshape(-1, count, size) @ key) for rows in block_rows(voice, count * size)]
    moved = meetings([one[:, order].reshape(len(one), -1) for one in blocks], count, RATE, DEFAULTS)
    np.testing.assert_array_equal(order[block_order(moved, 0, DEFAULTS)], np.arange(count))
    turned = meetings([(one * signs[:, None]).reshape(len(one), -1) for one in blocks], count, RATE, DEFAULTS)
    found = block_signs(turned) * signs * signs[0]
    assert abs(found.sum()) == count or (count % 2 == 0 and abs((found * (-1.0) ** np.arange(count)).sum()) == count)


def test_silence_and_too_little_ciphertext_are_refused_in_a_sentence():
    with pytest.raises(BadInput, match="two super-blocks"):
        attacked("rom+signs=4", 5, [torch.randn(30, dtype=torch.float64)], None)
    with pytest.raises(BadInput, match="silent"):
        attacked("rom+signs=4", 5, [torch.zeros(8000, dtype=torch.float64)], None)


@pytest.mark.parametrize(
    ("name", "blocks", "word"),
    [
        ("rom", "samples", "neither"),
        ("rom+turns=2", "samples", "neither"),
        ("signed-shuffling", "samples", "neither"),
        ("rom+signs=4", "frames", "frames"),
        ("rom+order=128", "samples", "up to 512"),
    ],
)
def test_what_it_is_not_for_is_said(name, blocks, word):
    assert word in present(BlockPattern().inapplicable(setting(name, 5, blocks)))


def test_the_limit_of_the_attack_on_the_base_is_one_of_the_pattern():
    assert "2 to 32 samples, not of 40" in present(BlockPattern().inapplicable(setting("invertible+signs=2", 40)))


def test_cases_are_those_of_the_attack_on_the_base():
    needs = {frozenset({"ciphertext"})}
    assert {case.needs for case in BlockPattern().cases(setting("rom+signs=4", 5))} == needs
    assert {case.variant for case in BlockPattern().cases(setting("shuffling+signs=4", 5))} == {"", "no other speech"}


def test_a_merged_key_is_the_composition():
    where = setting("rom+order=4", 5)
    pattern = present(Pattern.of(where))
    key = correct_key("rom+order=4", 20, 0)
    base, order = where.scheme.structure.decompose(key[None])
    np.testing.assert_allclose(pattern.key(base[0], order[0]), key)
