"""When a violin is drawn for a distribution of scores, how much it is smoothed, and its outline."""

import numpy as np
from scipy.stats import gaussian_kde

from wrongkey.reports.statistics.key_statistics import FEW_KEYS, Array

SMOOTHED = 20_000  # scores that a density is made of


def has_density(values: Array) -> bool:
    """Whether scores `(keys,)` are enough for a density: `FEW_KEYS` or more, and not all the same."""
    low, high = float(values.min()), float(values.max())
    return len(values) >= FEW_KEYS and high - low > 1e-9 * max(1.0, abs(high))


def narrowing(values: Array) -> float:
    """The factor on Scott's bandwidth, 0 to 1, for scores `(keys,)` of which a few lie far from the others.

    The spread of the middle half stands for the standard deviation where a few far scores make that larger (Silverman
    1986, section 3.4.2), as the word error rates of runaway decoders do.
    """
    middle = float(np.subtract(*np.quantile(values, (0.75, 0.25)))) / 1.349  # the deviation of a normal distribution
    return min(1.0, middle / float(values.std(ddof=1))) if middle > 0 else 1.0


def outline(values: Array, points: int) -> tuple[Array, Array]:
    """The violin of scores `(keys,)`: `points` scores and the density there, 0 to 1; empty where there is none to draw.

    A density of more than `SMOOTHED` scores is that of as many quantiles of theirs, which look the same. The bandwidth
    is Scott's for all scores, narrowed, but half a step between the points at least: where most scores are equal, the
    points would miss them.
    """
    if not has_density(values):
        return np.empty(0), np.empty(0)
    some = values if len(values) <= SMOOTHED else np.quantile(values, np.linspace(0, 1, SMOOTHED))
    grid = np.linspace(values.min(), values.max(), points)
    bandwidth = max(narrowing(values) * len(values) ** -0.2 * values.std(ddof=1), (grid[1] - grid[0]) / 2)
    density = gaussian_kde(some, bw_method=bandwidth / some.std(ddof=1))(grid)
    return grid, density / density.max()
