"""Moves leave the law of keys invariant, reach all of it, and do not depend on how chains are shared out."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import ks_2samp

from tests.evaluation.strength.known_tails import Moving
from wrongkey.errors import BadInput
from wrongkey.evaluation.strength.invariance import check_moves
from wrongkey.evaluation.strength.moves import Composed, InWords, Own, Rotations, SignChanges, Transpositions, law_of
from wrongkey.evaluation.strength.streams import words_of
from wrongkey.keys import get_scheme
from wrongkey.keys.schemes import SCHEMES, Scheme

ROM, SHUFFLING, FLIPPING = SCHEMES["rom"], SCHEMES["shuffling"], SCHEMES["flipping"]


class Two:
    """A structure of two independent parts, blocks of a diagonal."""

    def __init__(self, *schemes: Scheme) -> None:
        self.schemes = schemes

    def parts(self, size):
        return [SimpleNamespace(scheme=scheme, size=size // 2) for scheme in self.schemes]

    def compose(self, keys):
        one, other = keys
        zeros = np.zeros_like(one)
        return np.concatenate([np.concatenate([one, zeros], 2), np.concatenate([zeros, other], 2)], 1)


def scheme(name: str, like: Scheme = ROM, **fields) -> Scheme:
    return Moving(name, like.words, lambda size, words: like.matrices(size, words), like.space, **fields)


def turned(keys, size, scale, rng):
    """Moves that are right: an exchange of two columns of any orthogonal matrix, after a sign change or without."""
    order = np.arange(size)
    i, j = rng.choice(size, 2, replace=False)
    order[[i, j]] = order[[j, i]]
    return keys[:, :, order] * rng.choice([-1.0, 1.0])


LAWS = {
    "rom": law_of(ROM, 4),
    "shuffling": law_of(SHUFFLING, 5),
    "flipping": law_of(FLIPPING, 5),
    "rom in words": InWords(ROM, 4),
    "shuffling in words": InWords(SHUFFLING, 5),
    "flipping in words": InWords(FLIPPING, 5),
    "two parts": law_of(scheme("two", structure=Two(ROM, FLIPPING)), 8),
    "own": law_of(scheme("own", moves=turned), 4),
}


def test_every_scheme_gets_the_moves_that_suit_it():
    kinds = [type(law) for law in LAWS.values()]
    assert kinds == [Rotations, Transpositions, SignChanges, InWords, InWords, InWords, Composed, Own]
    assert type(law_of(scheme("mine"), 4)) is InWords


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_moved_keys_are_keys_and_of_the_same_law(law):
    drawn = states = law.draw(words_of("drawn", 0, 2_000, law.drawn))
    for step in range(6):
        states = law.move(states, words_of(f"step {step}", 0, 2_000, law.moved), (0.1, 1.0)[step % 2])
    before, after = law.matrices(drawn), law.matrices(states)
    np.testing.assert_allclose(
        after @ after.transpose(0, 2, 1), np.eye(after.shape[1])[None].repeat(2_000, 0), atol=1e-12
    )
    assert not np.array_equal(before, after)
    weights = np.random.default_rng(1).normal(size=(3, *before.shape[1:]))
    for some in weights:
        one, other = ((keys * some).sum((1, 2)).round(9) for keys in (before, after))
        assert ks_2samp(one, other).pvalue > 1e-4


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_move_depends_on_its_own_words_alone(law):
    states = law.draw(words_of("drawn", 0, 9, law.drawn))
    words = words_of("moves", 0, 9, law.moved)
    alone = law.move(states[4:7], words_of("moves", 4, 3, law.moved), 0.3)
    np.testing.assert_array_equal(law.move(states, words, 0.3)[4:7], alone)


@pytest.mark.parametrize("name", ["rom", "rom in words", "two parts"])
def test_both_determinants_are_reached(name):
    law = LAWS[name]
    states = law.draw(words_of("one", 0, 1, law.drawn)).repeat(200, axis=0)
    found = set()
    for step in range(10):
        states = law.move(states, words_of(f"step {step}", 0, 200, law.moved), 0.2)
        found |= set(np.linalg.det(law.matrices(states)).round().tolist())
    assert found == {-1.0, 1.0}


@pytest.mark.parametrize("name", ["rom", "shuffling", "flipping", "rom in words"])
def test_a_smaller_scale_moves_less(name):
    law = LAWS[name]
    states = law.draw(words_of("drawn", 0, 500, law.drawn))
    words = words_of("moves", 0, 500, law.moved)
    far, near = (
        np.linalg.norm(law.matrices(law.move(states, words, scale)) - law.matrices(states), axis=(1, 2)).mean()
        for scale in (1.0, 0.05)
    )
    assert near < far


def test_moves_in_words_give_every_bit_of_a_word():
    law = InWords(FLIPPING, 3)
    states = law.draw(words_of("drawn", 0, 4_000, law.drawn))
    for step in range(3):
        states = law.move(states, words_of(f"bits {step}", 0, 4_000, law.moved), 0.2)
    for bit in range(64):
        ones = (states >> np.uint64(bit) & np.uint64(1)).mean()
        assert abs(ones - 0.5) < 0.025


def test_right_moves_of_a_users_scheme_pass():
    check_moves(scheme("own", moves=turned), 4)
    check_moves(ROM, 4)


def towards_the_identity(keys, size, scale, rng):
    flips = np.where(rng.random(size) < scale / 2, -1.0, 1.0)
    return keys * np.where((np.diagonal(keys, axis1=1, axis2=2) < 0) | (rng.random(size) < 0.3), flips, 1.0)[:, None, :]


def one_way(keys, size, scale, rng):
    """Uniform for ever, but never back: a cycle of the columns."""
    return np.roll(keys, 1, axis=2)


@pytest.mark.parametrize(
    ("like", "moves", "why"),
    [
        (FLIPPING, towards_the_identity, "do not leave the law of its keys invariant"),
        (ROM, lambda keys, size, scale, rng: keys * 1.01, "do not leave the law of its keys invariant"),
        (FLIPPING, lambda keys, size, scale, rng: keys, "leave 100% of keys as they are at scale 0.1"),
        (SHUFFLING, one_way, "not as probable as the way back"),
        (ROM, lambda keys, size, scale, rng: keys[0], "no finite matrix of shape"),
        (ROM, lambda keys, size, scale, rng: keys * np.nan, "no finite matrix of shape"),
    ],
)
def test_wrong_moves_are_refused(like, moves, why):
    with pytest.raises(BadInput, match=why):
        check_moves(scheme("mine", like, moves=moves), 5)


def test_wrong_moves_of_a_part_are_refused():
    part = scheme("mine", FLIPPING, moves=towards_the_identity)
    with pytest.raises(BadInput, match="'mine'"):
        check_moves(scheme("two", structure=Two(FLIPPING, part)), 10)


@pytest.mark.parametrize("option", ["windows", "noise=20", "flat=15"])
def test_an_option_that_changes_no_key_changes_no_moves(option):
    for base in ("rom", "shuffling", "flipping"):
        assert type(law_of(get_scheme(f"{base}+{option}"), 5)) is type(law_of(get_scheme(base), 5))
