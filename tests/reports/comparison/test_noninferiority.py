"""Gains, their bounds and decisions: exact sizes where they can be enumerated, known answers elsewhere."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from wrongkey.reports.comparison.gain_of_means import KeyScores, gain_of_means, mean_draws
from wrongkey.reports.comparison.gain_of_shares import Share, gain_of_shares, paired_gain_of_shares
from wrongkey.reports.comparison.noninferiority import Gain, decide, exact, rejected

SURE, SLIGHT, UNKNOWN = Gain(0.5, 0.1, 1.0, 0.9), Gain(-0.5, -0.9, -0.1, 0.01), Gain(0.0, -9.0, 9.0, 0.5)


def scored(values: object, worst: float = 8.0, best: float = 50.0, **more: Any) -> KeyScores:
    return KeyScores(np.asarray(values, dtype=float), worst, best, **more)


def test_shown_needs_every_gain_and_worse_one() -> None:
    bad = Gain(-5.0, -6.0, -4.0, 0.001)
    assert decide([SURE, SURE], [0, 0]) == ("shown", ["shown", "shown"])
    assert decide([SURE, UNKNOWN], [0, 1])[0] == "undecided"
    assert decide([SURE, UNKNOWN, bad], [0, 1, 1]) == ("worse", ["shown", "undecided", "worse"])
    assert decide([], [])[0] == "undecided"


def test_what_the_margin_allows_is_never_worse() -> None:
    assert decide([SLIGHT], [1.0])[0] == "shown"
    assert decide([SLIGHT], [0.5])[0] == "worse"


def test_alarms_are_corrected_for_their_number() -> None:
    assert rejected([0.01, 0.04, 0.03]) == [True, False, False]
    assert rejected([0.01, 0.02, 0.03]) == [True, True, True]
    assert decide([SLIGHT] + [UNKNOWN] * 5, [0.5] * 6)[0] == "undecided"
    assert decide([exact(-0.1)] + [UNKNOWN] * 50, [0.05] * 51)[0] == "worse"


def test_the_bound_of_equal_keys_is_the_rule_of_three() -> None:
    """60 keys at 25 %: with 95 % confidence fewer than 4.9 % of all keys work like plain, 8 %."""
    keys = mean_draws(scored(np.full(60, 25.0)), 20_000, np.random.default_rng(0))
    bound = float(np.quantile(keys.at(8.0), 0.05))
    assert bound == pytest.approx(25 - 17 * (1 - 0.05 ** (1 / 60)), abs=0.03)


def test_with_many_keys_the_bounds_of_means_are_students() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(25, 4, 4000), rng.normal(26, 2, 3000)
    gain = gain_of_means(scored(b), scored(a), paired=False)
    welch = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.9)
    assert (gain.low, gain.high) == pytest.approx((welch.low, welch.high), abs=0.06)
    paired = gain_of_means(scored(a + 1), scored(a), paired=True)
    assert paired.value == pytest.approx(1) and 0.9 < paired.low < paired.high < 1.01


def test_few_keys_without_a_weak_one_show_nothing_of_weak_ones() -> None:
    """Student's bound, blind to what was not seen, would show a gain of at least 1.9."""
    a, b = np.full(10, 25.0), 27 + 0.1 * np.arange(10) / 9
    gain = gain_of_means(scored(b), scored(a), paired=False)
    assert gain.value == pytest.approx(2.05) and gain.low < -2


def test_every_key_is_exact_and_speakers_are_not() -> None:
    a, b = scored([10, 20, 30], exhaustive=True), scored([10, 20, 27], exhaustive=True)
    assert gain_of_means(b, a, paired=True) == exact(-1.0) == Gain(-1.0, -1.0, -1.0, 0.0)
    other = scored([10, 20, 27], exhaustive=True, speaker_error=1.0, speakers=20)
    gain = gain_of_means(other, a, paired=True, draws=20_000)
    assert gain.low == pytest.approx(-1 - stats.t.ppf(0.95, 19), abs=0.05)
    assert gain.high == pytest.approx(-1 + stats.t.ppf(0.95, 19), abs=0.05)


@pytest.mark.parametrize("sizes", [(100, 100), (1000, 100), (100, 1000), (30, 150)])
def test_the_size_of_the_test_of_shares_by_enumeration(sizes: tuple[int, int]) -> None:
    """Every pair of counts, with B's true share exactly 3 % above A's: shown in at most 5 % (0.1 % for rounding)."""
    n_a, n_b = sizes
    margin = 0.03
    most_b = [count for count in range(n_b + 1) if Share(count, n_b).value < 0.25]
    most_a = [count for count in range(n_a + 1) if Share(count, n_a).value < 0.25]
    bounds_b = [(Share(count, n_b).value, Share(count, n_b).high) for count in most_b]
    bounds_a = [(Share(count, n_a).value, Share(count, n_a).low) for count in most_a]
    shown = np.array(
        [[(a - b) - np.hypot(high - b, a - low) >= -margin for b, high in bounds_b] for a, low in bounds_a]
    )
    for share in (0.0, 0.005, 0.01, 0.02, 0.05, 0.1):
        of_a, of_b = stats.binom.pmf(most_a, n_a, share), stats.binom.pmf(most_b, n_b, share + margin)
        assert of_a @ shown @ of_b <= 0.051
    for a, b in ((0, 0), (1, 0), (0, 1), (5, 3)):  # and the enumerated bound is the one of the code
        assert gain_of_shares(Share(b, n_b), Share(a, n_a)).shown(margin) == shown[a, b]


def test_a_hundred_keys_without_a_weak_one_rule_out_three_percent() -> None:
    none = Share(0, 100)
    assert gain_of_shares(none, none).shown(0.03)
    assert not gain_of_shares(Share(0, 98), none).shown(0.03)
    assert not gain_of_shares(Share(1, 100), none).shown(0.03)


def test_shares_of_all_keys_are_exact_and_beside_a_sample_they_are_known() -> None:
    every = Share(1, 3, exhaustive=True)
    assert gain_of_shares(Share(2, 3, exhaustive=True), every) == exact(1 / 3 - 2 / 3)
    gain = gain_of_shares(Share(60, 100), every)
    assert gain.p_worse == stats.binomtest(60, 100, 1 / 3, alternative="greater").pvalue
    assert gain.low == pytest.approx(1 / 3 - stats.beta.ppf(0.95, 61, 40))
    assert gain_of_shares(every, Share(60, 100)).p_worse > 0.99


def test_paired_shares_count_the_keys_that_differ() -> None:
    flags = np.arange(200) < 100
    more = np.arange(200) < 110
    assert paired_gain_of_shares(flags, flags).shown(0.03)
    gain = paired_gain_of_shares(more, flags)
    assert gain.p_worse == pytest.approx(0.5**10) and gain.value == pytest.approx(-0.05)
    assert gain_of_shares(Share(110, 200), Share(100, 200)).p_worse > 0.1


def test_paired_shares_hold_their_level() -> None:
    """2,000 samples of 150 keys, of which 20 % are weak in A alone and 23 % in B alone."""
    rng = np.random.default_rng(2)
    kind = rng.random((2000, 150))
    found = [paired_gain_of_shares((u < 0.23), (u > 0.8)).shown(0.03) for u in kind]
    assert np.mean(found) < 0.06
