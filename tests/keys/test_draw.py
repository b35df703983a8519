"""Streams of keys: the same key however the work is split, and sequences of incorrect keys."""

import os
import pickle
from functools import partial
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.narrow import present
from wrongkey.errors import BadInput
from wrongkey.keys import draw
from wrongkey.keys.draw import IncorrectKeys, correct_key, draw_keys, draw_secret_matrix
from wrongkey.keys.schemes import SCHEMES, Matrices, Scheme, Words

schemes = st.sampled_from(sorted(SCHEMES))


@settings(max_examples=60)
@given(schemes, st.integers(1, 12), st.integers(-3, 2**70), st.integers(0, 50), st.data())
def test_key_i_does_not_depend_on_how_the_batch_is_split(scheme, size, seed, count, data) -> None:
    whole = draw_keys(scheme, size, seed, 0, count)
    start = data.draw(st.integers(0, count))
    stop = data.draw(st.integers(start, count))
    assert np.array_equal(draw_keys(scheme, size, seed, start, stop - start), whole[start:stop])


@pytest.mark.parametrize("size", [3, 7, 33, 50, 64])
def test_key_i_does_not_depend_on_the_chunks_inside_a_call(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw_keys("rom", size, 5, 0, 70)
    monkeypatch.setattr(draw, "CHUNK_WORDS", 1)
    assert np.array_equal(draw_keys("rom", size, 5, 61, 9), whole[61:])


@given(schemes, st.integers(1, 6), st.integers(0, 10**15))
def test_each_key_is_made_from_its_own_words_of_the_stream(name: str, size: int, index: int) -> None:
    scheme = SCHEMES[name]
    blocks = -(-scheme.words(size) // 4)
    label = f"wrongkey/key/7/{name}/{size}".encode()
    key = int.from_bytes(blake2b(label, digest_size=16).digest(), "little")
    words = np.random.Philox(key=key, counter=index * blocks).random_raw(4 * blocks)
    expected = scheme.matrices(size, words[None, : scheme.words(size)])
    assert np.array_equal(draw_keys(name, size, 7, index, 1), expected)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_seeds_indices_and_domains_give_different_keys(scheme: str) -> None:
    keys = [*draw_keys(scheme, 24, 0, 0, 3), *draw_keys(scheme, 24, 1, 0, 3)]
    keys += [correct_key(scheme, 24, 0), correct_key(scheme, 24, 1)]
    assert len({key.tobytes() for key in keys}) == len(keys)
    assert np.array_equal(correct_key(scheme, 24, 0), keys[6])


def test_wrong_sizes_and_counts_are_refused() -> None:
    for size, start, count in [(0, 0, 1), (3, -1, 1), (3, 0, -1)]:
        with pytest.raises(BadInput):
            draw_keys("rom", size, 0, start, count)


def test_secret_keys_come_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    np.random.seed(0)
    first = draw_secret_matrix("rom", 5)
    np.random.seed(0)
    assert not np.array_equal(first, draw_secret_matrix("rom", 5))
    entropy = bytes(range(200, 240))[::-1]  # in their own order they give the identity
    monkeypatch.setattr(os, "urandom", lambda n: entropy[:n])
    words = np.frombuffer(entropy, dtype=np.uint64)[None]
    assert np.array_equal(draw_secret_matrix("shuffling", 5), SCHEMES["shuffling"].matrices(5, words)[0])


@pytest.mark.parametrize(("scheme", "size", "others"), [("shuffling", 2, 1), ("shuffling", 3, 5), ("flipping", 2, 2)])
def test_secret_keys_are_uniform_over_those_that_change_speech(scheme: str, size: int, others: int) -> None:
    ranks = present(SCHEMES[scheme].rank)(np.stack([draw_secret_matrix(scheme, size) for _ in range(500)]))
    kinds, counts = np.unique(ranks, return_counts=True)
    assert len(kinds) == others and 0 not in kinds  # rank 0 is the identity
    assert others == 1 or stats.chisquare(counts).pvalue > 1e-6
    assert all(np.abs(np.trace(key)) < size for key in present(SCHEMES[scheme].unrank)(size, kinds))


def test_seeded_streams_keep_the_identity() -> None:
    assert (draw_keys("flipping", 2, 0, 0, 100) == np.eye(2)).all(axis=(1, 2)).any()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_secret_key_of_one_element_is_refused(scheme: str) -> None:
    with pytest.raises(BadInput, match=f"Every {scheme} key of N = 1 leaves speech as it is.*: choose a larger block"):
        draw_secret_matrix(scheme, 1)


def test_a_scheme_without_another_key_than_the_identity_is_refused() -> None:
    def of_sign(sign: int, n: int, words: Words) -> Matrices:
        return sign * np.eye(n)[None]

    for sign in (1, -1):
        none = Scheme("none", lambda n: 1, partial(of_sign, sign), lambda n: 1)
        with pytest.raises(BadInput, match="Every none key of N = 3 leaves speech as it is"):
            draw_secret_matrix(none, 3)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_keys_too_large_for_memory_are_refused(scheme: str) -> None:
    said = "N = 100000 is a matrix of 75 GiB: choose a smaller block, N at most 16384"
    for call in (draw_secret_matrix, partial(correct_key, seed=0), partial(draw_keys, seed=0, start=0, count=1)):
        with pytest.raises(BadInput, match=said):
            call(scheme, 100_000)


@pytest.mark.parametrize(("scheme", "size"), [("shuffling", 4), ("flipping", 5), ("flipping", 1)])
def test_a_small_space_is_enumerated_without_the_correct_key(scheme: str, size: int) -> None:
    correct = correct_key(scheme, size, 3)
    keys = IncorrectKeys(scheme, size, 3, correct)
    space = present(SCHEMES[scheme].space(size))
    assert keys.enumerated and keys.total == space - 1
    found = {key.tobytes() for key in keys.batch(0, keys.total)}
    assert len(found) == space - 1 and correct.tobytes() not in found
    half = keys.total // 2
    joined = np.concatenate([keys.batch(0, half), keys.batch(half, keys.total - half)])
    assert np.array_equal(joined, keys.batch(0, keys.total))
    with pytest.raises(BadInput, match=f"only {space - 1} incorrect keys"):
        keys.batch(1, keys.total)


def test_the_order_of_a_small_space_is_seeded_and_fair() -> None:
    correct = np.eye(3)
    first = [IncorrectKeys("shuffling", 3, seed, correct).batch(0, 2) for seed in range(600)]
    again = IncorrectKeys("shuffling", 3, 5, correct).batch(0, 2)
    assert np.array_equal(first[5], again)
    for position in (0, 1):
        ranks = present(SCHEMES["shuffling"].rank)(np.stack([pair[position] for pair in first]))
        counts = np.bincount(ranks, minlength=6)
        assert counts[0] == 0 and stats.chisquare(counts[1:]).pvalue > 1e-3


def test_a_single_key_leaves_no_incorrect_one() -> None:
    keys = IncorrectKeys("shuffling", 1, 0, np.eye(1))
    assert keys.total == 0 and keys.batch(0, 0).shape == (0, 1, 1)


def test_a_correct_key_of_another_scheme_or_shape_is_refused() -> None:
    with pytest.raises(BadInput, match="is not a shuffling key"):
        IncorrectKeys("shuffling", 3, 0, correct_key("rom", 3, 0))
    with pytest.raises(BadInput, match="is not a flipping key"):
        IncorrectKeys("flipping", 3, 0, np.eye(3)[[1, 0, 2]])
    with pytest.raises(BadInput, match="shape"):
        IncorrectKeys("rom", 3, 0, np.eye(4))


@pytest.mark.parametrize(("scheme", "size"), [("shuffling", 12), ("flipping", 24), ("rom", 4)])
def test_a_large_space_is_drawn_and_the_correct_key_replaced(scheme: str, size: int) -> None:
    drawn = draw_keys(scheme, size, 9, 0, 12)
    keys = IncorrectKeys(scheme, size, 9, drawn[7])
    space = SCHEMES[scheme].space(size)
    assert not keys.enumerated and keys.total == (None if space is None else space - 1)
    batch = keys.batch(0, 12)
    assert np.array_equal(np.delete(batch, 7, axis=0), np.delete(drawn, 7, axis=0))
    assert not np.array_equal(batch[7], drawn[7])
    assert np.array_equal(keys.batch(6, 4), batch[6:10])


def test_a_replacement_that_is_correct_again_is_replaced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "ENUMERABLE", 1)  # forces independent draws in a space of two keys
    correct = np.eye(1)
    keys = IncorrectKeys("flipping", 1, 0, correct).batch(0, 200)
    assert (draw_keys("flipping", 1, 0, 0, 200) == 1).any() and (keys == -1).all()


def test_a_scheme_that_gives_keys_of_another_shape_is_refused() -> None:
    flat = Scheme("flat", lambda n: 1, lambda n, words: np.eye(n), lambda n: None)
    with pytest.raises(BadInput, match=r"'flat' gave keys of shape \(3, 3\), not \(2, 3, 3\)"):
        draw_keys(flat, 3, 0, 0, 2)


@pytest.mark.parametrize(("scheme", "size"), [("flipping", 20), ("shuffling", 9)])
def test_the_largest_enumerated_spaces_hold_every_other_key(scheme: str, size: int) -> None:
    correct = correct_key(scheme, size, 0)
    keys = pickle.loads(pickle.dumps(IncorrectKeys(scheme, size, 0, correct)))  # as it travels to a worker
    assert keys.enumerated and not IncorrectKeys(scheme, size + 1, 0, np.eye(size + 1)).enumerated
    rank = present(SCHEMES[scheme].rank)
    last = rank(keys.batch(keys.total - 3, 3))
    assert len(set(last)) == 3 and rank(correct[None])[0] not in last
