"""Finite schemes whose keys an attack compares one by one: those with fewer keys than the group that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from math import factorial

import numpy as np

from wrongkey.attacks.base import Matrix
from wrongkey.keys.schemes import Group, Scheme

MOST = 2**20  # keys that are compared one by one
NUMBERS = 2**22  # elements of all the keys that are held at a time: 32 MiB


def order(group: Group, size: int) -> int | None:
    """Return the number of matrices `(size, size)` in a group, or None for a continuum.

    Examples
    --------
    >>> order(Group.SIGNED_PERMUTATIONS, 3)
    48
    """
    match group:
        case Group.PERMUTATIONS:
            return factorial(size)
        case Group.SIGNS:
            return 2**size
        case Group.SIGNED_PERMUTATIONS:
            return 2**size * factorial(size)
        case Group.ORTHOGONAL | Group.INVERTIBLE:
            return None


def part_of_its_group(scheme: Scheme, size: int) -> bool:
    """Whether a scheme has finitely many keys, and fewer than its group.

    A search over the group would then try matrices that are no keys of the scheme.
    """
    return scheme.finite(size) and scheme.space(size) != order(scheme.group, size)


def listed(scheme: Scheme, size: int, most: int = MOST) -> bool:
    """Whether a scheme is a part of its group, and its keys can be numbered and are few enough to compare them all."""
    count = scheme.space(size)
    return part_of_its_group(scheme, size) and scheme.unrank is not None and count is not None and count <= most


def every_key(scheme: Scheme, size: int) -> Iterator[Matrix]:
    """Yield all keys of a listed scheme in the order of their numbers, some `(n, N, N)` at a time."""
    assert scheme.unrank is not None
    count = scheme.space(size)
    assert count is not None
    step = max(NUMBERS // size**2, 1)
    for first in range(0, count, step):
        yield scheme.unrank(size, np.arange(first, min(first + step, count), dtype=np.int64))
