"""Does B protect at least as well as A: verdicts, intervals and warnings."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from keys.errors import BadInput
from reports.comparison import Comparison, _difference, _rank_weights, _verdict, compare
from reports.runs import load_run
from reports.statistics import mean, summarise

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
    assert better.tail.value == pytest.approx(np.quantile(HIGH, 0.05) - np.quantile(LOW, 0.05))
    assert better.worst == pytest.approx(HIGH.min() - LOW.min())
    assert better.variance_ratio == pytest.approx(HIGH.var() / LOW.var())
    test = stats.ks_2samp(LOW, HIGH)
    assert (better.ks_statistic, better.ks_p) == (test.statistic, test.pvalue)
    worse = compare(better.b.run, better.a.run)
    assert worse.verdict == "worse" and worse.negative and worse.mean.value == pytest.approx(-better.mean.value)
    assert "Yes: better." in str(better) and "No: worse." in str(worse)


def test_for_accuracy_lower_is_better(make_run: MakeRun) -> None:
    result = compared(make_run, HIGH, LOW, task="asc", metric="accuracy", plain=85.0, correct=85.0)
    assert result.verdict == "better" and result.mean.value == pytest.approx(HIGH.mean() - LOW.mean())
    assert result.tail.value == pytest.approx(np.quantile(HIGH, 0.95) - np.quantile(LOW, 0.95))
    assert result.worst == pytest.approx(HIGH.max() - LOW.max())


def test_the_same_scores_show_no_difference(make_run: MakeRun) -> None:
    result = compared(make_run, LOW, LOW)
    assert result.verdict == "no difference shown" and not result.negative
    assert result.mean.value == 0 and result.ks_p == 1


@pytest.mark.parametrize("keys", [(6, 6), (100, 100), (30, 200)])
def test_equal_runs_differ_in_5_percent_of_the_cases(make_run: MakeRun, keys: tuple[int, int]) -> None:
    """300 pairs of runs from one distribution; 1 to 10 % holds for a level of 5 % with probability 0.9998."""
    rng = np.random.default_rng(8)
    runs = [summarise(load_run(make_run(str(number), np.zeros(count)))) for number, count in enumerate(keys)]
    verdicts = []
    for seed in range(300):
        a, b = (replace(run, values=rng.normal(30, 4, run.n)) for run in runs)
        verdicts.append(_verdict(_difference(a, b, mean, 400, seed, 1.0)))
    assert 3 <= 300 - verdicts.count("no difference shown") <= 30
    assert verdicts.count("worse") <= 18


def test_the_verdict_rests_on_the_means_and_the_tail_is_described(make_run: MakeRun) -> None:
    """A few good keys for the attacker do not outweigh the mean: they stand in the description, and it says so."""
    leaky = np.concatenate([HIGH[:270], np.full(30, 8.0)])
    result = compared(make_run, LOW, leaky)
    assert result.verdict == "better" and result.tail.high is not None and result.tail.high < 0 and result.worst < 0
    assert "best 5 % of keys reach is 10" in str(result) and "on average over keys? Yes" in str(result)
    assert "rests on the means alone" in str(result)


def test_a_few_keys_give_no_verdict(make_run: MakeRun) -> None:
    assert compared(make_run, LOW, LOW[:5] - 20).verdict == "worse"
    b = load_run(make_run("few", LOW[:4] - 20))
    result = compare(load_run(make_run("many", LOW)), b)
    assert result.verdict == "no difference shown" and "B has only 4 keys: too few for a verdict." in result.warnings
    assert result.mean.low is None and "no interval: too few keys" in str(result) and "exact" not in str(result)
    one = compare(b, load_run(make_run("one", [30.0])))
    assert one.verdict == "no difference shown" and "B has only 1 key: too few for a verdict." in one.warnings


def test_the_expected_worst_of_m_keys_equals_the_mean_over_all_choices() -> None:
    values = np.array([3.0, 8.0, 10.0, 11.0, 20.0, 21.0])
    for size in range(1, 7):
        every = [min(choice) for choice in combinations(values, size)]
        assert values @ _rank_weights(6, size) == pytest.approx(np.mean(every))


def test_more_keys_are_not_held_against_a_run(make_run: MakeRun) -> None:
    many = np.random.default_rng(0).normal(30, 4, 3000)
    result = compared(make_run, many[:60], many)
    assert abs(result.worst) < 2 < 4 < many[:60].min() - many.min()
    assert any("compared at 60 keys each" in sentence for sentence in result.warnings)


def test_enumerated_runs_have_no_interval(make_run: MakeRun) -> None:
    every = {"key_space": 3, "enumerated": True, "keys": 1000}
    result = compared(make_run, [10.0, 20.0, 30.0], [10.0, 20.0, 31.0], **every)
    assert result.mean.low is None and result.verdict == "better" and "exact" in str(result)
    worse = compare(result.b.run, result.a.run)
    assert worse.verdict == "worse" and worse.mean.value == pytest.approx(-1 / 3)
    other_order = load_run(make_run("c", [30.1, 10.1, 20.1], **every))
    assert compare(load_run(make_run("d", [10.1, 20.1, 30.1], **every)), other_order).verdict == "no difference shown"


def test_a_sampled_run_beside_an_enumerated_one_has_an_interval(make_run: MakeRun) -> None:
    every = load_run(make_run("a", [24.0, 25.0, 26.0], key_space=3, enumerated=True))
    result = compare(every, load_run(make_run("b", LOW)))
    assert result.mean.low is not None and result.mean.low < 0 < result.mean.high
    assert result.mean.high - result.mean.low == pytest.approx(2 * 1.96 * LOW.std() / 300**0.5, rel=0.1)
    assert not any("3 keys: too few" in sentence for sentence in result.warnings)


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
        "The threat variant differs: both in A, test in B.",
        "The trials differ between A and B.",
        "B is unfinished: 9 of 20 keys.",
        "B has only 9 keys: its interval is rough.",
        "A has 300 keys and B 9: the worst keys are compared at 9 keys each.",
    )
    assert compare(a, load_run(make_run("c", HIGH))).warnings == ()
    texts = [make_run(t, LOW, task="asr", metric="wer", identity={"text": t}) for t in ("basic", "none")]
    frames = make_run("f", LOW, task="asr", metric="wer", identity={"text": "basic"}, config={"blocks": "frames"})
    basic, none, framed = (load_run(folder) for folder in (*texts, frames))
    assert compare(basic, none).warnings == ("The text normalisation differs between A and B.",)
    assert compare(basic, framed).warnings == ("The way to cut blocks differs: samples in A, frames in B.",)


def test_the_answer_is_the_same_every_time(make_run: MakeRun) -> None:
    first = compared(make_run, LOW, HIGH)
    assert str(compare(first.a.run, first.b.run)) == str(first)
