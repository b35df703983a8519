"""Schemes: how a key is drawn (paper, Algorithms 2, 4 and 6), and the key spaces that can be counted.

A scheme turns a fixed number of uniform 64-bit words into one orthogonal matrix K, so that key i of a stream
needs nothing but its own words. Users name a `Scheme` of their own as `package.module:name`, or register it in the
entry-point group `wrongkey.schemes` under its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.plugins import Registry

if TYPE_CHECKING:
    from wrongkey.keys.derived import Derived

Matrices = NDArray[np.float64]  # (count, size, size)
Words = NDArray[np.uint64]  # (count, words)
Ranks = NDArray[np.int64]  # (count,)


class Group(StrEnum):
    """The smallest of these groups of matrices that holds every key of a scheme: what an attack may assume of a key.

    Examples
    --------
    >>> SCHEMES["flipping"].group
    <Group.SIGNS: 'signs'>
    """

    PERMUTATIONS = "permutations"  # one 1 in every row and column
    SIGNS = "signs"  # diagonal, of 1 and -1
    SIGNED_PERMUTATIONS = "signed permutations"  # one 1 or -1 in every row and column
    ORTHOGONAL = "orthogonal"


@dataclass(frozen=True)
class Scheme:
    """One way to draw an orthogonal key of `size` N.

    Parameters
    ----------
    name
        As users write it.
    words
        `words(size)`: number of uniform 64-bit words that one key consumes.
    matrices
        `matrices(size, words)`: uint64 `(count, words(size))` to float64 `(count, N, N)`, each key from its own row
        only.
    space
        `space(size)`: exact number of keys, or None where the keys form a continuum.
    unrank, rank
        `unrank(size, ranks)` and `rank(matrices)`: the keys of a finite scheme, numbered 0 ... space(size) - 1, and the
        inverse; needed where the space is small enough to be enumerated.
    group
        The smallest group of matrices that holds the keys. A finite scheme outside the first three is one whose keys
        an attack can only compare one by one.
    haar
        Whether the keys are Haar distributed on all orthogonal matrices, which makes their continuum countable at a
        tolerance (`wrongkey.keys.volume`).
    derived
        How the matrix of a moment or utterance follows from a secret seed; None where a key is one matrix.

    Examples
    --------
    >>> SCHEMES["shuffling"].space(4), SCHEMES["rom"].finite(4)
    (24, False)
    """

    name: str
    words: Callable[[int], int] = field(repr=False)
    matrices: Callable[[int, Words], Matrices] = field(repr=False)
    space: Callable[[int], int | None] = field(repr=False)
    unrank: Callable[[int, Ranks], Matrices] | None = field(default=None, repr=False)
    rank: Callable[[Matrices], Ranks] | None = field(default=None, repr=False)
    group: Group = Group.ORTHOGONAL
    haar: bool = False
    derived: Derived | None = field(default=None, repr=False)

    def finite(self, size: int) -> bool:
        """Whether the keys of N = `size` can be counted."""
        return self.space(size) is not None

    @property
    def span(self) -> int:
        """P, the blocks that one key multiplies together: N = P M ** dims."""
        return 1  # until keys/structure.py is there

    @property
    def permutation(self) -> bool:
        """Whether keys only move elements."""
        return self.group is Group.PERMUTATIONS

    @property
    def signed(self) -> bool:
        """Whether keys may turn signs, so that with K also -K may be a key."""
        return self.group is not Group.PERMUTATIONS

    @property
    def monomial(self) -> bool:
        """Whether keys move elements and turn their signs, and never mix them."""
        return self.group is not Group.ORTHOGONAL


def _word_each(size: int) -> int:
    return size


# Shuffling: y[k] = x[Ks[k]], so column k of K is the unit vector of Ks[k] (eq. 5 and Algorithm 1, line 8).


def permutation_matrices(permutations: NDArray[np.int64]) -> Matrices:
    """(count, N) index lists Ks -> (count, N, N) matrices K with (x K)[k] = x[Ks[k]]."""
    count, size = permutations.shape
    matrices = np.zeros((count, size, size))
    np.put_along_axis(matrices, permutations[:, None, :], 1.0, axis=1)
    return matrices


def _shuffling(size: int, words: Words) -> Matrices:
    # The order of independent uniform words is a uniform permutation, as in Fisher-Yates (Algorithm 2).
    return permutation_matrices(np.argsort(words, axis=1, kind="stable"))


def _unrank_shuffling(size: int, ranks: Ranks) -> Matrices:
    # Lehmer code: digit i of the rank in the factorial number system says how many later entries are smaller.
    permutations = np.empty((len(ranks), size), dtype=np.int64)
    for position in reversed(range(size)):
        base = factorial(size - 1 - position)
        digit = ranks // base % (size - position)
        later = permutations[:, position + 1 :]
        later += later >= digit[:, None]
        permutations[:, position] = digit
    return permutation_matrices(permutations)


def _rank_shuffling(matrices: Matrices) -> Ranks:
    permutations = matrices.argmax(axis=1)
    size = permutations.shape[1]
    ranks = np.zeros(len(permutations), dtype=np.int64)
    for position in range(size):
        smaller_later = permutations[:, position + 1 :] < permutations[:, position : position + 1]
        ranks += smaller_later.sum(axis=1) * factorial(size - 1 - position)
    return ranks


# Flipping: K is diagonal, -1 where the key bit is 1 (eq. 10).


def _diagonal_matrices(bits: NDArray[np.int64]) -> Matrices:
    count, size = bits.shape
    matrices = np.zeros((count, size, size))
    diagonal = np.arange(size)
    matrices[:, diagonal, diagonal] = 1.0 - 2.0 * bits
    return matrices


def _flipping(size: int, words: Words) -> Matrices:
    # floor(2 u) of a uniform u in [0, 1) is its first binary digit (Algorithm 4).
    return _diagonal_matrices((words >> np.uint64(63)).astype(np.int64))


def _sign_patterns(size: int) -> int:
    return int(2**size)


def _unrank_flipping(size: int, ranks: Ranks) -> Matrices:
    return _diagonal_matrices(ranks[:, None] >> np.arange(size) & 1)


def _rank_flipping(matrices: Matrices) -> Ranks:
    negative = np.diagonal(matrices, axis1=1, axis2=2) < 0
    ranks: Ranks = (negative.astype(np.int64) << np.arange(negative.shape[1])).sum(axis=1)
    return ranks


# ROM: a random orthogonal matrix, Haar distributed.


def normals(words: Words) -> NDArray[np.float64]:
    """Standard normals from an even number of words per row, two from two (Box and Muller 1958)."""
    uniform = (words >> np.uint64(11)).astype(np.float64)
    uniform *= 2.0**-53  # [0, 1)
    half = words.shape[1] // 2
    radius = np.sqrt(-2.0 * np.log1p(-uniform[:, :half]))
    angle = 2.0 * np.pi * uniform[:, half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch  # to count a key space takes none

    # Threads make small factorisations several times slower, and the last bits depend on their number.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _rom_words(size: int) -> int:
    return size * size + size % 2  # an even number, for Box-Muller


def _continuum(size: int) -> None:
    return None


@_one_thread()
def _rom(size: int, words: Words) -> Matrices:
    """Algorithm 6. Without the sign correction Q depends on the routine, and is not Haar (Mezzadri 2007)."""
    import torch

    gaussian = torch.from_numpy(normals(words)[:, : size * size].reshape(-1, size, size))
    # The last bits that LAPACK gives depend on where in memory a matrix begins, and so on its batch. With an
    # identity block appended up to a multiple of 8, which QR leaves alone, each begins at a cache line.
    padded = torch.eye(-(-size // 8) * 8, dtype=torch.float64).repeat(len(gaussian), 1, 1)
    padded[:, :size, :size] = gaussian
    q, r = (factor[:, :size, :size] for factor in torch.linalg.qr(padded))
    negative = r.diagonal(dim1=-2, dim2=-1) < 0
    matrices: Matrices = torch.where(negative[:, None, :], -q, q).numpy()
    return matrices


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("shuffling", _word_each, _shuffling, factorial, _unrank_shuffling, _rank_shuffling, Group.PERMUTATIONS),
        Scheme("flipping", _word_each, _flipping, _sign_patterns, _unrank_flipping, _rank_flipping, Group.SIGNS),
        Scheme("rom", _rom_words, _rom, _continuum, haar=True),
    )
}
REGISTRY = Registry(
    kind="scheme",
    group="wrongkey.schemes",
    builtin=SCHEMES,
    is_one=lambda found: isinstance(found, Scheme),
    wanted="give a wrongkey.keys.Scheme, or a function without arguments that returns one",
)


def get_scheme(name: str | Scheme) -> Scheme:
    """Return the scheme of this name.

    Parameters
    ----------
    name : str or Scheme
        A built-in name, a name that an installed package registers in the entry-point group ``wrongkey.schemes``, or
        ``package.module:name`` of a `Scheme` or of a function without arguments that returns one. A `Scheme` is passed
        through.

    Returns
    -------
    Scheme

    Raises
    ------
    BadInput
        For an unknown name, and for a scheme of a user's that is not called what it is registered as, or is called
        what a built-in one is: keys are drawn by that name.

    Examples
    --------
    >>> get_scheme("flipping").space(10)
    1024
    """
    if isinstance(name, Scheme):
        return name
    scheme: Scheme
    base, *options = name.split("+")
    if options:  # the grammar of wrongkey.keys.family takes the place of these lines
        from wrongkey.keys.derived import derived_scheme

        scheme = get_scheme(base)
        for option in options:
            word, _, value = option.partition("=")
            scheme = derived_scheme(scheme, value if word == "schedule" else None, word == "nonce")
        return scheme
    scheme = REGISTRY.open(name)
    if scheme.name != name and (":" not in name or scheme.name in SCHEMES):
        raise BadInput(
            f"Scheme {name!r} is a Scheme with the name {scheme.name!r}: give it the name that it is registered as, "
            "or one of its own where it is named as package.module:name."
        )
    return scheme
