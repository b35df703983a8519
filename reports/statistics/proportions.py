"""Exact intervals of a share of keys or trials (Clopper and Pearson 1934, Biometrika 26:404)."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Side = Literal["two-sided", "less", "greater"]


def exact_interval(hits: int, n: int, side: Side = "two-sided") -> tuple[float, float]:
    """95 % interval of the share behind `hits` of `n`.

    Parameters
    ----------
    hits, n : int
        0 ≤ hits ≤ n, n ≥ 1.
    side : {"two-sided", "less", "greater"}
        "less" gives an upper bound alone (the lower one is 0), "greater" a lower bound alone (the upper one is 1).

    Returns
    -------
    tuple of float
        Lower and upper end, 0 to 1.

    References
    ----------
    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26:404, 1934.

    Examples
    --------
    >>> [round(end, 3) for end in exact_interval(0, 100, "less")]  # the rule of three
    [0.0, 0.03]
    """
    low, high = _ends(np.asarray(hits, dtype=np.float64), n, 0.025 if side == "two-sided" else 0.05)
    return 0.0 if side == "less" else float(low), 1.0 if side == "greater" else float(high)


def exact_band(hits: ArrayLike, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`exact_interval` of many numbers of hits at once, each with 95 % of its own.

    Parameters
    ----------
    hits : array_like
        Numbers of hits `(k,)`, 0 to n.
    n : int
        Of how many, 1 or more.

    Returns
    -------
    tuple of ndarray
        Lower and upper ends `(k,)`, 0 to 1.

    Examples
    --------
    >>> low, high = exact_band([0, 17], 1000)
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.0, 0.0099], [0.0037, 0.0271])
    """
    return _ends(np.asarray(hits, dtype=np.float64), n, 0.025)


def _ends(hits: NDArray[np.float64], n: int, miss: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends that each miss the share behind some hits with that probability at most."""
    with np.errstate(invalid="ignore"):  # of no hits, and of nothing but hits
        low, high = special.betaincinv(hits, n - hits + 1, miss), special.betaincinv(hits + 1, n - hits, 1 - miss)
    return np.where(hits > 0, low, 0.0), np.where(hits < n, high, 1.0)
