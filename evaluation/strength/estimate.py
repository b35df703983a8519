"""From the levels of independent runs to a probability, guesses and bits, with an interval, or why there are none.

The estimate of a run is a product of shares, and nearly unbiased; that of several runs is the mean of theirs. The
interval is one of the logarithm. Its variance has two sources: what the runs differ by, and what each says of itself.
The latter comes from its genealogy. If the keys that reach the goal descend from few keys of the first population, the
run hangs on these, and its relative variance is (Lee and Whiteley 2018, for n keys and a goal read at level k)

    V = 1 - (n / (n - 1))^(k + 1) (1 - Σ_e s_e²),

with the share s_e of those keys that descend from ancestor e; but no less than that of independent draws at every
level, Σ (1 - p) / (p n). Two or three runs say little about their own spread, so the two variances are pooled, that of
the genealogies with the weight of `GENEALOGY` degrees of freedom, and Student's t takes the sum of both.

Measured on known tails (`benchmarks/strength.py tails`; 40 to 60 intervals of three runs for each of six tails from
1e-3 to 1e-9): the interval holds the truth in 95 to 100 % of them, where the genealogies alone give 90 to 98 %, and the
true standard deviations of ln P of 0.19 to 0.42 are 0.18 to 0.49 by the genealogies.

Limits below which no bits are given: chains that accepted fewer than `LEAST_MOVED` moves at a threshold have not left
the key that they were copied from; `LEAST_ANCESTORS` is what good runs at 1e-9 have with 300 keys (4 to 11), and a run
that hangs on fewer may have missed a part of the space; repetitions that are `MOST_SPREAD` apart do not estimate one
number.

Reference: A. Lee, N. Whiteley, "Variance estimation in the particle filter", Biometrika 105(3), 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log, log2, log10, sqrt

import numpy as np
from scipy import stats

from wrongkey.evaluation.strength.splitting import LEAST_MOVED, Level, Plan, reading

GENEALOGY = 4.0  # degrees of freedom of the variance that the genealogies give
CONFIDENCE = 0.95
LEAST_ANCESTORS = 4
MOST_SPREAD = 1.0  # of log10 P, between the lowest and the highest repetition


@dataclass(frozen=True)
class Reading:
    """What one run says about one goal.

    Attributes
    ----------
    log10_probability : float or None
        None where the run does not reach the goal.
    variance : float
        Of ln P, by the genealogy.
    levels, evaluations : int
        Used until the goal was read.
    acceptance : list of float
        Of the moves of each level but the first.
    moved : float
        Moves that a chain accepted at a threshold, on average, where these were fewest; infinite without one.
    ancestors : int
        Distinct keys of the first population from which those descend that reach the goal.
    """

    log10_probability: float | None
    variance: float
    levels: int
    evaluations: int
    acceptance: list[float]
    moved: float
    ancestors: int


@dataclass(frozen=True)
class Estimate:
    """The probability of one goal, with the ends of its 95 % interval; None where `why_not` says why there is none."""

    probability: float | None
    low: float | None
    high: float | None
    why_not: str
    readings: list[Reading]

    @property
    def bits(self) -> float | None:
        """Effective strength, `-log2 P`."""
        return bits_of(self.probability)

    @property
    def bits_low(self) -> float | None:
        """The lower end of the interval of `bits`."""
        return bits_of(self.high)

    @property
    def bits_high(self) -> float | None:
        """The upper end of the interval of `bits`."""
        return bits_of(self.low)


def bits_of(probability: float | None) -> float | None:
    """`-log2` of a probability, and 0 for 1; None for none."""
    return None if probability is None else abs(log2(min(probability, 1.0)))


def read(levels: Sequence[Level], goal: int, plan: Plan) -> Reading:
    """What the levels of a run say about a goal, given by its place."""
    place = reading(levels, goal, plan)
    used = levels if place is None else levels[: place + 1]
    acceptance = [level.acceptance for level in used if level.acceptance is not None]
    moved = min((level.moved for level in used if level.moved is not None and not level.repeated), default=inf)
    evaluations = sum(level.evaluations for level in used)
    if place is None:
        return Reading(None, inf, len(used), evaluations, acceptance, moved, used[-1].ancestors if used else 0)
    last, n = used[-1], plan.population
    shares = [level.share for level in used[:-1]] + [last.hits[goal] / n]
    return Reading(
        log10_probability=sum(map(log10, shares)),
        variance=_variance(shares, last.families[goal], n),
        levels=len(used),
        evaluations=evaluations,
        acceptance=acceptance,
        moved=moved,
        ancestors=last.hit_ancestors[goal],
    )


def estimate(readings: Sequence[Reading]) -> Estimate:
    """The estimate of independent runs, or why there is none."""
    known = [one.log10_probability for one in readings if one.log10_probability is not None]
    if why := _why_not(readings, known):
        return Estimate(None, None, None, why, list(readings))
    logs = np.array(known) * log(10)
    centre = float(np.logaddexp.reduce(logs) - log(len(logs)))
    within = float(np.mean([one.variance for one in readings]))
    half = half_width(logs, within)
    return Estimate(exp(centre), exp(centre - half), min(exp(centre + half), 1.0), "", list(readings))


def counted(hits: int, keys: int) -> Estimate:
    """The probability of a goal that `hits` of all `keys` of a space reach: nothing is estimated."""
    if not hits:
        return Estimate(None, None, None, f"None of all {keys:,} keys comes that close.", [])
    probability = hits / keys
    reading = Reading(log10(probability), 0.0, 1, keys, [], inf, hits)
    return Estimate(probability, probability, probability, "", [reading])


def half_width(logs: np.ndarray, within: float, genealogy: float = GENEALOGY) -> float:
    """Half of the interval of ln P, of the runs' `logs (R,)` and the mean variance that each says of itself."""
    own = len(logs) - 1
    squares = float(((logs - logs.mean()) ** 2).sum())
    freedom = own + genealogy
    variance = (squares + genealogy * within) / freedom
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom) * sqrt(variance / len(logs)))


def _variance(shares: Sequence[float], families: float, n: int) -> float:
    independent = sum((1 - share) / (share * n) for share in shares)
    genealogy = 1 - (n / (n - 1)) ** len(shares) * (1 - families)
    return max(independent, genealogy)


def _why_not(readings: Sequence[Reading], known: Sequence[float]) -> str:
    """A sentence where the runs cannot be trusted; empty where they can."""
    many = len(readings)
    moved = min(one.moved for one in readings)
    if moved < LEAST_MOVED:
        return (
            f"At some level a chain accepted {moved:.2f} moves on average (least: {LEAST_MOVED:g}): the chains do not "
            "mix; give more --moves."
        )
    if len(known) < many:
        stopped = many - len(known)
        why = "all keys have one score, or the levels run out"
        return f"{stopped} of {many} repetitions ended above the goal, where {why}."
    fewest = min(one.ancestors for one in readings)
    if fewest < LEAST_ANCESTORS:
        return (
            f"The keys that reach the goal descend from {fewest} of the first population (least: {LEAST_ANCESTORS}): "
            "give a larger --population."
        )
    if (spread := max(known) - min(known)) > MOST_SPREAD:
        return (
            f"The repetitions differ by a factor of {10**spread:.0f} (most: {10**MOST_SPREAD:g}): give a larger "
            "--population or more --moves."
        )
    return ""
