"""What every scheme must keep: what it declares of its keys is true of the keys that it draws."""

import numpy as np
import pytest

from tests.narrow import present
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.family import get_scheme
from wrongkey.keys.schemes import SCHEMES, Group, Scheme

SIZES = (1, 2, 3, 4, 9, 16)
DRAWN = 40
ENUMERATED = 1000  # keys of a space that a test walks through

IN_GROUP = {
    Group.ORTHOGONAL: lambda keys: np.ones(len(keys), dtype=bool),
    Group.SIGNED_PERMUTATIONS: lambda keys: (np.isin(keys, (-1, 0, 1)) & (abs(keys).sum(1) == 1)[:, None]).all((1, 2)),
    Group.PERMUTATIONS: lambda keys: (np.isin(keys, (0, 1)) & (keys.sum(1) == 1)[:, None]).all((1, 2)),
    Group.SIGNS: lambda keys: (abs(keys) == np.eye(keys.shape[-1])).all((1, 2)),
}


@pytest.fixture(params=list(SCHEMES))
def scheme(request: pytest.FixtureRequest) -> Scheme:
    return get_scheme(request.param)


def drawn(scheme: Scheme, size: int) -> np.ndarray:
    return draw_keys(scheme, size, seed=size, start=0, count=DRAWN)


@pytest.mark.parametrize("size", SIZES)
def test_keys_are_orthogonal(scheme: Scheme, size: int) -> None:
    keys = drawn(scheme, size)
    assert keys.shape == (DRAWN, size, size) and keys.dtype == np.float64
    assert np.abs(keys @ keys.mT - np.eye(size)).max() < 1e-13


@pytest.mark.parametrize("size", SIZES)
def test_keys_are_in_the_declared_group(scheme: Scheme, size: int) -> None:
    assert IN_GROUP[scheme.group](drawn(scheme, size)).all()


def test_the_declared_group_is_the_smallest(scheme: Scheme) -> None:
    """No smaller group holds all keys: those of the table that do hold them contain the declared one."""
    keys = drawn(scheme, 9)
    holding = {group for group, holds in IN_GROUP.items() if holds(keys).all()}
    larger = {
        Group.ORTHOGONAL: {Group.ORTHOGONAL},
        Group.SIGNED_PERMUTATIONS: {Group.ORTHOGONAL, Group.SIGNED_PERMUTATIONS},
        Group.PERMUTATIONS: {Group.ORTHOGONAL, Group.SIGNED_PERMUTATIONS, Group.PERMUTATIONS},
        Group.SIGNS: {Group.ORTHOGONAL, Group.SIGNED_PERMUTATIONS, Group.SIGNS},
    }
    assert holding == larger[scheme.group]


def test_what_attacks_ask_of_a_scheme_is_true_of_its_keys(scheme: Scheme) -> None:
    keys = drawn(scheme, 9)
    assert scheme.permutation == IN_GROUP[Group.PERMUTATIONS](keys).all()
    assert scheme.monomial == IN_GROUP[Group.SIGNED_PERMUTATIONS](keys).all()
    assert scheme.signed == (keys < 0).any()


@pytest.mark.parametrize("size", SIZES)
def test_a_key_depends_on_its_own_words_alone(scheme: Scheme, size: int) -> None:
    """Bit for bit, whatever is drawn beside it: a sweep's keys do not depend on how it is cut into shards."""
    together = drawn(scheme, size)
    alone = [draw_keys(scheme, size, seed=size, start=number, count=1)[0] for number in range(DRAWN)]
    assert np.array_equal(together, np.stack(alone))


def test_a_finite_space_is_numbered_and_a_continuum_is_not(scheme: Scheme) -> None:
    for size in SIZES:
        assert scheme.finite(size) == (scheme.space(size) is not None)
        assert scheme.finite(size) == (scheme.rank is not None and scheme.unrank is not None)


def test_rank_and_unrank_number_every_key_once(scheme: Scheme) -> None:
    for size in range(1, 10):
        space = scheme.space(size)
        if space is None or space > ENUMERATED:
            continue
        keys = present(scheme.unrank)(size, np.arange(space))
        assert len({key.tobytes() for key in keys + 0.0}) == space
        assert np.abs(keys @ keys.mT - np.eye(size)).max() < 1e-13
        assert np.array_equal(present(scheme.rank)(keys), np.arange(space))


@pytest.mark.parametrize("size", SIZES)
def test_the_rank_of_a_drawn_key_gives_it_again(scheme: Scheme, size: int) -> None:
    space = scheme.space(size)
    if not scheme.finite(size):
        assert space is None
        return
    assert space is not None and scheme.rank is not None and scheme.unrank is not None
    keys = drawn(scheme, size)
    ranks = scheme.rank(keys)
    assert all(0 <= rank < space for rank in ranks.tolist()) or space >= 2**63
    assert np.array_equal(scheme.unrank(size, ranks), keys)
