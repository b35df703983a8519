"""Draws keys: seeded streams for evaluation, the operating system's entropy for use.

Key i of a stream depends only on (domain, seed, scheme, size, i), never on how the work is split: a
counter-based generator (Philox 4x64, Salmon et al. 2011) is keyed by a hash of the first four and its counter
set to the key's own words. The domains "key" (draw_keys), "correct" (correct_key), "order" (the order in
which a small key space is enumerated) and "redraw" are independent streams.
"""

import os
from hashlib import blake2b
from math import isqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wrongkey.errors import BadInput
from wrongkey.keys.family import get_scheme
from wrongkey.keys.schemes import Matrices, Scheme, Words

ENUMERABLE = 2**20  # key spaces up to this size are enumerated without replacement
MOST_BYTES = 2**31  # of one key's matrix: N up to 16,384
REDRAWS = 128  # draws after which a scheme is taken to have no other key; two keys reach it once in 2**128
CHUNK_WORDS = 2**18  # words turned into keys at a time: what the intermediate arrays hold (2 MiB each)


def _stream(domain: str, seed: int, name: str, size: int, first_block: int, words: int) -> Words:
    """`words` uniform 64-bit words of one stream from its block `first_block` on; a block has 4 words."""
    label = f"wrongkey/{domain}/{int(seed)}/{name}/{size}".encode()
    key = int.from_bytes(blake2b(label, digest_size=16).digest(), "little")
    return np.random.Philox(key=key).advance(first_block).random_raw(words)


def _check(size: int, start: int = 0, count: int = 0) -> None:
    if size < 1:
        raise BadInput(f"A key needs a size of at least 1, and {size} was asked for.")
    if 8 * size**2 > MOST_BYTES:
        raise BadInput(
            f"A key of N = {size} is a matrix of {8 * size**2 / 2**30:,.0f} GiB: choose a smaller block, "
            f"N at most {isqrt(MOST_BYTES // 8)}."
        )
    if start < 0 or count < 0:
        raise BadInput(f"Keys are numbered from 0: start {start} and count {count} must not be negative.")


def _draw(domain: str, scheme: Scheme, size: int, seed: int, start: int, count: int) -> Matrices:
    _check(size, start, count)
    used = scheme.words(size)
    blocks = -(-used // 4)  # a key starts at a block of the counter
    matrices = np.empty((count, size, size))
    chunk = max(1, CHUNK_WORDS // (4 * blocks))
    for first in range(0, count, chunk):
        part = matrices[first : first + chunk]
        words = _stream(domain, seed, scheme.name, size, (start + first) * blocks, len(part) * 4 * blocks)
        drawn = scheme.matrices(size, words.reshape(len(part), 4 * blocks)[:, :used])
        if drawn.shape != part.shape:
            raise BadInput(f"The scheme {scheme.name!r} gave keys of shape {drawn.shape}, not {part.shape}.")
        part[:] = drawn
    return matrices


def draw_keys(scheme: str | Scheme, size: int, seed: int, start: int, count: int) -> Matrices:
    """Draw keys start ... start + count - 1 of the stream (seed, scheme, size).

    Seeded keys are for evaluation: whoever knows the seed knows the key.

    Parameters
    ----------
    scheme
        A scheme or its name.
    size
        N, elements of a block, from 1 to 16,384.
    seed
        Of the stream.
    start, count
        Which keys of the stream, numbered from 0. A key does not depend on how the stream is split into calls.

    Returns
    -------
    NDArray
        Float64 `(count, N, N)`.

    Raises
    ------
    BadInput
        For an unknown scheme, a size that is out of range or no multiple of a scheme's blocks, and for a negative start
        or count.

    References
    ----------
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    Examples
    --------
    >>> keys = draw_keys("rom", 4, seed=0, start=0, count=3)
    >>> bool((keys[2] == draw_keys("rom", 4, seed=0, start=2, count=1)[0]).all())
    True
    """
    return _draw("key", get_scheme(scheme), size, seed, start, count)


def correct_key(scheme: str | Scheme, size: int, seed: int) -> NDArray[np.float64]:
    """Draw the model owner's key of a sweep with this seed, from a stream of its own.

    Parameters
    ----------
    scheme
        A scheme or its name.
    size
        N, elements of a block.
    seed
        Of the sweep.

    Returns
    -------
    NDArray
        Float64 `(N, N)`.

    Raises
    ------
    BadInput
        For an unknown scheme or a size out of range.

    Examples
    --------
    >>> correct_key("flipping", 3, seed=0).shape
    (3, 3)
    """
    key: NDArray[np.float64] = _draw("correct", get_scheme(scheme), size, seed, 0, 1)[0]
    return key


def draw_secret_matrix(scheme: str | Scheme, size: int) -> NDArray[np.float64]:
    """Draw a key for real use from the operating system's entropy: no seed gives it again.

    The identity and its negative, which leave speech as it is, are drawn again: the key is uniform over the
    others. The seeded streams, for evaluation, keep them.

    Parameters
    ----------
    scheme
        A scheme or its name.
    size
        N, elements of a block, at least 2.

    Returns
    -------
    NDArray
        Float64 `(N, N)`.

    Raises
    ------
    BadInput
        Where the scheme has no other key, and for a size out of range.

    Examples
    --------
    >>> draw_secret_matrix("rom", 8).shape
    (8, 8)
    """
    _check(size)
    scheme = get_scheme(scheme)
    for _ in range(REDRAWS if size > 1 else 0):  # of size 1 there are only 1 and -1
        words = np.frombuffer(os.urandom(8 * scheme.words(size)), dtype=np.uint64)
        key: NDArray[np.float64] = scheme.matrices(size, words[None])[0]
        if not _leaves_speech(key):
            return key
    raise BadInput(
        f"Every {scheme.name} key of N = {size} leaves speech as it is, or only turns its sign: choose a larger block."
    )


def _leaves_speech(key: NDArray[np.float64]) -> bool:
    """Whether a key is the identity or its negative: its rows have length 1, so its diagonal shows it."""
    diagonal = key.diagonal()
    return bool((np.abs(diagonal) > 1 - 1e-9).all() and (diagonal > 0).all() == (diagonal > 0).any())


class IncorrectKeys:
    """The sequence of incorrect keys of a sweep: every key but the correct one, in a seeded random order.

    A key space of at most 2**20 keys is enumerated in random order without replacement, so that any prefix is a fair
    sequence of guesses and the whole sequence is the space (`enumerated` is True). A larger one gives the independent
    draws of `draw_keys`; a draw that equals the correct key is replaced by one from another stream.

    Parameters
    ----------
    scheme
        A scheme or its name.
    size
        N, elements of a block.
    seed
        Of the sweep.
    correct
        `(N, N)`, the key that is left out.
    right
        Of keys in turn: the number of parts that are right in each incorrect key, which ones drawn at random.

    Attributes
    ----------
    total
        Number of incorrect keys, None for a continuum.

    Raises
    ------
    BadInput
        Where the correct key is not a key of the scheme, and where it has not so many parts that could be right.

    Examples
    --------
    >>> keys = IncorrectKeys("flipping", 3, seed=0, correct=correct_key("flipping", 3, seed=0))
    >>> keys.total, keys.batch(0, 7).shape
    (7, (7, 3, 3))
    """

    def __init__(self, scheme: str | Scheme, size: int, seed: int, correct: ArrayLike, right: int = 0) -> None:
        _check(size)
        self.scheme = get_scheme(scheme)
        self.size = size
        self.seed = int(seed)
        self.correct = np.asarray(correct, dtype=np.float64)
        if self.correct.shape != (size, size):
            raise BadInput(f"The correct key has shape {self.correct.shape}, and size {size} asks for a square of it.")
        self.right = right
        if right:
            self._check_right()
        space = None if right else self.scheme.space(size)
        self.total: int | None = None if space is None else space - 1
        self._order = None if space is None or space > ENUMERABLE else self._random_order(space)

    @property
    def enumerated(self) -> bool:
        """Whether the keys are distinct and, taken all, are the whole key space without the correct key."""
        return self._order is not None

    def batch(self, start: int, count: int) -> Matrices:
        """Incorrect keys start ... start + count - 1.

        Parameters
        ----------
        start, count
            Which keys of the sequence, numbered from 0.

        Returns
        -------
        NDArray
            Float64 `(count, N, N)`.

        Raises
        ------
        BadInput
            Where an enumerated key space has fewer keys.
        """
        _check(self.size, start, count)
        if self._order is None:
            return self._independent(start, count)
        if start + count > len(self._order):
            raise BadInput(
                f"{self.scheme.name} with N = {self.size} has only {self.total} incorrect keys: "
                f"ask for at most {self.total}, not {start + count}."
            )
        return self._unrank(self._order[start : start + count])

    def _check_right(self) -> None:
        structure = self.scheme.structure
        if structure is None or not structure.alike:
            raise BadInput(f"Keys of {self.scheme.name} have no parts of which some could be right: add +turns=P.")
        parts = len(structure.parts(self.size))
        if not 0 <= self.right < parts:
            raise BadInput(
                f"Of the {parts} keys of {self.scheme.name}, from 0 to {parts - 1} can be right, not {self.right}."
            )

    def _independent(self, start: int, count: int) -> Matrices:
        keys = self._with_right_parts(_draw("key", self.scheme, self.size, self.seed, start, count), start)
        attempt = 0
        while len(equal := np.flatnonzero((keys == self.correct).all(axis=(1, 2)))):
            for i in equal:
                domain = f"redraw-{attempt}"
                drawn = _draw(domain, self.scheme, self.size, self.seed, start + int(i), 1)
                keys[i] = self._with_right_parts(drawn, start + int(i))[0]
            attempt += 1
            if attempt == REDRAWS:
                raise BadInput(
                    f"No other key of {self.scheme.name} was drawn at N = {self.size}: choose a larger block, or fewer "
                    "parts that are right."
                )
        return keys

    def _with_right_parts(self, keys: Matrices, start: int) -> Matrices:
        """Keys whose parts are those of the correct key in `right` places, drawn by key number."""
        structure = self.scheme.structure
        if structure is None or not self.right:
            return keys
        parts, correct = structure.decompose(keys), structure.decompose(self.correct[None])
        blocks = -(-len(parts) // 4)
        words = _stream("right", self.seed, self.scheme.name, self.size, start * blocks, len(keys) * 4 * blocks)
        places = np.argsort(words.reshape(len(keys), -1)[:, : len(parts)], axis=1, kind="stable") < self.right
        return structure.compose([np.where(places[:, t, None, None], correct[t], part) for t, part in enumerate(parts)])

    def _random_order(self, space: int) -> NDArray[np.int64]:
        if self.scheme.rank is None or self.scheme.unrank is None:
            raise BadInput(f"The scheme {self.scheme.name!r} has a finite key space and needs rank and unrank.")
        own = self.scheme.rank(self.correct[None])
        if not (0 <= own[0] < space) or not np.array_equal(self._unrank(own)[0], self.correct):
            raise BadInput(
                f"The correct key is not a {self.scheme.name} key of N = {self.size}: draw it with that scheme."
            )
        # The order of raw words, not Generator.permutation, whose stream numpy may change between versions.
        words = _stream("order", self.seed, self.scheme.name, self.size, 0, space)
        order = np.argsort(words, kind="stable")
        others: NDArray[np.int64] = order[order != own[0]]
        return others

    def _unrank(self, ranks: NDArray[np.int64]) -> Matrices:
        assert self.scheme.unrank is not None  # a finite scheme, see _random_order
        return self.scheme.unrank(self.size, ranks)
