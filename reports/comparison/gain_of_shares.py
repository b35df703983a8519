"""The gain in a share of keys or trials, by exact methods: fewer weak keys, fewer successes of an attack.

Bounds of a single share are Clopper and Pearson's (1934, Biometrika 26:404). Those of a difference come from them by
the method of variance estimates recovery (Zou & Donner 2008, Statistics in Medicine 27:1693): the distances from each
estimate to its bound add up like standard errors. Where both runs have no hit, the bound is Clopper and Pearson's of B
alone. p-values are Fisher's, of paired keys McNemar's exact ones, and binomial where the other run tried every key.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from wrongkey.reports.comparison.noninferiority import Gain, exact
from wrongkey.reports.statistics.proportions import exact_interval

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Share:
    """`hits` of `n` keys or trials; exhaustive: there are no others."""

    hits: int
    n: int
    exhaustive: bool = False

    @property
    def value(self) -> float:
        """The share itself, 0 to 1."""
        return self.hits / self.n

    @property
    def low(self) -> float:
        """One-sided 95 % lower bound."""
        return self.value if self.exhaustive else exact_interval(self.hits, self.n, "greater")[0]

    @property
    def high(self) -> float:
        """One-sided 95 % upper bound."""
        return self.value if self.exhaustive else exact_interval(self.hits, self.n, "less")[1]


def gain_of_shares(b: Share, a: Share) -> Gain:
    """How much smaller B's share is than A's, of independent samples: share of A minus share of B, −1 to 1."""
    if b.exhaustive and a.exhaustive:
        return exact(a.value - b.value)
    return _gain(b, a, 0.0, _independent_p(b, a))


def paired_gain_of_shares(b: Flags, a: Flags) -> Gain:
    """The same for a sample of keys that both runs tried, (keys,) each: only keys that differ count."""
    only_b, only_a = Share(int((b & ~a).sum()), len(b)), Share(int((a & ~b).sum()), len(a))
    differing = only_b.hits + only_a.hits
    p_worse = float(stats.binomtest(only_b.hits, differing, alternative="greater").pvalue) if differing else 1.0
    odds = [share.value / (1 - share.value) if share.value < 1 else math.inf for share in (only_b, only_a)]
    correlation = -math.sqrt(odds[0] * odds[1]) if min(odds) else 0.0  # of two cells of a multinomial distribution
    return _gain(only_b, only_a, correlation, p_worse)


def _gain(b: Share, a: Share, correlation: float, p_worse: float) -> Gain:
    low = _apart(b.high - b.value, a.value - a.low, correlation)
    high = _apart(b.value - b.low, a.high - a.value, correlation)
    value = a.value - b.value
    return Gain(value, value - low, value + high, p_worse)


def _apart(b: float, a: float, correlation: float) -> float:
    """Distance from a difference to its bound, from those of the two estimates."""
    return math.sqrt(max(b**2 + a**2 - 2 * correlation * a * b, 0.0))


def _independent_p(b: Share, a: Share) -> float:
    """One-sided p-value for B's share being greater."""
    if a.exhaustive:
        return float(stats.binomtest(b.hits, b.n, a.value, alternative="greater").pvalue)
    if b.exhaustive:
        return float(stats.binomtest(a.hits, a.n, b.value, alternative="less").pvalue)
    table = [[b.hits, b.n - b.hits], [a.hits, a.n - a.hits]]
    return float(stats.fisher_exact(table, alternative="greater").pvalue)
