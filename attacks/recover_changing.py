"""Speech out of recordings whose key changes, with the utterance or from time to time (`wrongkey.keys.derived`).

When a matrix changes is public. So what one matrix encrypted is attacked by itself, as if the scheme had one key: under
a nonce each recording, under a schedule the same slot of every query, under both the same slot of a recording's
queries. A matrix that is found opens its part and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wrongkey.attacks.recover import Recovered, Waveform, block_of, check_input, recover
from wrongkey.attacks.waveforms.block_size import period_of
from wrongkey.errors import BadInput
from wrongkey.evaluation.windows import sends_windows
from wrongkey.keys.derived import Derived
from wrongkey.keys.family import get_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Scheme


@dataclass(frozen=True)
class Piece:
    """Samples `begin` to `end` of recording `number`, from 0."""

    number: int
    begin: int
    end: int


@dataclass(frozen=True)
class Part:
    """What one matrix encrypted.

    Attributes
    ----------
    pieces : tuple of Piece
        Where it lies.
    found : Recovered or None
        What attacks made of it; None where there was too little to begin.
    why_not : str
        Why there was too little, as a sentence; empty otherwise.
    """

    pieces: tuple[Piece, ...]
    found: Recovered | None = None
    why_not: str = ""

    @property
    def believed(self) -> bool:
        """Whether its key is taken for the right one."""
        return self.found is not None and self.found.success_claimed


@dataclass(frozen=True)
class RecoveredParts:
    """What attacks made of recordings under keys that change.

    Attributes
    ----------
    parts : tuple of Part
        One for each matrix, in the order of the recordings and of time.
    block_size : int
        M, given or from the ciphertext.
    queries : tuple of tuple of Piece
        Of each recording, the queries in which slots count.
    lengths : tuple of int
        Samples of each recording.
    """

    parts: tuple[Part, ...]
    block_size: int
    queries: tuple[tuple[Piece, ...], ...]
    lengths: tuple[int, ...]

    @property
    def success_claimed(self) -> bool:
        """Whether the key of some part is taken for the right one."""
        return any(part.believed for part in self.parts)

    def plain(self, *, guesses: bool = False) -> list[NDArray[np.float64]]:
        """The recordings decrypted, float64 `(samples,)`: silent where no key is believed, or none at all.

        guesses: with what keys that are not believed make of their parts. The sign of a key stays open: each part has
        the one that joins it more smoothly to the part before.
        """
        speech = [np.zeros(length) for length in self.lengths]
        for part in self.parts:
            if part.found is None or not (guesses or part.believed):
                continue
            sign = _smoother_sign(speech, part)
            for piece, plain in zip(part.pieces, part.found.plain, strict=True):
                speech[piece.number][piece.begin : piece.begin + len(plain)] = sign * plain
        return speech


def recover_changing(
    waveforms: Sequence[Waveform],
    rate: int,
    scheme: str | Scheme,
    block_size: int | None = None,
    *,
    segments: Sequence[int | None] | None = None,
    seed: int = 0,
) -> RecoveredParts:
    """Attack every matrix of a scheme with `+nonce` or `+schedule=SECONDS` by itself.

    Parameters
    ----------
    waveforms : sequence of ndarray
        Encrypted recordings of one voice under one seed, each `(samples,)` and an utterance with a nonce of its own.
    rate : int
        Samples per second of all of them.
    scheme : str or Scheme
        How the seed was drawn.
    block_size : int, optional
        M; by default what the ciphertext under one matrix shows.
    segments : sequence of int or None, optional
        Samples of a query of each recording before encryption, where slots count anew in several; None for all.
    seed : int
        Of everything random in the attacks.

    Returns
    -------
    RecoveredParts
        The best key of every part, also where success is not claimed.

    Raises
    ------
    BadInput
        As `recover`, and for a scheme of one matrix and one that sends windows, where no attack applies to what
        changes, where no part holds enough ciphertext, and where none shows its block size.
    """
    check_input(waveforms, rate, block_size, seed)
    scheme = get_scheme(scheme)
    if scheme.derived is None:
        raise BadInput(f"A key of {scheme.name} does not change: attack it as one matrix.")
    if sends_windows(scheme.name):
        raise BadInput(f"No attack here takes windows whose key changes, as under {scheme.name}: attack blocks.")
    derived, lengths = scheme.derived, [len(one) for one in waveforms]
    segments = [None] * len(lengths) if segments is None else segments
    if len(segments) != len(lengths) or any(one is not None and one < 1 for one in segments):
        raise BadInput(f"segments must say of each of the {len(lengths)} recordings how many samples a query has.")
    asked = [min(one or length, length) for one, length in zip(segments, lengths, strict=True)]
    size = _block_shown(waveforms, rate, derived, asked) if block_size is None else block_size
    steps = KeyCut("samples", size).under(derived.base).merged.block_size
    queries = [
        _queries(number, length, one, steps) for number, (length, one) in enumerate(zip(lengths, asked, strict=True))
    ]
    parts = [
        _attacked(part, waveforms, rate, derived.base, size, seed) for part in _parts(queries, derived, steps, rate)
    ]
    if all(part.found is None for part in parts):
        raise BadInput(
            parts[0].why_not if parts else f"The recordings hold no block of {steps} samples: give longer ones."
        )
    return RecoveredParts(tuple(parts), size, tuple(queries), tuple(lengths))


def _queries(number: int, length: int, segment: int, steps: int) -> tuple[Piece, ...]:
    """The queries of a recording: each was filled to whole blocks before encryption."""
    sent = max(-(-segment // steps), 1) * steps
    return tuple(Piece(number, begin, min(begin + sent, length)) for begin in range(0, length, sent))


def _parts(queries: Sequence[tuple[Piece, ...]], derived: Derived, steps: int, rate: int) -> list[Part]:
    """What each matrix encrypted: pieces of the same slot, and where there are nonces, of the same recording."""
    pieces: dict[tuple[int, int], list[Piece]] = {}
    for query in (one for of_recording in queries for one in of_recording):
        length = query.end - query.begin
        for slot, (begin, end) in enumerate(derived.slots(steps, rate, length).of(length)):
            label = (query.number if derived.nonce else 0, slot)
            pieces.setdefault(label, []).append(Piece(query.number, query.begin + begin, query.begin + end))
    return [Part(tuple(pieces[label])) for label in sorted(pieces)]


def _attacked(part: Part, waveforms: Sequence[Waveform], rate: int, base: Scheme, size: int, seed: int) -> Part:
    """A part with what attacks make of it. A scheme or block size that no attack takes is refused for all parts."""
    speech = [np.asarray(waveforms[one.number][one.begin : one.end]) for one in part.pieces]
    try:
        return replace(part, found=recover(speech, rate, base, size, seed=seed))
    except BadInput as error:
        return replace(part, why_not=str(error))


def _block_shown(waveforms: Sequence[Waveform], rate: int, derived: Derived, segments: Sequence[int]) -> int:
    """The block size that ciphertext under one matrix shows: the first slots, which need no block size to be found."""
    most = max(segments) if derived.hold is None else int(derived.hold * rate)
    first = [np.asarray(one[: min(segment, most)]) for one, segment in zip(waveforms, segments, strict=True)]
    groups = [[one] for one in sorted(first, key=len, reverse=True)] if derived.nonce else [first]
    for group in groups:
        block = block_of(period_of(group, rate), derived.base)
        if block is not None:
            return block
    raise BadInput("What one key encrypted shows no blocks: give more encrypted speech, or --block M to attack anyway.")


def _smoother_sign(speech: Sequence[NDArray[np.float64]], part: Part) -> float:
    """The sign under which second differences are smaller where a part begins behind another."""
    assert part.found is not None
    change = 0.0
    for piece, plain in zip(part.pieces, part.found.plain, strict=True):
        before = speech[piece.number][max(0, piece.begin - 2) : piece.begin]
        if len(before) == 2 and len(plain) > 1:
            change += float((2 * before[1] - before[0]) * plain[0] + before[1] * (2 * plain[0] - plain[1]))
    return -1.0 if change < 0 else 1.0
