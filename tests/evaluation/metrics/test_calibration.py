"""PAV, Cllr and ZEBRA against slow re-derivations, scikit-learn, integrals and values in closed form."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from wrongkey.evaluation.metrics.affine import RIDGE, calibrated_cllr, fit, halves_of
from wrongkey.evaluation.metrics.calibration import cllr, cllr_min, pools, pools_of_keys
from wrongkey.evaluation.metrics.disclosure import MOST, category, expected_disclosure, worst_disclosure

Trials = tuple[NDArray[np.float64], NDArray[np.bool_]]


@st.composite
def tied_trials(draw: st.DrawFn) -> Trials:
    """Few distinct scores, both kinds of trials."""
    size = draw(st.integers(2, 30))
    scores = draw(st.lists(st.integers(-4, 4), min_size=size, max_size=size))
    kinds = draw(st.lists(st.booleans(), min_size=size - 2, max_size=size - 2))
    return np.array(scores, dtype=np.float64), np.array([True, False, *kinds])


def slow_pools(scores: NDArray[np.float64], target: NDArray[np.bool_], laplace: bool) -> list[list[Fraction]]:
    """[targets, trials, share] of every pool, by pooling neighbours one by one; Laplace's trials stay in it."""
    pooled: list[list[Fraction]] = []
    groups = [(target[scores == s].sum(), (scores == s).sum()) for s in np.unique(scores)]
    for t, n in [(1, 2), *groups, (1, 2)] if laplace else groups:
        pooled.append([Fraction(int(t)), Fraction(int(n))])
        while len(pooled) > 1 and pooled[-2][0] / pooled[-2][1] >= pooled[-1][0] / pooled[-1][1]:
            last = pooled.pop()
            pooled[-1] = [a + b for a, b in zip(pooled[-1], last, strict=True)]
    return pooled


@given(tied_trials())
def test_pools_are_those_of_pooling_by_hand(trials: Trials) -> None:
    scores, target = trials
    slow, found = slow_pools(scores, target, laplace=False), pools(scores, target)
    odds = Fraction(int(target.sum()), int((~target).sum()))
    assert found.targets.tolist() == [t for t, _ in slow]
    assert found.others.tolist() == [n - t for t, n in slow]
    finite = [t / (n - t) / odds if n > t else np.inf for t, n in slow]
    np.testing.assert_allclose(found.ratio, [float(ratio) for ratio in finite])


@given(tied_trials())
def test_laplace_adds_a_trial_of_each_kind_at_both_ends(trials: Trials) -> None:
    """The ratio of every trial is that of the pool it is in, the added trials included; they are in no count."""
    scores, target = trials
    found = pools(scores, target, laplace=True)
    odds = target.sum() / (~target).sum()
    slow = slow_pools(scores, target, laplace=True)
    ends = [sum(n for _, n in slow[: i + 1]) - 2 for i in range(len(slow))]  # trials up to each pool
    where = [next(i for i, end in enumerate(ends) if end >= (scores <= s).sum()) for s in scores]
    expected = [float(slow[i][0] / (slow[i][1] - slow[i][0])) / odds for i in where]
    assert np.isfinite(found.ratio).all() and (found.ratio > 0).all()
    assert found.targets.sum() == target.sum() and found.others.sum() == (~target).sum()
    assert worst_disclosure(found) == pytest.approx(np.abs(np.log10(expected)).max())


@given(tied_trials())
def test_least_cllr_is_that_of_scikit_learns_isotonic_regression(trials: Trials) -> None:
    scores, target = trials
    share = IsotonicRegression().fit_transform(scores, target.astype(float))
    with np.errstate(divide="ignore"):
        llr = np.log(share) - np.log(1 - share) - np.log(target.sum() / (~target).sum())
    expected = (np.log2(1 + np.exp(-llr[target])).mean() + np.log2(1 + np.exp(llr[~target])).mean()) / 2
    assert cllr_min(pools(scores, target)) == pytest.approx(expected, abs=1e-9)


@given(tied_trials())
def test_the_disclosure_is_the_integral_between_both_entropies(trials: Trials) -> None:
    scores, target = trials
    found = pools(scores, target)

    def gap(prior: float) -> float:
        """Entropy of a prior less the empirical cross-entropy after the score, in bits."""
        spent = 0.0
        for t, o, ratio in zip(*found, strict=True):
            same = 1.0 if np.isinf(ratio) else ratio * prior / (ratio * prior + 1 - prior)
            spent -= prior * t / target.sum() * np.log2(same) if t else 0
            spent -= (1 - prior) * o / (~target).sum() * np.log2(1 - same) if o else 0
        return float(-prior * np.log2(prior) - (1 - prior) * np.log2(1 - prior) - spent)

    assert expected_disclosure(found) == pytest.approx(quad(gap, 0, 1)[0], abs=1e-6)


def test_scores_that_say_all_and_scores_that_say_nothing() -> None:
    target = np.repeat([False, True], 1000)
    apart, alike = (pools(scores, target) for scores in (np.arange(2000.0), np.zeros(2000)))
    assert cllr_min(apart) == 0 and cllr_min(alike) == pytest.approx(1)
    assert expected_disclosure(apart) == pytest.approx(MOST) == pytest.approx(0.7213, abs=1e-4)  # ZEBRA's upper end
    assert expected_disclosure(alike) == pytest.approx(0, abs=1e-15)
    assert worst_disclosure(pools(np.zeros(2000), target, laplace=True)) == pytest.approx(0, abs=1e-12)
    laplace = worst_disclosure(pools(np.arange(2000.0), target, laplace=True))
    assert laplace == pytest.approx(np.log10(1001))  # 1,001 of one kind to one added trial of the other
    assert cllr(np.zeros(5), np.zeros(7)) == pytest.approx(1)
    assert cllr(np.full(5, -9.0), np.full(5, 9.0)) == pytest.approx(9 / np.log(2), rel=1e-3)  # misleading: unbounded


def test_pools_of_many_keys_are_those_of_each() -> None:
    rng = np.random.default_rng(1)
    target = rng.random(200) < 0.3
    scores = rng.integers(0, 40, (3, 200)) + 10 * target
    for row, both in zip(scores, pools_of_keys(scores, target), strict=True):
        for laplace, found in enumerate(both):
            for ours, alone in zip(found, pools(row, target, bool(laplace)), strict=True):
                np.testing.assert_array_equal(ours, alone)


@pytest.mark.parametrize(
    ("worst", "letter"),
    [(0, "0"), (1e-9, "A"), (1, "A"), (1.1, "B"), (2, "B"), (3.9, "C"), (4.5, "D"), (5.5, "E"), (7, "F")],
)
def test_categories_are_those_of_zebra(worst: float, letter: str) -> None:
    assert category(worst) == letter


@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.5, 12.0])  # misleading, nothing, usual, separated
def test_the_calibration_is_scikit_learns_logistic_regression(shift: float) -> None:
    rng = np.random.default_rng(2)
    target = rng.random(3000) < 0.2
    scores = 0.3 + 0.1 * (rng.standard_normal(3000) + shift * target)
    spread = scores.std()
    weight = 0.5 / np.where(target, target.sum(), (~target).sum())
    theirs = LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=1000)
    theirs.fit(((scores - scores.mean()) / spread)[:, None], target, sample_weight=weight)
    slope = theirs.coef_[0, 0] / spread
    assert fit(scores, target) == pytest.approx(
        (slope, theirs.intercept_[0] - slope * scores.mean()), rel=1e-3, abs=1e-3
    )


def test_halves_share_no_speaker_and_calibration_approaches_the_gaussian_truth() -> None:
    rng = np.random.default_rng(3)
    speakers = rng.integers(0, 50, (40_000, 2))
    speakers[::2, 1] = speakers[::2, 0]
    target = speakers[:, 0] == speakers[:, 1]
    one, other = halves_of(speakers)
    assert not np.intersect1d(speakers[one], speakers[other]).size and not (one & other).any()
    scores = (rng.standard_normal((2, 40_000)) + np.array([[0.0], [2.0]]) * target) * 0.1
    llr = [20 * rows - 2 for rows in (scores[1, target], scores[1, ~target])]  # of N(2, 1) to N(0, 1), at 0.1 a unit
    assert calibrated_cllr(scores, target, (one, other)) == pytest.approx([1, cllr(*llr)], abs=0.02)
