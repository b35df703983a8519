"""How much a protected voice gives away, in ZEBRA's terms: to a whole population, and to the most exposed person.

ZEBRA (zero evidence biometric recognition assessment) asks what an adversary with perfectly calibrated scores learns,
whatever they believed before. The *expected* disclosure is the information that the scores add, as an integral over all
priors; the *worst-case* disclosure is the strongest likelihood ratio that any trial had, and its category stands on
the scale of forensic statements.

Reference: A. Nautsch et al., "The Privacy ZEBRA: Zero Evidence Biometric Recognition Assessment", Interspeech 2020, and
the authors' implementation (github.com/Voice-Privacy-Challenge/zebra).
"""

from __future__ import annotations

import numpy as np

from wrongkey.evaluation.metrics.calibration import Array, Pools

MOST = 1 / (2 * np.log(2))  # bits: the expected disclosure of scores that separate both kinds of trials
CATEGORIES = ((0.0, "0"), (1.0, "A"), (2.0, "B"), (4.0, "C"), (5.0, "D"), (6.0, "E"), (np.inf, "F"))
_NEAR_ONE = 1e-2  # of a ratio: nearer, the closed form loses more digits than its series


def expected_disclosure(found: Pools) -> float:
    """D_ECE in bits, from 0 (nothing is learned) to `MOST`, some 0.72 (all is).

    The integral over priors π of the target hypothesis, `∫ H(π) - ECE(π) dπ` from 0 to 1, of the entropy before the
    score is seen and the empirical cross-entropy after it, with the ratios of
    `wrongkey.evaluation.metrics.calibration.pools` (without `laplace`).
    """
    targets, others, ratio = found
    with np.errstate(divide="ignore"):
        opposite = 1 / ratio
    both = _gain(ratio) @ targets / targets.sum() + _gain(opposite) @ others / others.sum()
    return float(both / np.log(2))


def worst_disclosure(found: Pools) -> float:
    """The strongest `|log10 LR|` of any trial, with the ratios of `pools(…, laplace=True)`, which are finite.

    It grows with the number of trials: for scores that separate both kinds it is nearly `log10` of the number of trials
    of the rarer kind. Compare it only between lists of the same length.
    """
    return float(np.abs(np.log10(found.ratio)).max())


def category(worst: float) -> str:
    """Return the letter of a worst-case disclosure, from "0" (none) to "F".

    "A" is below 10 to 1, "B" up to 100, "C" up to 10,000, "D" up to 100,000 and "E" up to a million.
    """
    return next(letter for upper, letter in CATEGORIES if worst <= upper + np.finfo(float).eps)


def _gain(ratio: Array) -> Array:
    """What trials of a kind gain from a ratio `x` for it: `∫ π log(x / (1 + (x - 1) π)) dπ` from 0 to 1, in nats.

    With `a = x - 1` that is `1/4 - 1/(2a) + log(1 + a) / (2a²)`. Zero, which only the other kind's trials have, gives
    minus infinity in theory and 0 here: no trial of the kind is in such a pool.
    """
    gain = np.where(np.isinf(ratio), 0.25, 0.0)
    near = np.abs(ratio - 1) < _NEAR_ONE
    a = ratio[near] - 1
    gain[near] = a / 6 - a**2 / 8 + a**3 / 10 - a**4 / 12
    far = ~near & (ratio > 0) & np.isfinite(ratio)
    a = ratio[far] - 1
    gain[far] = 0.25 - 1 / (2 * a) + np.log1p(a) / (2 * a**2)
    return gain
