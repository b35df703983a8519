"""Exact intervals of a share, against those that scipy finds by its own way."""

import pytest
from scipy import stats

from wrongkey.reports.statistics.proportions import Side, exact_interval

COUNTS = [(hits, n) for n in (1, 2, 5, 30, 100, 1000) for hits in sorted({0, 1, n // 3, n // 2, n - 1, n})]


@pytest.mark.parametrize(("hits", "n"), COUNTS)
@pytest.mark.parametrize("side", ["two-sided", "less", "greater"])
def test_ends_are_those_of_a_binomial_test(hits: int, n: int, side: Side) -> None:
    theirs = stats.binomtest(hits, n, alternative=side).proportion_ci(0.95, method="exact")
    assert exact_interval(hits, n, side) == pytest.approx((theirs.low, theirs.high), rel=1e-7)


def test_known_values() -> None:
    """Of 10 trials with 2 successes: the table that Clopper and Pearson's method is usually checked with."""
    assert exact_interval(2, 10) == pytest.approx((0.02521, 0.55610), abs=5e-6)
