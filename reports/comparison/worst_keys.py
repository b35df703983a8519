"""The best wrong keys of two runs at the same number of keys.

The worst of many keys is worse than the worst of few by chance alone, so runs are compared by the expected worst of m
keys drawn from each, where m is the number of keys of the smaller run.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


def expected_least(values: Array, size: int) -> float:
    """The expected minimum of `size` of the `(n,)` values drawn without replacement; where size is n, their minimum."""
    return float(np.sort(values) @ rank_weights(len(values), size))


def rank_weights(count: int, size: int) -> Array:
    """Probability that the i-th smallest of n = `count` values is the smallest of m = `size` drawn ones.

    C(n − i, m − 1) / C(n, m), for i = 1 … n.
    """
    left = np.arange(count - 1, -1, -1)  # values larger than the i-th smallest
    enough = left >= size - 1
    weights = np.zeros(count)
    weights[enough] = np.exp(_log_binomial(left[enough], size - 1) - _log_binomial(np.array([count]), size))
    return np.asarray(weights / weights.sum())


def _log_binomial(n: NDArray[np.int_], k: int) -> Array:
    return np.asarray(special.gammaln(n + 1) - math.lgamma(k + 1) - special.gammaln(n - k + 1))
