"""When a violin is drawn for a distribution of scores, and how much it is smoothed."""

import numpy as np

from wrongkey.reports.statistics.key_statistics import FEW_KEYS, Array


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
