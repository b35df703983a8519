"""What an attacker's calibration is worth: Cllr after an affine map that was fitted on other speakers.

Cllr judges likelihood ratios, and a cosine is none: Cllr of raw cosines would judge a calibration that nobody made. So
the speakers are cut into two halves. On the trials within one half, logistic regression fits `LLR = slope · score +
offset`; it is judged on the trials within the other half, and the other way round. Trials across the halves are used
by neither, since no half is free of their speakers. Unlike Cllr_min, which knows the answers, this may exceed 1:
where speakers are few the calibration fails, and then it is worse than none. Its slope may be negative, so that
scores that mislead count as what they tell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wrongkey.evaluation.metrics.calibration import cllr

RIDGE = 1e-4  # on the slope per standard deviation, against an infinite slope where scores separate
STEPS = 50
SMALLEST_STEP = 1e-7
LONGEST_STEP = 2.0  # Newton's method overshoots where scores nearly separate

Array = NDArray[np.float64]


def halves_of(speakers: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Trials among the speakers of even and of odd rank, two masks `(trials,)`; ranks go by number.

    speakers: `(trials, 2)` numbers of the enrolment's and the test's speaker.
    """
    _, rank = np.unique(speakers, return_inverse=True)
    odd = rank.reshape(speakers.shape) % 2 == 1
    return ~odd.any(1), odd.all(1)


def calibrated_cllr(
    scores: NDArray[np.floating], target: NDArray[np.bool_], halves: tuple[NDArray[np.bool_], NDArray[np.bool_]]
) -> Array:
    """Cllr in bits of each key of `scores (keys, trials)`, `(keys,)`: 0 for perfect scores, 1 for ones without news.

    halves: of `halves_of`; each with trials of both kinds.
    """
    return np.array([_both_ways(row.astype(np.float64), target, halves) for row in scores])


def fit(scores: Array, target: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of the natural log-likelihood ratio, by Newton's method.

    The least of the logistic loss, with half of the weight on target trials and half on the others, so that the offset
    holds no prior, plus `RIDGE / 2` times the square of the slope of the standardised scores.

    scores, target: `(trials,)`.
    """
    from scipy.special import expit  # a process that only asks does without

    centre, spread = scores.mean(), scores.std() or 1.0
    x = (scores - centre) / spread
    label = target.astype(np.float64)
    weight = 0.5 * np.where(target, 1 / label.sum(), 1 / (1 - label).sum())
    slope = offset = 0.0
    for _ in range(STEPS):
        p = expit(slope * x + offset)
        excess, bend = weight * (p - label), weight * p * (1 - p)
        gradient = np.array([excess @ x + RIDGE * slope, excess.sum()])
        mixed = bend @ x
        hessian = np.array([[bend @ x**2 + RIDGE, mixed], [mixed, bend.sum() + 1e-12]])
        step = np.linalg.solve(hessian, gradient)
        step *= min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))
        slope, offset = slope - step[0], offset - step[1]
        if np.abs(step).max() < SMALLEST_STEP:
            break
    return float(slope / spread), float(offset - slope * centre / spread)


def _both_ways(scores: Array, target: NDArray[np.bool_], halves: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> float:
    llr = np.empty_like(scores)
    for fitted, judged in (halves, halves[::-1]):
        slope, offset = fit(scores[fitted], target[fitted])
        llr[judged] = slope * scores[judged] + offset
    judged = halves[0] | halves[1]
    return cllr(llr[judged & target], llr[judged & ~target])
