"""Does B protect at least as well as A: verdicts, intervals and warnings."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from keys.errors import BadInput
from reports.comparison import Comparison, _rank_weights, compare
from reports.runs import load_run

MakeRun = Callable[..., Path]
RNG = np.random.default_rng(3)
LOW, HIGH = RNG.normal(25, 4, 300), RNG.normal(35, 4, 300)


def compared(make_run: MakeRun, a: object, b: object, **settings: object) -> Comparison:
    return compare(load_run(make_run("a", a, **settings)), load_run(make_run("b", b, **settings)))


def test_higher_eer_is_better_and_lower_is_worse(make_run: MakeRun) -> None:
    better = compared(make_run, LOW, HIGH)
    assert better.verdict == "better" and not better.negative
    assert better.mean.value == pytest.approx(HIGH.mean() - LOW.mean())
    assert better.mean.low is not None and better.mean.low < better.mean.value < better.mean.high
    assert better.worst.value == pytest.approx(HIGH.min() - LOW.min())
    assert better.variance_ratio == pytest.approx(HIGH.var() / LOW.var())
    test = stats.ks_2samp(LOW, HIGH)
    assert (better.ks_statistic, better.ks_p) == (test.statistic, test.pvalue)
    worse = compare(better.b.run, better.a.run)
    assert worse.verdict == "worse" and worse.negative and worse.mean.value == pytest.approx(-better.mean.value)
    assert "Yes: better." in str(better) and "No: worse." in str(worse)


def test_for_accuracy_lower_is_better(make_run: MakeRun) -> None:
    result = compared(make_run, HIGH, LOW, task="asc", metric="accuracy", plain=85.0, correct=85.0)
    assert result.verdict == "better" and result.mean.value == pytest.approx(HIGH.mean() - LOW.mean())
    assert result.worst.value == pytest.approx(HIGH.max() - LOW.max())


def test_the_same_scores_show_no_difference(make_run: MakeRun) -> None:
    result = compared(make_run, LOW, LOW)
    assert result.verdict == "no difference shown" and not result.negative
    assert result.mean.value == 0 and result.ks_p == 1


def test_a_better_mean_does_not_excuse_a_worse_worst_key(make_run: MakeRun) -> None:
    leaky = np.concatenate([HIGH[:270], np.full(30, 8.0)])
    assert compared(make_run, LOW, leaky).verdict == "worse"


def test_the_expected_worst_of_m_keys_equals_the_mean_over_all_choices() -> None:
    values = np.array([3.0, 8.0, 10.0, 11.0, 20.0, 21.0])
    for size in range(1, 7):
        every = [min(choice) for choice in combinations(values, size)]
        assert values @ _rank_weights(6, size) == pytest.approx(np.mean(every))


def test_more_keys_are_not_held_against_a_run(make_run: MakeRun) -> None:
    many = RNG.normal(30, 4, 3000)
    result = compared(make_run, many[:60], many)
    assert abs(result.worst.value) < 3 < many[:60].min() - many.min() + 3
    assert any("compared at 60 keys each" in sentence for sentence in result.warnings)


def test_enumerated_runs_have_no_interval(make_run: MakeRun) -> None:
    every = {"key_space": 3, "enumerated": True, "keys": 1000}
    result = compared(make_run, [10.0, 20.0, 30.0], [10.0, 20.0, 31.0], **every)
    assert result.mean.low is None and result.verdict == "better" and "exact" in str(result)


def test_other_tasks_and_metrics_are_refused(make_run: MakeRun) -> None:
    eer = load_run(make_run("a", LOW))
    with pytest.raises(BadInput, match="compare runs of one task"):
        compare(eer, load_run(make_run("b", LOW, task="asr", metric="wer")))
    with pytest.raises(BadInput, match="compare runs of one metric"):
        compare(eer, load_run(make_run("c", LOW, metric="min_dcf")))


def test_what_else_differs_is_said(make_run: MakeRun) -> None:
    a = load_run(make_run("a", LOW))
    other = {"weights": "w", "corpus": "b" * 64, "trials": "t"}
    b = load_run(make_run("b", HIGH[:9], model="net", keys=20, identity=other, config={"variant": "test"}))
    assert compare(a, b).warnings == (
        "The model differs: RawNeXt in A, net in B.",
        "The threat variant differs: encrypted in A, test in B.",
        "The trials differ between A and B.",
        "B is unfinished: 9 of 20 keys.",
        "A has 300 keys and B 9: the worst keys are compared at 9 keys each.",
    )
    assert compare(a, load_run(make_run("c", HIGH))).warnings == ()


def test_the_answer_is_the_same_every_time(make_run: MakeRun) -> None:
    first = compared(make_run, LOW, HIGH)
    assert str(compare(first.a.run, first.b.run)) == str(first)
