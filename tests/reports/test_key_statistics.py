"""Numbers against numpy and scipy, and the direction of each metric."""

import math
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from keys.errors import BadInput
from reports.metrics import METRICS, get_metric
from reports.runs import load_run
from reports.statistics import bootstrap, guess_numbers, mean, summarise, variance

MakeRun = Callable[..., Path]
percentages = st.lists(st.floats(0, 100), min_size=1, max_size=40)


def test_numbers_equal_numpy(make_run: MakeRun, scores: np.ndarray) -> None:
    result = summarise(load_run(make_run("a", scores)))
    assert result.n == 200
    assert result.mean.value == pytest.approx(np.mean(scores))
    assert result.median == pytest.approx(np.median(scores))
    assert result.variance is not None and result.variance.value == pytest.approx(np.var(scores, ddof=1))
    assert result.sd == pytest.approx(np.std(scores, ddof=1))
    for probability, value in result.quantiles.items():
        assert value == pytest.approx(np.quantile(scores, probability))
    assert (result.plain.value, result.correct.value, result.plain_query.value) == (7.9, 7.9, 35.0)
    assert result.correct_minus_plain == 0 and result.coincides


def test_the_worst_key_is_the_lowest_eer_with_its_own_interval(make_run: MakeRun) -> None:
    worst = summarise(load_run(make_run("a", [30.0, 12.0, 44.0]))).worst
    assert (worst.key_index, worst.score.value, worst.score.low, worst.score.high) == (1, 12.0, 11.0, 13.0)


def test_for_accuracy_the_worst_key_is_the_highest(make_run: MakeRun) -> None:
    folder = make_run("a", [2.0, 60.0, 84.0], task="asc", metric="accuracy", plain=85.4, correct=85.4)
    result = summarise(load_run(folder))
    assert result.worst.key_index == 2
    assert [guess.hits for guess in result.guesses] == [0, 1, 1]


@pytest.mark.parametrize(("classes", "chance"), [(10, 10.0), (None, None), (0, None)])
def test_the_chance_of_an_accuracy_follows_from_the_classes(
    make_run: MakeRun, classes: object, chance: float | None
) -> None:
    folder = make_run("a", [2.0], task="asc", metric="accuracy", corpus_facts={"classes": classes})
    assert summarise(load_run(folder)).metric.chance == chance
    assert get_metric("wer", 10).chance is None and get_metric("eer", 10).chance == 50


def test_runaway_decodings_are_safe_for_the_owner(make_run: MakeRun) -> None:
    folder = make_run("a", [60.0, 70.0], task="asr", metric="wer", other_metrics={"runaway": [12.0, 3.0]})
    assert load_run(folder).metrics == ["wer", "runaway"]
    assert summarise(load_run(folder), "runaway").worst.key_index == 1


def test_the_interval_of_the_mean_agrees_with_scipy(make_run: MakeRun, scores: np.ndarray) -> None:
    ours = summarise(load_run(make_run("a", scores))).mean
    theirs = stats.bootstrap((scores,), np.mean, method="percentile", n_resamples=4000, rng=0).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.1 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.1 * width)


def test_the_bootstrap_is_seeded_and_does_not_depend_on_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=50)
    first = bootstrap(values, variance, 300, seed=3)
    monkeypatch.setattr("reports.statistics._RESAMPLED_VALUES", 500)
    np.testing.assert_array_equal(first, bootstrap(values, variance, 300, seed=3))
    assert not np.array_equal(first, bootstrap(values, variance, 300, seed=4))


def test_enumerated_keys_have_no_interval(make_run: MakeRun) -> None:
    folder = make_run("a", [12.0, 30.0, 40.0], keys=1000, key_space=3, enumerated=True)
    result = summarise(load_run(folder))
    assert result.mean.low is None and result.variance is not None and result.variance.low is None
    assert [str(guess) for guess in result.guesses] == ["no key does", "no key does", "2"]


def test_fewer_than_five_sampled_keys_have_no_interval(make_run: MakeRun) -> None:
    two = summarise(load_run(make_run("two", [50.0, 50.0])))
    assert two.mean.low is None and two.variance is not None and two.variance.low is None
    assert summarise(load_run(make_run("four", [20.0, 30.0, 40.0, 50.0]))).mean.high is None
    assert summarise(load_run(make_run("five", [20.0, 30.0, 40.0, 50.0, 60.0]))).mean.low is not None


def test_one_key_has_no_variance(make_run: MakeRun) -> None:
    result = summarise(load_run(make_run("a", [12.0])))
    assert result.variance is None and result.sd is None and result.mean.low is None


def test_guess_numbers_and_their_interval() -> None:
    values = np.array([8.5] * 20 + [12.5] * 30 + [40.0] * 950)
    one, two, five = guess_numbers(values, 7.9, get_metric("eer"))
    assert (one.expected, two.expected, five.expected) == (50, 50, 20)
    exact = stats.binomtest(20, 1000).proportion_ci(0.95, method="exact")
    assert (one.low, one.high) == pytest.approx((1 / exact.high, 1 / exact.low))


@pytest.mark.parametrize(("keys", "hits"), [(5, 1), (7, 3), (6, 6)])
def test_who_repeats_no_key_needs_the_mean_over_all_orders(keys: int, hits: int) -> None:
    values = np.array([8.0] * hits + [40.0] * (keys - hits))
    guess = guess_numbers(values, 7.9, get_metric("eer"), exhaustive=True)[0]
    every = [min(places) + 1 for places in combinations(range(keys), hits)]  # the places of the hits in an order
    assert guess.expected == pytest.approx(np.mean(every)) and guess.low == guess.high == guess.expected
    assert "[" not in str(guess)


def test_when_no_key_comes_close_the_bound_is_the_rule_of_three() -> None:
    guess = guess_numbers(np.full(1000, 40.0), 7.9, get_metric("eer"))[0]
    assert guess.expected == math.inf and guess.low == pytest.approx(1000 / 3)
    assert str(guess) == "> 1,000 [≥ 333]"


def test_without_a_plain_score_there_are_no_guess_numbers(make_run: MakeRun) -> None:
    result = summarise(load_run(make_run("a", [12.0, 13.0], plain=None)))
    assert result.plain is None and result.guesses == () and result.correct_minus_plain is None


def test_a_correct_key_that_differs_is_noticed(make_run: MakeRun) -> None:
    assert not summarise(load_run(make_run("a", [12.0, 13.0], correct=8.4))).coincides


def test_unknown_metric() -> None:
    with pytest.raises(BadInput, match="does not know the metric 'charm'"):
        get_metric("charm")


@given(percentages, st.floats(0, 100), st.sampled_from(sorted(METRICS)))
def test_guess_numbers_fall_with_distance_and_mirror_with_direction(
    values: list[float], plain: float, name: str
) -> None:
    metric, scores = METRICS[name], np.array(values)
    guesses = guess_numbers(scores, plain, metric)
    assert all(a.hits <= b.hits for a, b in pairwise(guesses))
    assert all(1 <= guess.low <= guess.expected <= guess.high for guess in guesses)
    best = scores[metric.best_for_attacker(scores)]
    assert best == (scores.min() if metric.higher_is_safer else scores.max())


@given(percentages)
def test_a_resampled_mean_stays_inside_the_data(values: list[float]) -> None:
    replicates = bootstrap(np.array(values), mean, resamples=20)
    assert replicates.shape == (20,)
    assert min(values) - 1e-9 <= replicates.min() and replicates.max() <= max(values) + 1e-9
