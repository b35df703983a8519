"""Exact intervals of a share of keys or trials (Clopper and Pearson 1934, Biometrika 26:404)."""

from typing import Literal

from scipy import stats

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
    found = stats.binomtest(hits, n, alternative=side).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)
