"""Schemes: how a key is drawn (paper, Algorithms 2, 4 and 6), and the key spaces that can be counted.

A scheme turns a fixed number of uniform 64-bit words into one matrix K, so that key i of a stream needs nothing but its
own words. The paper's three stand here; `wrongkey.keys.structure` composes them, `wrongkey.keys.invertible` gives up
orthogonality, and `wrongkey.keys.family` opens any scheme by a name such as ``rom+turns=4``.
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

if TYPE_CHECKING:
    from wrongkey.keys.derived import Derived
    from wrongkey.keys.structure import Structure

Matrices = NDArray[np.float64]  # (count, size, size)
Words = NDArray[np.uint64]  # (count, words)
Ranks = NDArray[np.int64]  # (count,)
# (matrices (count, N, N), N, scale in (0, 1], generator) -> a neighbour of each key; the law stays as it is.
Moves = Callable[[Matrices, int, float, np.random.Generator], Matrices]


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
    INVERTIBLE = "invertible"


@dataclass(frozen=True)
class Scheme:
    """One way to draw a key of `size` N.

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
    structure
        What a key is composed of, which an adversary knows; None for a key that is one matrix of one block.
    derived
        How the matrix of a moment or utterance follows from a secret seed; None where a key is one matrix.
    moves
        Proposes a neighbour of each key and leaves the scheme's law invariant, for the strength of a key
        (`wrongkey.evaluation.strength`); None takes moves that hold for any scheme.

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
    structure: Structure | None = field(default=None, repr=False)
    derived: Derived | None = field(default=None, repr=False)
    moves: Moves | None = field(default=None, repr=False)

    def finite(self, size: int) -> bool:
        """Whether the keys of N = `size` can be counted."""
        return self.space(size) is not None

    @property
    def span(self) -> int:
        """P, the blocks that one key multiplies together: N = P M ** dims."""
        return 1 if self.structure is None else self.structure.span

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
        return self.group not in (Group.ORTHOGONAL, Group.INVERTIBLE)

    @property
    def orthogonal(self) -> bool:
        """Whether every key is orthogonal, so that its transpose undoes it."""
        return self.group is not Group.INVERTIBLE


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


SCHEMES = {  # the paper's
    scheme.name: scheme
    for scheme in (
        Scheme("shuffling", _word_each, _shuffling, factorial, _unrank_shuffling, _rank_shuffling, Group.PERMUTATIONS),
        Scheme("flipping", _word_each, _flipping, _sign_patterns, _unrank_flipping, _rank_flipping, Group.SIGNS),
        Scheme("rom", _rom_words, _rom, _continuum, haar=True),
    )
}
