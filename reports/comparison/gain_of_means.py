"""The gain in a mean over keys, with bounds that hold for few and for skewed keys.

A few keys without a weak one among them say little about weak keys: with 5 % of keys that work like plain, a sample of
20 has none in 36 % of the cases, its spread is small, and Student's or a bootstrap interval excludes the true mean. The
bounds here allow for the keys that were not seen: they are quantiles of the mean of the n keys *and of one more at the
end of the scale* under Dirichlet(1, …, 1) weights (Gaffke 2005, "Three test statistics for a nonparametric one-sided
hypothesis on the mean of a nonnegative variable", Mathematical Methods of Statistics 14:451). Where all keys are alike
this is the rule of three; with many keys it approaches Student's interval. That it keeps its level for every
distribution on the scale is a conjecture without a counterexample; `benchmarks/simulate_compare.py` tests it.

To show that B is no worse, the unseen key lies at the very end of the scale: as good as plain in B, at chance in A. To
call B worse, it lies outside the seen keys by no more than these extend from their median (three times that for fewer
than ten keys): otherwise few keys could never raise an alarm.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wrongkey.reports.comparison.noninferiority import LEVEL, ROUNDING, Gain, exact

Array = NDArray[np.float64]
DRAWS = 4000
_WEIGHTS = 4_000_000  # held in memory at once


@dataclass(frozen=True, eq=False)
class KeyScores:
    """Scores of a run's incorrect keys in the direction of safety (an accuracy has its sign turned).

    values: (keys,).  worst, best: the ends of the scale, what a key that was not seen can reach.
    exhaustive: these are all the keys that exist.
    speaker_error: standard error over speakers of the mean; 0 where the statement is about these speakers.
    speakers: how many there are; only read where `speaker_error` is positive.
    """

    values: Array
    worst: float
    best: float
    exhaustive: bool = False
    speaker_error: float = 0.0
    speakers: int = 0

    @property
    def likely_best(self) -> float:
        """The safest score that an unseen key is assumed to have before an alarm is raised."""
        top = float(self.values.max())
        return min(self.best, top + self._reach * (top - float(np.median(self.values))))

    @property
    def likely_worst(self) -> float:
        """The least safe score that an unseen key is assumed to have before an alarm is raised."""
        bottom = float(self.values.min())
        return max(self.worst, bottom - self._reach * (float(np.median(self.values)) - bottom))

    @property
    def _reach(self) -> float:
        return 1.0 if len(self.values) >= 10 else 3.0


class MeanDraws(NamedTuple):
    """Draws (draws,) of a mean: what the seen keys contribute, and the weight of the unseen one."""

    seen: Array
    unseen: Array

    def at(self, score: float) -> Array:
        """The means where the unseen key has this score."""
        return self.seen + self.unseen * score


def gain_of_means(b: KeyScores, a: KeyScores, paired: bool, draws: int = DRAWS, seed: int = 0) -> Gain:
    """By how much B's mean over keys is safer than A's.

    paired: the two hold the same keys in the same order, so that differences of keys count.
    """
    value = float(b.values.mean() - a.values.mean())
    rng = np.random.default_rng(seed)
    if paired:
        gains = KeyScores(b.values - a.values, b.worst - a.best, b.best - a.worst, a.exhaustive and b.exhaustive)
        drawn = mean_draws(gains, draws, rng)
        low, high = drawn.at(gains.worst), drawn.at(gains.likely_best)
    else:
        of_b, of_a = mean_draws(b, draws, rng), mean_draws(a, draws, rng)
        low = of_b.at(b.worst) - of_a.at(a.best)
        high = of_b.at(b.likely_best) - of_a.at(a.likely_worst)
    if (a.exhaustive and b.exhaustive) and not (a.speaker_error or b.speaker_error):
        return exact(value)
    noise = speaker_draws(b, draws, rng) - speaker_draws(a, draws, rng)
    p_worse = (1 + int((high + noise >= -ROUNDING).sum())) / (draws + 1)
    return Gain(value, float(np.quantile(low + noise, LEVEL)), float(np.quantile(high + noise, 1 - LEVEL)), p_worse)


def mean_draws(keys: KeyScores, draws: int, rng: np.random.Generator) -> MeanDraws:
    """Draw Dirichlet weights on the keys and one unseen key; where every key was tried, none is unseen."""
    if keys.exhaustive:
        return MeanDraws(np.full(draws, keys.values.mean()), np.zeros(draws))
    size = len(keys.values)
    rows = max(1, _WEIGHTS // (size + 1))
    seen, unseen = np.empty(draws), np.empty(draws)
    for start in range(0, draws, rows):
        weights = rng.standard_exponential((min(rows, draws - start), size + 1))
        total = weights.sum(axis=1)
        seen[start : start + rows] = weights[:, :-1] @ keys.values / total
        unseen[start : start + rows] = weights[:, -1] / total
    return MeanDraws(seen, unseen)


def speaker_draws(keys: KeyScores, draws: int, rng: np.random.Generator) -> Array:
    """Draw how far the mean may lie from that of all speakers: Student's t with speakers − 1 degrees of freedom."""
    if not keys.speaker_error:
        return np.zeros(draws)
    return keys.speaker_error * rng.standard_t(max(keys.speakers - 1, 1), draws)
