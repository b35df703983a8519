"""A check that a user's moves leave the law of their scheme's keys invariant, and are reversible.

With moves that do not, the chains run towards keys that no random draw gives as often, and the probability that they
measure is that of nothing. Moves that leave keys as they are would pass every such test and never mix: they are refused
first. Then two properties are tested on some numbers that describe a key (random projections, trace, trace of the
square, sum of magnitudes):

- *invariance*: keys that were drawn and then moved `STEPS` times are distributed as keys that were drawn
  (Kolmogorov and Smirnov's test of two samples);
- *reversibility*: for numbers f and g of a key, `f(K) g(K') - g(K) f(K')` is as often positive as negative for a drawn
  key K and its move K' (Wilcoxon's signed-rank test).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.stats import ks_2samp, wilcoxon

from wrongkey.errors import BadInput
from wrongkey.evaluation.strength.moves import Array, Own, law_of
from wrongkey.evaluation.strength.streams import words_of
from wrongkey.keys.schemes import Matrices, Scheme

DRAWS = 1_000
STEPS = 16
SCALES = (0.1, 1.0)
ALPHA = 1e-6  # of each of some thirty tests: moves that are right fail once in ten thousand checks or less
LEAST_MOVING = 0.1  # share of keys that a move must change: one that stays counts as accepted
PROJECTIONS = 4
ROUNDED = 1e-9  # differences below that are rounding


def check_moves(scheme: Scheme, size: int) -> None:
    """Raise BadInput where the moves that a scheme, or one of its parts, brings do not leave its law invariant."""
    structure = getattr(scheme, "structure", None)
    if getattr(scheme, "moves", None) is not None:
        _check(scheme, size)
    elif structure is not None:
        for part in {(part.scheme.name, part.size): part for part in structure.parts(size)}.values():
            check_moves(part.scheme, part.size)


def _check(scheme: Scheme, size: int) -> None:
    law = law_of(scheme, size)
    assert isinstance(law, Own)
    label = f"check/{scheme.name}/{size}"
    fresh = _numbers(law.matrices(law.draw(words_of(f"{label}/fresh", 0, DRAWS, law.drawn))))
    for scale in SCALES:
        drawn = states = law.draw(words_of(f"{label}/{scale}", 0, DRAWS, law.drawn))
        for step in range(STEPS):
            states = law.move(states, words_of(f"{label}/{scale}/{step}", 0, DRAWS, law.moved), scale)
            if step == 0:
                _check_moving(scheme, law.matrices(drawn), law.matrices(states), scale)
                _check_reversible(scheme, _numbers(law.matrices(drawn)), _numbers(law.matrices(states)), scale)
        for moved, known in zip(_numbers(law.matrices(states)), fresh, strict=True):
            if ks_2samp(moved, known).pvalue < ALPHA:
                raise _refused(scheme, f"after {STEPS} moves of scale {scale:g} keys are not distributed as at first")


def _check_moving(scheme: Scheme, before: Matrices, after: Matrices, scale: float) -> None:
    moving = float((before != after).any((1, 2)).mean())
    if moving < LEAST_MOVING:
        raise BadInput(
            f"The moves of the scheme {scheme.name!r} leave {1 - moving:.0%} of keys as they are at scale {scale:g} "
            f"(most: {1 - LEAST_MOVING:.0%}), and chains would look as if they mixed: let more moves change the key."
        )


def _check_reversible(scheme: Scheme, before: Array, after: Array, scale: float) -> None:
    for one, other in pairwise(range(len(before))):
        difference = before[one] * after[other] - before[other] * after[one]
        difference = difference[np.abs(difference) > ROUNDED * np.abs(before[one]).max(initial=1.0)]
        if len(difference) and wilcoxon(difference).pvalue < ALPHA:
            raise _refused(scheme, f"a move of scale {scale:g} is not as probable as the way back")


def _numbers(keys: Matrices) -> Array:
    """Numbers `(numbers, keys)` that describe each key, rounded, so that equal ones are equal."""
    size = keys.shape[-1]
    weights = np.random.default_rng(0).normal(size=(PROJECTIONS, size, size))
    found = [
        *np.einsum("kij,pij->pk", keys, weights),
        np.trace(keys, axis1=1, axis2=2),
        np.einsum("kij,kji->k", keys, keys),
        np.abs(keys).sum((1, 2)),
    ]
    return np.stack(found).round(9)


def _refused(scheme: Scheme, why: str) -> BadInput:
    return BadInput(
        f"The moves of the scheme {scheme.name!r} do not leave the law of its keys invariant ({why}): correct them, or "
        "leave them out, and the random words of a key are moved instead."
    )
