"""Decisions over trials: when a share of successes is more than chance, and large enough to matter.

An attack is compared with the *null attack*, which draws keys of the scheme at random for the same victims. Both are
scored alike, and both are granted the sign. Shares are compared by Fisher's exact test (one-sided; Fisher 1922),
measured values by the Mann-Whitney test (one-sided; Mann and Whitney 1947), and the p-values of all cases of a run are
corrected together (Holm 1979), so that a run of random keys is called broken or weakened with a probability of at most
`ALPHA`. docs/statistics.md has the simulation.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from wrongkey.reports.statistics.intervals import quantile_interval

Array = NDArray[np.float64]

ALPHA = 0.05  # of a whole run: how often random keys may be taken for a break
LEAST_SHARE = 0.10  # a key in ten: the least lower bound of the share of keys that breaks a scheme
ENOUGH_TRIALS = 10  # below which only overwhelming evidence decides
FEWEST_TRIALS, OVERWHELMING = 3, 0.01  # of overwhelming evidence: least trials, and p after Holm's correction
ALWAYS = 0.5  # share of random keys from which no attack is needed; tested against where none were measured


def more_hits(hits: Any, trials: Any, null_hits: Any, null_trials: Any) -> Array:
    """Fisher's exact test that hits of trials are more than those of the null attack: p. Arrays broadcast."""
    hits, trials = np.asarray(hits), np.asarray(trials)
    p = stats.hypergeom.sf(hits - 1, trials + null_trials, hits + null_hits, trials)
    return np.asarray(p, dtype=np.float64)


def more_than(share: float, hits: int, trials: int) -> float:
    """Exact binomial test that hits of trials are more than a known share: p."""
    return float(stats.binom.sf(hits - 1, trials, share))


def larger(values: Array, null: Array) -> Array:
    """Mann-Whitney test that values `(..., n)` tend to be larger than those of the null attack `(..., B)`: p.

    Exact for few values without ties, else by the normal approximation with ties corrected.
    """
    return np.asarray(stats.mannwhitneyu(values, null, alternative="greater", axis=-1).pvalue, dtype=np.float64)


def share_interval(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927), 0 to 1; the whole range where there were no trials."""
    if trials == 0:
        return 0.0, 1.0
    found = stats.binomtest(hits, trials).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def median_interval(values: Array) -> tuple[float, float]:
    """95 % interval of the median by order statistics, exact for any distribution; infinite for fewer than six."""
    low, high = quantile_interval(values, 0.5) or (-np.inf, np.inf)
    return float(low), float(high)


def significant(p: Any, trials: Any) -> NDArray[np.bool_]:
    """Whether corrected p-values decide, given the number of trials."""
    trials = np.asarray(trials)
    limit = np.where(trials >= ENOUGH_TRIALS, ALPHA, np.where(trials >= FEWEST_TRIALS, OVERWHELMING, -1.0))
    return np.asarray(p <= limit, dtype=bool)


def breaks(p: Any, low: Any, trials: Any) -> NDArray[np.bool_]:
    """Whether a share of successes with this lower bound and corrected p breaks a scheme."""
    return np.asarray(significant(p, trials) & (np.asarray(low) >= LEAST_SHARE), dtype=bool)
