"""Shapes of distributions: a density for many scores, places side by side for few."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from wrongkey.reports.statistics.key_statistics import FEW_KEYS, Array

DENSITY_POINTS = 256


def density(values: Array) -> tuple[Array, Array] | None:
    """Scores from the smallest to the largest and their Gaussian kernel density, largest = 1.

    Scott's bandwidth, with the spread of the middle half where a few far scores make the standard deviation larger
    than that (Silverman 1986, section 3.4.2), as word error rates of runaway decoders do. None for fewer than
    `FEW_KEYS` values, or where all are the same.
    """
    low, high = float(values.min()), float(values.max())
    if len(values) < FEW_KEYS or high - low <= 1e-9 * max(1.0, abs(high)):
        return None
    grid = np.linspace(low, high, DENSITY_POINTS)
    middle = float(np.subtract(*np.quantile(values, (0.75, 0.25)))) / 1.349  # the deviation, were they normal
    narrow = min(1.0, middle / float(values.std(ddof=1))) if middle > 0 else 1.0
    heights = np.asarray(gaussian_kde(values, bw_method=narrow * len(values) ** -0.2)(grid))
    return grid, heights / heights.max()


def spread(values: Array, resolution: float) -> NDArray[np.float64]:
    """Sideways places (−1 to 1) for dots, so that scores closer than `resolution` do not hide each other."""
    order = np.argsort(values, kind="stable")
    places = np.zeros(len(values))
    start = 0
    for stop in range(1, len(values) + 1):
        if stop == len(values) or values[order[stop]] - values[order[start]] > resolution:
            group = order[start:stop]
            places[group] = (np.arange(len(group)) - (len(group) - 1) / 2) * 0.22
            start = stop
    return np.clip(places, -1.0, 1.0)
