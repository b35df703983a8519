"""The statistics of verdicts: against scipy's own tests, and on random keys, which must not be called broken."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.simulate_verdicts import Pool, power, words
from wrongkey.reports.attacks.decisions import (
    breaks,
    larger,
    median_interval,
    more_hits,
    share_interval,
    significant,
)
from wrongkey.reports.statistics.multiplicity import holm


@pytest.mark.parametrize(
    ("hits", "trials", "null_hits", "null_trials"), [(3, 10, 0, 100), (4, 10, 25, 99), (0, 5, 2, 9)]
)
def test_shares_are_compared_by_fishers_test(hits, trials, null_hits, null_trials):
    table = [[hits, trials - hits], [null_hits, null_trials - null_hits]]
    theirs = stats.fisher_exact(table, alternative="greater").pvalue
    assert more_hits(hits, trials, null_hits, null_trials) == pytest.approx(theirs)


def test_holm_corrects_from_the_smallest_p_on():
    """The example of Holm's step-down: 4 p, 3 p, 2 p, p, never falling."""
    corrected = holm(np.array([[0.01, 0.04, 0.03, 0.005], [0.5, 0.5, 0.5, 0.5]]))
    np.testing.assert_allclose(corrected, [[0.03, 0.06, 0.06, 0.02], [1.0, 1.0, 1.0, 1.0]])


def test_intervals_are_the_known_ones():
    assert share_interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert share_interval(14, 30) == pytest.approx((0.3023, 0.6386), abs=1e-4)
    assert share_interval(0, 0) == (0, 1)
    values = np.arange(1.0, 21.0)
    assert median_interval(values) == (6, 15)  # of 20 values the 6th and the 15th: 95.9 %
    assert median_interval(values[:6]) == (1, 6) and median_interval(values[:5]) == (-np.inf, np.inf)


def test_tendencies_need_an_order_and_know_ties():
    assert larger(np.array([5.0, 6.0, 7.0]), np.zeros(100) + np.arange(100) / 1000) < 1e-5
    assert larger(np.zeros(10), np.zeros(100)) > 0.4


def test_few_trials_decide_only_where_evidence_is_overwhelming():
    p = np.array([0.04, 0.04, 0.009, 0.009, 1e-9])
    trials = np.array([10, 9, 9, 3, 2])
    assert significant(p, trials).tolist() == [True, False, True, True, False]
    assert breaks(0.001, np.array([0.09, 0.11]), 30).tolist() == [False, True]


@pytest.mark.parametrize("scheme", ["shuffling", "flipping", "rom"])
@pytest.mark.parametrize("size", [3, 5, 10])
@pytest.mark.parametrize("cases", [1, 5, 30, 100])
def test_random_keys_are_not_called_broken(scheme, size, cases):
    """At most 5 % of runs; of 60 runs, 8 or more happen once in 100 where the true rate is 5 %."""
    pool = Pool.of(scheme, size, keys=2000)
    for trials in (3, 10):
        broken, weakened, _ = words(pool, 60, cases, trials, seed=1)
        assert broken.sum() <= 7 and weakened.sum() <= 7


def test_the_older_rule_called_small_keys_broken():
    pool = Pool.of("flipping", 3, keys=2000)
    _, _, older = words(pool, 60, 30, 10, seed=1)
    assert older.mean() > 0.5


def test_attacks_that_work_are_called_broken():
    assert power(1.0, 100, 3) == power(1.0, 100, 10) == pytest.approx(1)
    assert power(0.5, 30, 30) > 0.99 and power(1.0, 1, 2) == 0
