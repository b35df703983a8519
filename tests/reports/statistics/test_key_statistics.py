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

from tests.narrow import present
from wrongkey.errors import BadInput
from wrongkey.keys.volume import log10_guesses
from wrongkey.reports.metrics import METRICS, get_metric
from wrongkey.reports.runs import load_run
from wrongkey.reports.statistics.intervals import mean_interval, quantile_interval, variance_interval
from wrongkey.reports.statistics.key_statistics import Estimate, bootstrap, guess_numbers, mean, summarise, variance
from wrongkey.reports.tables import score_table

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
    conditions = result.plain, result.correct, result.plain_query
    assert [present(estimate).value for estimate in conditions] == [7.9, 7.9, 35.0]
    assert result.correct_minus_plain == 0 and result.coincides


def test_the_worst_key_is_the_lowest_eer_with_an_interval_that_knows_it_was_picked(make_run: MakeRun) -> None:
    worst = summarise(load_run(make_run("a", [30.0, 12.0, 44.0]))).worst
    assert (worst.key_index, worst.score.value, worst.score.low, worst.picked) == (1, 12.0, 11.0, 3)
    assert worst.score.high == pytest.approx(12 + stats.norm.isf(0.025 / 3) / stats.norm.isf(0.025))
    only = summarise(load_run(make_run("one", [12.0]))).worst.score
    assert (only.low, only.high) == pytest.approx((11.0, 13.0))


def test_for_accuracy_the_worst_key_is_the_highest(make_run: MakeRun) -> None:
    folder = make_run("a", [2.0, 60.0, 84.0], task="asc", metric="accuracy", plain=85.4, correct=85.4)
    result = summarise(load_run(folder))
    worst = result.worst
    assert worst.key_index == 2 and worst.score.high == 85.0
    assert worst.score.low is not None and worst.score.low < 83.0
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


def test_every_interval_over_keys_is_that_of_its_estimator(make_run: MakeRun, scores: np.ndarray) -> None:
    result = summarise(load_run(make_run("a", scores)))
    assert (result.mean.low, result.mean.high) == pytest.approx(mean_interval(scores))
    assert result.variance is not None
    assert (result.variance.low, result.variance.high) == pytest.approx(variance_interval(scores))
    for probability, quantile in result.at.items():
        low, high = present(quantile_interval(scores, probability))
        assert (quantile.low, quantile.high) == (float(low), float(high))


def test_an_interval_of_a_mean_stays_among_possible_scores(make_run: MakeRun) -> None:
    eer = summarise(load_run(make_run("a", [0.1, 0.1, 0.1, 0.2, 30.0]))).mean
    folder = make_run("b", [99.9, 99.9, 99.8, 99.9, 70.0], task="asc", metric="accuracy", plain=100.0)
    assert eer.low == 0.0 and summarise(load_run(folder)).mean.high == 100.0


def test_the_bootstrap_is_seeded_and_does_not_depend_on_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=50)
    first = bootstrap(values, variance, 300, seed=3)
    monkeypatch.setattr("wrongkey.reports.statistics.key_statistics._RESAMPLED_VALUES", 500)
    np.testing.assert_array_equal(first, bootstrap(values, variance, 300, seed=3))
    assert not np.array_equal(first, bootstrap(values, variance, 300, seed=4))


def test_enumerated_keys_have_no_interval(make_run: MakeRun) -> None:
    folder = make_run("a", [12.0, 30.0, 40.0], keys=1000, key_space=3, enumerated=True)
    result = summarise(load_run(folder))
    assert result.mean.low is None and result.variance is not None and result.variance.low is None
    assert [str(guess) for guess in result.guesses] == ["no key does", "no key does", "2"]


def test_too_few_sampled_keys_have_no_interval(make_run: MakeRun) -> None:
    """Means from 5 keys on, the median from 6, the 5 % quantile from 72, the variance from 100."""

    def have(keys: int) -> list[bool]:
        result = summarise(load_run(make_run(str(keys), np.linspace(20, 50, keys))))
        assert result.variance is not None
        return [part.low is not None for part in (result.mean, result.at[0.5], result.at[0.05], result.variance)]

    assert have(4) == [False, False, False, False]
    assert have(5) == [True, False, False, False]
    assert have(6) == have(71) == [True, True, False, False]
    assert have(72) == have(99) == [True, True, True, False]
    assert have(100) == [True, True, True, True]


def test_sampled_keys_that_all_tie_have_no_interval(make_run: MakeRun) -> None:
    """Five recognisers' keys without an empty hypothesis: 0 %, and not "0 % [0, 0]"."""
    few, many = (summarise(load_run(make_run(f"{n}", [0.0] * n, metric="empty", plain=0.0))) for n in (5, 120))
    assert (few.mean, many.mean) == (Estimate(0.0), Estimate(0.0)) and many.variance == Estimate(0.0)
    assert score_table([few]).loc[0, "Mean [95 %]"] == "0.00"


def test_one_key_has_no_variance(make_run: MakeRun) -> None:
    result = summarise(load_run(make_run("a", [12.0])))
    assert result.variance is None and result.sd is None and result.mean.low is None


def test_guess_numbers_and_their_interval() -> None:
    values = np.array([8.5] * 20 + [12.5] * 30 + [40.0] * 950)
    one, two, five = guess_numbers(values, 7.9, get_metric("eer"))
    assert (one.expected, two.expected, five.expected) == (50, 50, 20)
    exact = stats.binomtest(20, 1000).proportion_ci(0.95, method="exact")
    assert (one.low, one.high) == pytest.approx((1 / exact.high, 1 / exact.low))


def test_a_single_hit_has_an_exact_interval() -> None:
    guess = guess_numbers(np.array([8.0] + [40.0] * 999), 7.9, get_metric("eer"))[0]
    exact = stats.binomtest(1, 1000).proportion_ci(0.95, method="exact")
    assert (guess.expected, guess.low, guess.high) == pytest.approx((1000, 1 / exact.high, 1 / exact.low))
    assert str(guess) == "1,000 [180, 39,498]"


def test_the_key_space_bounds_the_guesses_that_counting_cannot() -> None:
    one_hit, none = np.array([8.0] + [40.0] * 999), np.full(1000, 40.0)
    eer = get_metric("eer")
    hit, missed = (guess_numbers(values, 7.9, eer, bound=4.0)[0] for values in (one_hit, none))
    assert hit.high == missed.high == 10_000 and hit.expected == 1000
    assert str(missed) == "> 1,000, at most 10,000 [≥ 333]"
    assert str(guess_numbers(none, 7.9, eer, bound=45.2)[0]) == "> 1,000 [≥ 333]"
    assert str(guess_numbers(none, 7.9, eer, bound=2.9)[0]) == "≤ 795 [≥ 333]"
    assert guess_numbers(none, 7.9, eer, bound=4000.0)[0].high == math.inf
    assert guess_numbers(none, 7.9, eer, exhaustive=True, bound=4.0)[0].limit is None


def test_keys_tried_in_vain_overrule_the_key_space() -> None:
    """More keys without a hit than the bound allows: then keys near the correct one do not unlock this model."""
    guess = guess_numbers(np.full(40_000, 40.0), 7.9, get_metric("eer"), bound=4.0)[0]
    assert guess.limit is None and guess.high == math.inf and str(guess) == "> 40,000 [≥ 13,333]"


def test_the_bound_of_a_run_is_that_of_its_scheme_and_size(make_run: MakeRun) -> None:
    def bound(name: str, **settings: object) -> float | None:
        return summarise(load_run(make_run(name, [30.0, 40.0], **settings))).guesses[0].bound

    assert bound("rom") == log10_guesses("rom", 3)
    assert bound("tiles", dims=2, scheme="flipping") == pytest.approx(9 * math.log10(2))
    assert bound("mine", scheme="mine") is None


def test_speakers_move_the_number_of_keys_that_came_close(make_run: MakeRun) -> None:
    """Every key of these runs has an interval of its score ± 1 over speakers."""
    result = summarise(load_run(make_run("a", [8.5, 9.5, 10.5, 40.0])))
    one, two, five = result.guesses
    assert [(guess.fewest, guess.hits, guess.most) for guess in (one, two, five)] == [(0, 1, 2), (1, 2, 3), (3, 3, 3)]
    assert one.hits_words == "1 (0 to 2)"


def test_keys_without_intervals_say_nothing_of_speakers() -> None:
    guess = guess_numbers(np.array([8.0, 40.0]), 7.9, get_metric("eer"))[0]
    assert guess.most is None and guess.hits_words == "1"


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
