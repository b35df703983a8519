"""Derived keys: a secret seed, from which the matrix of an utterance, and of a moment of it, follows.

The matrix for a label (the nonce of an utterance, the slot of a schedule) is what the base scheme makes of uniform
words, and these are a pseudorandom function of the seed and the label: BLAKE2b keyed by the seed hashes the label, and
SHAKE-256 stretches the hash to as many words as a key of the base takes. Whoever learns the matrices of some labels
learns nothing about those of others, and each has the whole strength of the seed, 256 bits. Knows no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import blake2b, shake_256
from math import ceil, isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.keys.schemes import Matrices, Scheme, Words

SEED_WORDS = 4  # uint64 words of a seed
SEED_BITS = 64 * SEED_WORDS
PERSON = b"wrongkey derived"  # sets this use of BLAKE2b apart from others
CHUNK_WORDS = 2**18  # words turned into keys at a time, as in wrongkey.keys.draw

Seeds = NDArray[np.uint64]  # (count, 4)


class Label(NamedTuple):
    """What is public about a derived matrix: the nonce of its utterance, if any, and its slot, from 0."""

    nonce: str | None = None
    slot: int = 0


class Slots(NamedTuple):
    """When one key follows another in a query.

    Attributes
    ----------
    starts : tuple of int
        The first sample or frame of every slot.
    length : int
        Samples or frames of the longest query that they serve.
    """

    starts: tuple[int, ...]
    length: int

    def of(self, length: int) -> tuple[tuple[int, int], ...]:
        """Begin and end of every slot of a query of `length`; BadInput for one that is too long.

        Examples
        --------
        >>> Slots((0, 12, 21), 27).of(14)
        ((0, 12), (12, 14))
        """
        if length > self.length:
            raise BadInput(
                f"These keys follow their schedule for {self.length} samples or frames, and the query has {length}: "
                "encrypt a shorter query, or the model for longer ones (--seconds)."
            )
        begun = [start for start in self.starts if start < length]
        return tuple(zip(begun, [*begun[1:], length], strict=True))


@dataclass(frozen=True)
class Derived:
    """How matrices of `base` follow from a seed.

    Parameters
    ----------
    base
        The scheme of every matrix.
    hold
        Seconds for which a matrix is used before the next one; None keeps one for a whole query.
    nonce
        Whether every utterance has matrices of its own, from a public nonce.
    """

    base: Scheme
    hold: float | None = None
    nonce: bool = False

    def check(self, label: Label) -> None:
        """Raise BadInput unless keys of this kind have such a label."""
        if self.nonce and not label.nonce:
            raise BadInput("This key needs the nonce of the utterance: give the one that it was encrypted under.")
        if not self.nonce and label.nonce is not None:
            raise BadInput("This key is the same for every utterance: leave the nonce out.")
        if label.slot < 0 or (label.slot and self.hold is None):
            slots = "numbered from 0" if self.hold else "0 alone, because this key has no schedule"
            raise BadInput(f"The slots of a key are {slots}, and {label.slot} was asked for.")

    def slots(self, steps: int, rate: float, length: int) -> Slots:
        """The slots of queries of at most `length` samples or frames.

        A slot is due every `hold` seconds from the beginning of the query, and begins at the next block.

        Parameters
        ----------
        steps
            Samples or frames of time that a block takes.
        rate
            Samples or frames per second.
        length
            Of the longest query; it is filled to a whole block.

        Returns
        -------
        Slots
            A single one without a schedule.

        Raises
        ------
        BadInput
            Where a slot is shorter than a block.

        Examples
        --------
        >>> from wrongkey.keys import SCHEMES
        >>> Derived(SCHEMES["rom"], hold=0.5).slots(steps=3, rate=20, length=25)
        Slots(starts=(0, 12, 21), length=27)
        """
        whole = -(-length // steps) * steps
        if self.hold is None:
            return Slots((0,), whole)
        # As fractions: rounding would move a slot by a block, on one side alone.
        blocks = Fraction(repr(self.hold)) * Fraction(rate).limit_denominator(10**6) / steps
        if blocks < 1:
            raise BadInput(
                f"schedule={self.hold:g} changes the key within a block, which lasts {steps / rate:.3g} s: give at "
                "least as many seconds."
            )
        starts = (ceil(slot * blocks) * steps for slot in range(ceil(whole / steps / blocks)))
        return Slots(tuple(start for start in starts if start < whole), whole)


def derived_scheme(base: Scheme, hold: float | str | None = None, nonce: bool = False) -> Scheme:
    """The scheme whose key is a seed, and whose matrices are those of `base`.

    Parameters
    ----------
    base
        Any scheme. One that is derived already gains the other option.
    hold
        Seconds for which a matrix is used, a number or its text.
    nonce
        Whether every utterance has matrices of its own.

    Returns
    -------
    Scheme
        A key consumes 4 words, the seed, and there are 2**256 keys. It has no matrix without a label.

    Raises
    ------
    BadInput
        For an option given twice, and for seconds that are no positive number.

    Examples
    --------
    >>> from wrongkey.keys import SCHEMES
    >>> derived_scheme(SCHEMES["rom"], "0.50", nonce=True).name
    'rom+schedule=0.50+nonce'
    """
    before = base.derived or Derived(base)
    if (nonce and before.nonce) or (hold is not None and before.hold is not None):
        raise BadInput(f"The scheme {base.name} has this option already: give it once.")
    seconds = before.hold if hold is None else _seconds(hold)
    written = f"{hold:.12g}" if isinstance(hold, float | int) else hold
    name = base.name + ("" if hold is None else f"+schedule={written}") + ("+nonce" if nonce else "")

    def no_matrix(size: int, words: Words) -> Matrices:
        raise BadInput(
            f"A key of {name} is a seed: it has a matrix only for the nonce of an utterance or the slot of a schedule "
            "(wrongkey.keys.SeedKey.at)."
        )

    return replace(
        base,
        name=name,
        words=lambda size: SEED_WORDS,
        matrices=no_matrix,
        space=lambda size: 2**SEED_BITS,
        unrank=None,
        rank=None,
        haar=False,
        derived=Derived(before.base, seconds, nonce or before.nonce),
    )


def derived_matrices(derived: Derived, size: int, seeds: Seeds, labels: Sequence[Label]) -> Matrices:
    """The matrices of some seeds for some labels.

    Parameters
    ----------
    derived
        How they follow.
    size
        N, elements that a matrix multiplies together.
    seeds
        uint64 `(count, 4)`.
    labels
        Nonces and slots.

    Returns
    -------
    NDArray
        Float64 `(count, labels, N, N)`. A matrix depends on its seed and label alone.

    Raises
    ------
    BadInput
        For a label that keys of this kind do not have.

    Examples
    --------
    >>> from wrongkey.keys import SCHEMES
    >>> seeds = np.zeros((2, 4), dtype=np.uint64)
    >>> derived_matrices(Derived(SCHEMES["rom"], hold=1.0), 3, seeds, [Label(slot=0), Label(slot=1)]).shape
    (2, 2, 3, 3)
    """
    for label in labels:
        derived.check(label)
    base = derived.base
    used = base.words(size)
    wanted = [(row.astype("<u8").tobytes(), label) for row in seeds for label in labels]
    matrices = np.empty((len(wanted), size, size))
    chunk = max(1, CHUNK_WORDS // used)
    for first in range(0, len(wanted), chunk):
        some = wanted[first : first + chunk]
        words = np.stack([_words(seed, f"{base.name}/{size}", label, used) for seed, label in some])
        matrices[first : first + len(some)] = base.matrices(size, words)
    return matrices.reshape(len(seeds), len(labels), size, size)


def check_one_matrix(scheme: Scheme, what: str) -> None:
    """Raise BadInput for a derived scheme, where `what` compares one matrix with another."""
    if scheme.derived is not None:
        raise BadInput(
            f"A key of {scheme.name} has many matrices, and {what} would need a single one: use the scheme "
            f"{scheme.derived.base.name}."
        )


def correct_seed(scheme: Scheme, size: int, seed: int) -> NDArray[np.uint64]:
    """The model owner's key `(4,)` of a sweep with this seed."""
    return _seed("correct", scheme, size, seed, 0)


def public_nonce(seed: int, number: int) -> str:
    """The nonce of utterance `number` in a sweep with this seed: public, and another for every utterance.

    Examples
    --------
    >>> len(public_nonce(0, 7)), public_nonce(0, 7) == public_nonce(0, 8)
    (32, False)
    """
    return blake2b(f"nonce/{int(seed)}/{int(number)}".encode(), digest_size=16, person=PERSON).hexdigest()


class IncorrectSeeds:
    """The sequence of incorrect keys of a sweep under a derived scheme: independent seeds, as `IncorrectKeys` is.

    Parameters
    ----------
    scheme
        A derived scheme.
    size
        N, elements that a matrix multiplies together.
    seed
        Of the sweep.

    Attributes
    ----------
    total
        Number of incorrect keys.
    enumerated
        False: they are never tried one by one.

    Examples
    --------
    >>> from wrongkey.keys import SCHEMES
    >>> IncorrectSeeds(derived_scheme(SCHEMES["rom"], nonce=True), 3, seed=0).batch(0, 7).shape
    (7, 4)
    """

    total = 2**SEED_BITS - 1
    enumerated = False

    def __init__(self, scheme: Scheme, size: int, seed: int) -> None:
        self.scheme, self.size, self.seed = scheme, size, seed

    def batch(self, start: int, count: int) -> Seeds:
        """Incorrect keys start ... start + count - 1: uint64 `(count, 4)`."""
        if start < 0 or count < 0:
            raise BadInput(f"Keys are numbered from 0: start {start} and count {count} must not be negative.")
        seeds = np.empty((count, SEED_WORDS), dtype=np.uint64)
        for place in range(count):
            seeds[place] = _seed("key", self.scheme, self.size, self.seed, start + place)
        return seeds


def seed_of(scheme: Scheme, size: int, seed: int, index: int) -> NDArray[np.uint64]:
    """Key `index` `(4,)` of the stream of incorrect keys of this seed."""
    drawn: NDArray[np.uint64] = IncorrectSeeds(scheme, size, seed).batch(index, 1)[0]
    return drawn


def _seed(domain: str, scheme: Scheme, size: int, seed: int, index: int) -> NDArray[np.uint64]:
    text = f"{domain}/{int(seed)}/{scheme.name}/{size}/{index}".encode()
    return np.frombuffer(blake2b(text, digest_size=8 * SEED_WORDS, person=PERSON).digest(), dtype="<u8").copy()


def _words(seed: bytes, what: str, label: Label, count: int) -> Words:
    """`count` words for a label; the nonce, a text of any length, comes last, so that no two labels are one text."""
    text = f"{what}/{label.slot}/{'-' if label.nonce is None else '+' + label.nonce}".encode()
    hashed = blake2b(text, key=seed, person=PERSON).digest()
    return np.frombuffer(shake_256(hashed).digest(8 * count), dtype="<u8")


def _seconds(given: float | str) -> float:
    """A positive number of seconds; BadInput for anything else."""
    try:
        seconds = float(given)
    except ValueError:
        seconds = float("nan")
    if not (isfinite(seconds) and seconds > 0):
        raise BadInput(f"schedule={given} is not a positive number of seconds: write, for example, schedule=0.5.")
    return seconds
