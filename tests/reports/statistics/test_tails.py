"""The tail beyond the keys tried: against scipy's maximum likelihood and known tails, and where it must be silent."""

import math

import numpy as np
import pytest
from scipy import stats

from tests.reports.statistics.test_key_statistics import MakeRun
from wrongkey.keys.volume import log10_guesses
from wrongkey.reports.metrics import get_metric
from wrongkey.reports.runs import load_run
from wrongkey.reports.statistics import tails
from wrongkey.reports.statistics.key_statistics import summarise
from wrongkey.reports.statistics.tails import FACTORS, _mean_log, fit_tail, tail_table, zhang_stephens

EER, ACCURACY = get_metric("eer"), get_metric("accuracy")


@pytest.mark.parametrize("keys", [60, 1_000, 10_000])
@pytest.mark.parametrize("decimals", [1, 9])
def test_fits_do_not_depend_on_how_many_samples_are_held_at_once(
    keys: int, decimals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = np.round(10 + 40 * np.random.default_rng(keys).beta(3, 2, keys), decimals)
    chunked = fit_tail(scores, 7.9, EER)
    monkeypatch.setattr(tails, "_VALUES", 500 * 1_000_000 if keys < 10_000 else 7_000_000)
    assert chunked is not None and repr(fit_tail(scores, 7.9, EER)) == repr(chunked)  # to the last bit


def test_fits_are_those_of_whole_samples_drawn_at_once() -> None:
    """As they were before samples were drawn a few at a time."""
    gains = -np.round(10 + 40 * np.random.default_rng(4).beta(3, 2, 3_000), 2)
    drawn = np.random.default_rng(0).integers(3_000, size=(tails.RESAMPLES, 3_000))
    whole = np.sort(gains[drawn], axis=1)[:, -301:]
    np.testing.assert_array_equal(tails._resampled_top(gains, tails.SHARE, seed=0), whole)


def test_the_nearest_of_many_keys_are_drawn_alone_as_bootstrap_samples_hold_them() -> None:
    gains = np.random.default_rng(1).exponential(3, 4_000)
    whole = tails._resampled_top(gains, tails.SHARE, seed=1)
    alone = tails._drawn_top(gains, 400, np.random.default_rng(2))
    assert alone.shape == whole.shape and (np.diff(alone, axis=1) >= 0).all() and np.isin(alone, gains).all()
    for rank in (0, 200, 399, 400):
        assert stats.ks_2samp(whole[:, rank], alone[:, rank], method="asymp").pvalue > 0.01
    assert np.corrcoef(alone[:, 0], alone[:, 200])[0, 1] == pytest.approx(
        np.corrcoef(whole[:, 0], whole[:, 200])[0, 1], abs=0.1
    )


def test_of_many_keys_the_nearest_thousand_are_fitted() -> None:
    """A hundred thousand EERs below 40, one in exp(12) of which comes within a point of 3."""
    scores = 40 - np.random.default_rng(2).exponential(3, 100_000)
    tail = fit_tail(scores, 3.0, EER)
    assert tail is not None and tail.exceedances == 1_000 and not tail.warning
    assert tail.threshold == pytest.approx(np.sort(scores)[999:1001].mean())
    near = tail.guesses[0]
    assert near.hits == 0 and near.low < math.exp(12) < near.high


@pytest.mark.parametrize("shape", [-0.4, 0.0, 0.3])
def test_the_fit_agrees_with_maximum_likelihood(shape: float) -> None:
    drawn = np.sort(stats.genpareto.rvs(shape, scale=2, size=(12, 500), random_state=1), axis=1)
    shapes, scales = zhang_stephens(drawn)
    theirs = np.array([stats.genpareto.fit(sample, floc=0) for sample in drawn])
    np.testing.assert_allclose(shapes, theirs[:, 0], atol=0.05)
    np.testing.assert_allclose(scales, theirs[:, 2], rtol=0.06)


def test_guess_numbers_are_those_of_the_distribution() -> None:
    """Errors of 40 - an exponential of mean 3: within 1 point of 18 is one key in exp(7), about 1,100."""
    scores = 40 - np.random.default_rng(2).exponential(3, 1000)
    tail = fit_tail(scores, 18.0, EER)
    assert tail is not None and not tail.warning and tail.exceedances == 100
    near = tail.guesses[0]
    assert near.low < math.exp(7) < near.high
    assert near.expected == pytest.approx(math.exp(7), rel=1.5)
    assert tail.guesses[2].expected < near.expected
    assert tail.shape_low < 0 < tail.shape_high


def test_the_tail_of_an_accuracy_is_at_the_top() -> None:
    errors = 40 - np.random.default_rng(2).exponential(3, 1000)
    mirrored = fit_tail(100 - errors, 82.0, ACCURACY)
    tail = fit_tail(errors, 18.0, EER)
    assert tail is not None and mirrored is not None
    assert mirrored.guesses[0].expected == pytest.approx(tail.guesses[0].expected)
    assert mirrored.threshold == pytest.approx(100 - tail.threshold)


def test_a_tail_that_ends_is_bounded_by_the_key_space() -> None:
    """No tail says "never": a share of all keys lies so near the correct one that the model cannot tell."""
    scores = np.random.default_rng(0).uniform(30, 50, 2000)
    bound = log10_guesses("rom", 3)
    assert bound is not None
    tail = fit_tail(scores, 7.9, EER, bound)
    assert tail is not None and tail.shape < -0.7
    near = tail.guesses[0]
    assert near.expected == near.high == near.most == pytest.approx(10**bound)
    assert str(near) == f"at most {math.ceil(10**bound):,}"
    large = fit_tail(scores, 7.9, EER, log10_guesses("rom", 100))
    assert large is not None and str(large.guesses[0]) == "above 10^12"
    unknown = fit_tail(scores, 7.9, EER)  # a user's scheme, whose keys cannot be counted
    assert unknown is not None and str(unknown.guesses[0]) == "above 10^12"


def test_a_bound_leaves_what_the_tail_says_of_fewer_guesses() -> None:
    scores = 40 - np.random.default_rng(2).exponential(3, 1000)
    free, bound = fit_tail(scores, 10.0, EER), fit_tail(scores, 10.0, EER, 5.0)
    assert free is not None and bound is not None
    near = bound.guesses[2]
    assert near.hits == 0 and near.expected == free.guesses[2].expected and near.low == free.guesses[2].low
    assert near.high == 1e5 < free.guesses[2].high and str(near).endswith("at most 100,000]")


def test_a_single_key_that_was_seen_is_counted_and_not_extrapolated() -> None:
    scores = np.append(np.random.default_rng(0).uniform(30, 50, 999), 9.5)
    tail = fit_tail(scores, 9.0, EER)
    assert tail is not None
    assert [(guess.hits, str(guess)) for guess in tail.guesses] == [(1, "counted")] * 3


def test_other_thresholds_may_say_otherwise() -> None:
    """A few keys far out, unlike the rest: what they say depends on where the tail begins."""
    random = np.random.default_rng(1)
    scores = np.concatenate([random.uniform(30, 50, 385), random.uniform(26, 26.4, 15)])
    tail = fit_tail(scores, 23.0, EER)
    assert tail is not None
    assert [str(guess)[:8] for guess in tail.guesses] == ["unclear:", "unclear:", "counted"]
    assert not tail.warning and not tail.speaks  # so no shape is shown


def test_too_few_and_too_coarse_scores_are_named() -> None:
    random = np.random.default_rng(0)
    few = fit_tail(random.uniform(20, 50, 100), 7.9, EER)
    assert few is not None and "Only 10 keys" in few.warning and "300" in few.warning
    coarse = fit_tail(np.round(random.uniform(2, 5, 400)) * 10, 7.9, EER)
    assert coarse is None or "coarse" in coarse.warning
    assert fit_tail(random.uniform(20, 50, 40), 7.9, EER) is None
    assert fit_tail(np.full(400, 30.0), 7.9, EER) is None


def test_the_fit_is_seeded() -> None:
    scores = np.random.default_rng(0).normal(30, 4, 500)
    assert fit_tail(scores, 10.0, EER) == fit_tail(scores, 10.0, EER)


def test_the_table_has_a_row_for_every_sample_of_keys(make_run: MakeRun) -> None:
    values = 40 - np.random.default_rng(2).exponential(3, 400)
    runs = [
        make_run("many", values, plain=18.0, correct=18.0),
        make_run("few", values[:60], plain=18.0, correct=18.0),
        make_run("seen", np.append(values, 22.0), plain=18.0, correct=18.0),
        make_run("all", values[:60], plain=18.0, correct=18.0, keys=60, key_space=60, enumerated=True),
        make_run("unknown", values, plain=None),
    ]
    results = [summarise(load_run(folder), label=folder.name) for folder in runs]
    table = tail_table(results)
    assert table is not None
    assert list(table["Run"]) == ["many", "few", "seen"]
    many, few, seen = (table.iloc[number] for number in range(3))
    assert few["Guesses to within 1 point"] == "–" and "Only 6 keys" in few["Says nothing because"]
    assert few["Shape ξ [95 %]"] == few["Beyond the threshold"] == "–"  # no number of a fit beside its own warning
    assert list(table)[:3] == ["Run", "Beyond the threshold", "Shape ξ [95 %]"] and "[" in many["Shape ξ [95 %]"]
    assert "[" in many["Guesses to within 5 points"] and many["Says nothing because"] == "–"
    assert seen["Guesses to within 5 points"] == f"counted: {results[2].guesses[2]}"
    assert tail_table(results[3:]) is None
    alone = tail_table(results[1:2])
    assert alone is not None and "Shape ξ [95 %]" not in alone


@pytest.mark.parametrize("count", [5, FACTORS, 37, 1000])
@pytest.mark.parametrize("exponent", [-3, 0, 9])
def test_logarithms_of_products_are_those_of_factors(count, exponent):
    """From the smallest factor of a likelihood to the largest one, that of scores which tie with the threshold."""
    factors = 10.0**exponent * np.random.default_rng(0).uniform(0.5, 2.0, (3, 4, count))
    np.testing.assert_allclose(_mean_log(factors), np.log(factors).mean(-1), atol=1e-13)
