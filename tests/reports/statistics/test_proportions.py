"""Exact intervals of a share, against quantiles of the beta distribution, which are the same in closed form."""

import pytest
from scipy import stats

from wrongkey.reports.statistics.proportions import exact_interval

COUNTS = [(hits, n) for n in (1, 2, 5, 30, 100, 1000) for hits in sorted({0, 1, n // 3, n // 2, n - 1, n})]


def beta_interval(hits: int, n: int, miss: float) -> tuple[float, float]:
    """Clopper and Pearson's ends, each of which misses with a probability of at most `miss`."""
    low = stats.beta.ppf(miss, hits, n - hits + 1) if hits else 0.0
    high = stats.beta.ppf(1 - miss, hits + 1, n - hits) if hits < n else 1.0
    return float(low), float(high)


@pytest.mark.parametrize(("hits", "n"), COUNTS)
def test_ends_are_quantiles_of_the_beta_distribution(hits: int, n: int) -> None:
    low, high = beta_interval(hits, n, 0.05)
    assert exact_interval(hits, n) == pytest.approx(beta_interval(hits, n, 0.025), rel=1e-7)
    assert exact_interval(hits, n, "greater") == pytest.approx((low, 1.0), rel=1e-7)
    assert exact_interval(hits, n, "less") == pytest.approx((0.0, high), rel=1e-7)


def test_known_values() -> None:
    """Of 10 trials with 2 successes: the table that Clopper and Pearson's method is usually checked with."""
    assert exact_interval(2, 10) == pytest.approx((0.02521, 0.55610), abs=5e-6)
