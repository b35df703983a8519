"""Intervals over a sample of keys that keep their level where keys are few (docs/statistics.md, "Intervals over keys").

All are for 95 % and take samples `(…, keys)`, so that the simulation that checked them
(benchmarks/simulate_intervals.py) runs the same code as a report. Quantiles come from scipy.special: every sweep ends
with them, and importing scipy.stats takes half a second and more.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
MISS = 0.025  # probability of a miss at each end
FEWEST_FOR_VARIANCE = 100  # keys; with fewer the interval covers less than 0.9 of skewed distributions


def mean_interval(values: Array) -> tuple[Array, Array]:
    """Interval for a mean: of Student's interval and Hall's, the end that lies farther out on each side.

    Hall transforms Student's statistic by the sample's skewness, which moves the interval towards the long tail. A
    small sample often does not show its tail; then Student's end is the better one.

    Parameters
    ----------
    values : ndarray
        Samples `(…, n)`, n ≥ 2.

    Returns
    -------
    tuple of ndarray
        Lower and upper ends `(…)`. NaN where all values of a sample tie: their spread says nothing, and an interval
        without width would claim certainty.

    References
    ----------
    P. Hall, "On the removal of skewness by transformation", J. R. Statist. Soc. B 54:221, 1992.
    """
    count = values.shape[-1]
    mean, sd = values.mean(-1), _untied(values, values.std(-1, ddof=1))
    error = sd / math.sqrt(count)
    t = float(special.stdtrit(count - 1, 1 - MISS))
    skew = _skewness(values) / math.sqrt(count)
    low = mean - np.maximum(t, _untransformed(t, skew)) * error
    high = mean + np.maximum(t, -_untransformed(-t, skew)) * error
    return low, high


def quantile_ranks(count: int, probability: float) -> tuple[int, int] | None:
    """Ranks of the two order statistics that enclose a quantile.

    Exact for every distribution: the number of values below the quantile is binomial, and each end misses with a
    probability of at most 0.025.

    Parameters
    ----------
    count : int
        Size of the sample.
    probability : float
        Of the quantile, such as 0.5 for the median.

    Returns
    -------
    tuple of int or None
        Ranks, from 1; None where no two order statistics do, as for the median of fewer than 6 values.

    Examples
    --------
    >>> quantile_ranks(100, 0.5), quantile_ranks(5, 0.5)
    ((40, 61), None)
    """
    low = _binomial_quantile(MISS, count, probability)  # P(fewer than `low` values below) is at most MISS
    high = _binomial_quantile(1 - MISS, count, probability) + 1  # so is P(at least `high` values below)
    return (low, high) if low >= 1 and high <= count else None


def quantile_interval(values: Array, probability: float) -> tuple[Array, Array] | None:
    """Ends `(…)` of the interval for a quantile of `(…, n)` values by `quantile_ranks`."""
    ranks = quantile_ranks(values.shape[-1], probability)
    if ranks is None:
        return None
    ordered = np.sort(values, axis=-1)
    return ordered[..., ranks[0] - 1], ordered[..., ranks[1] - 1]


def variance_interval(values: Array) -> tuple[Array, Array]:
    """Bonett's interval for a variance, of any distribution with a kurtosis.

    Normal on the logarithm, with the kurtosis taken about a trimmed mean. Reliable from `FEWEST_FOR_VARIANCE` keys on.

    Parameters
    ----------
    values : ndarray
        Samples `(…, n)`, n ≥ 5.

    Returns
    -------
    tuple of ndarray
        Lower and upper ends `(…)`; NaN where all values of a sample tie.

    References
    ----------
    D. G. Bonett, "Approximate confidence interval for standard deviation of nonnormal distributions", Computational
    Statistics & Data Analysis 50:775, 2006.
    """
    count = values.shape[-1]
    z = float(special.ndtri(1 - MISS))
    centre = _trimmed_mean(values, 1 / (2 * math.sqrt(count - 4))) if count > 5 else np.median(values, -1)
    squares = ((values - values.mean(-1, keepdims=True)) ** 2).sum(-1)
    fourth = ((values - np.expand_dims(centre, -1)) ** 4).sum(-1)
    with np.errstate(invalid="ignore"):
        kurtosis = np.where(squares > 0, count * fourth / squares**2, 0.0)
    error = np.sqrt(np.maximum(kurtosis - (count - 3) / count, 0.0) / (count - 1))
    small = count / (count - z)
    middle = _untied(values, small * squares / (count - 1))
    return middle * np.exp(-z * small * error), middle * np.exp(z * small * error)


def picked_interval(value: Array, low: Array, high: Array, picked: int, lowest: bool) -> tuple[Array, Array]:
    """Correct a key's own 95 % interval for the key having been picked as the best of `picked` keys.

    A key that was picked for the lowest score (or the highest) was lucky more often than not: on other speakers the
    same key scores higher. The end on that side is moved out until it holds for all keys at once (Bonferroni, normal
    errors, any dependence between keys); luck is no reason to move the other end.
    """
    wider = float(special.ndtri(MISS / picked) / special.ndtri(MISS))
    if lowest:
        return low, value + wider * (high - value)
    return value - wider * (value - low), high


def _binomial_quantile(level: float, count: int, probability: float) -> int:
    """The smallest number of successes in `count` that at least `level` of all draws do not exceed."""
    below = max(math.ceil(special.bdtrik(level, count, probability)) - 1, 0)  # or one more, by rounding
    return below if special.bdtr(below, count, probability) >= level else below + 1


def _trimmed_mean(values: Array, share: float) -> Array:
    """The mean of `(…, n)` values without that share of them at each end."""
    cut = int(share * values.shape[-1])
    return np.asarray(np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut].mean(-1))


def _untied(values: Array, spread: Array) -> Array:
    """`spread` `(…)` of samples `(…, n)`, NaN where all of a sample's values are the same."""
    return np.where(values.min(-1) == values.max(-1), np.nan, spread)


def _skewness(values: Array) -> Array:
    """Third central moment over the cube of the standard deviation; 0 where all values are the same."""
    centred = values - values.mean(-1, keepdims=True)
    second = (centred**2).mean(-1)
    tiny = second <= 1e-24 * np.maximum(1.0, np.abs(values).max(-1)) ** 2  # rounding
    return np.asarray(np.where(tiny, 0.0, (centred**3).mean(-1) / np.where(tiny, 1.0, second) ** 1.5))


def _untransformed(quantile: float, skew: Array) -> Array:
    """The value of Student's statistic t at which Hall's g(t) = t + a t²/3 + a² t³/27 + a/6 is `quantile`.

    a: the skewness over √n. g is ((1 + a t / 3)³ - 1) / a + a/6, which can be inverted.
    """
    flat = np.abs(skew) < 1e-9
    a = np.where(flat, 1.0, skew)
    return np.asarray(np.where(flat, quantile, 3 / a * (np.cbrt(1 + a * (quantile - a / 6)) - 1)))
