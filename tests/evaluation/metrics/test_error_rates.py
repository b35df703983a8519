"""Metrics against scikit-learn, exact rational arithmetic and literal repetition of trials."""

from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from wrongkey.errors import BadInput
from wrongkey.evaluation.metrics import error_rates as metrics
from wrongkey.evaluation.metrics.bootstrap import Interval, basic_interval, percentile_interval, speaker_weights
from wrongkey.evaluation.metrics.error_rates import eer, effective_eer, error_rates, fewest_errors, min_dcf


def sklearn_eer(scores: NDArray[np.float64], target: NDArray[np.bool_]) -> float:
    """The crossing of scikit-learn's ROC polyline with FRR = FAR, in percent."""
    fpr, tpr, _ = roc_curve(target, scores, drop_intermediate=False)
    difference = fpr - (1 - tpr)  # rises from -1 to 1 as the threshold falls
    return 100 * float(np.interp(0, difference, fpr))


def exact_rates(scores: list[int], target: list[bool]) -> list[tuple[Fraction, Fraction]]:
    """(miss, false alarm) at every threshold between distinct scores, counted literally."""
    targets = [s for s, t in zip(scores, target, strict=True) if t]
    others = [s for s, t in zip(scores, target, strict=True) if not t]
    thresholds = [*sorted(set(scores)), max(scores) + 1]
    return [
        (
            Fraction(sum(s < th for s in targets), len(targets)),
            Fraction(sum(s >= th for s in others), len(others)),
        )
        for th in thresholds
    ]


def exact_eer(scores: list[int], target: list[bool]) -> float:
    rates = exact_rates(scores, target)
    for (miss0, alarm0), (miss1, alarm1) in pairwise(rates):
        if miss1 >= alarm1:
            gap0, gap1 = miss0 - alarm0, miss1 - alarm1
            return 100 * float(miss0 + (miss1 - miss0) * (-gap0 / (gap1 - gap0)))
    raise AssertionError("the rates always cross")


def exact_min_dcf(scores: list[int], target: list[bool], prior: Fraction) -> float:
    cost = min(prior * miss + (1 - prior) * alarm for miss, alarm in exact_rates(scores, target))
    return float(cost / min(prior, 1 - prior))


@st.composite
def tied_trials(draw: st.DrawFn, max_repeats: int = 1) -> tuple[list[int], list[bool], list[int]]:
    """Few distinct scores, both kinds of trials, how often each is repeated (both kinds at least once)."""
    size = draw(st.integers(2, 25))
    scores = draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size))
    target = [True, False, *draw(st.lists(st.booleans(), min_size=size - 2, max_size=size - 2))]
    repeats = draw(st.lists(st.integers(0, max_repeats), min_size=size - 2, max_size=size - 2))
    return scores, target, [1, 1, *repeats]


@given(tied_trials())
def test_ties_give_the_exact_crossing(trials: tuple[list[int], list[bool], list[int]]) -> None:
    scores, target, _ = trials
    value = eer(torch.tensor(scores), torch.tensor(target)).item()
    assert value == pytest.approx(exact_eer(scores, target), abs=1e-9)
    assert value == pytest.approx(sklearn_eer(np.array(scores), np.array(target)), abs=1e-9)


@given(tied_trials(), st.sampled_from([Fraction(1, 100), Fraction(1, 20), Fraction(1, 2), Fraction(9, 10)]))
def test_min_dcf_is_the_smallest_counted_cost(trials: tuple[list[int], list[bool], list[int]], prior: Fraction) -> None:
    scores, target, _ = trials
    value = min_dcf(torch.tensor(scores), torch.tensor(target), p_target=float(prior)).item()
    assert value == pytest.approx(exact_min_dcf(scores, target, prior), abs=1e-9)


@given(tied_trials(), st.sampled_from([Fraction(1, 100), Fraction(1, 20), Fraction(1, 2), Fraction(9, 10)]))
def test_the_fewest_errors_are_those_of_a_cheapest_threshold(
    trials: tuple[list[int], list[bool], list[int]], prior: Fraction
) -> None:
    scores, target, _ = trials
    counts: dict[Fraction, list[Fraction]] = {}
    for miss, alarm in exact_rates(scores, target):
        errors = min(miss * sum(target), alarm * (len(target) - sum(target)))
        counts.setdefault(prior * miss + (1 - prior) * alarm, []).append(errors)
    found = fewest_errors(torch.tensor(scores), torch.tensor(target), p_target=float(prior)).item()
    assert found in counts[min(counts)]  # where several thresholds cost the same, of one of them


def test_the_effective_eer_is_that_of_the_better_answer() -> None:
    assert [effective_eer(percent) for percent in (0.0, 31.5, 50.0, 80.0, 100.0)] == [0, 31.5, 50, 20, 0]


def test_the_basic_interval_undoes_the_bias_of_a_minimum() -> None:
    """The least of ten means, each 0: percentiles lie too low by twice the bias, mirrored ones do not."""
    rng = np.random.default_rng(9)
    samples = rng.standard_normal((300, 10, 60))
    drawn = rng.integers(60, size=(150, 60))
    value = torch.from_numpy(samples.mean(-1).min(-1))
    replicates = torch.from_numpy(np.stack([samples[..., pick].mean(-1).min(-1) for pick in drawn], axis=1))
    basic, percentiles = basic_interval(replicates, value), percentile_interval(replicates)
    held, above = ((low <= 0) & (high >= 0) for low, high in (basic, percentiles))
    assert above.double().mean() < 0.5 < 0.75 < held.double().mean()
    np.testing.assert_allclose(basic.low + percentiles.high, 2 * value)


@given(tied_trials(max_repeats=4), st.sampled_from([torch.float32, torch.float64, torch.int64]))
def test_weights_are_repetitions(trials: tuple[list[int], list[bool], list[int]], dtype: torch.dtype) -> None:
    scores, target, repeats = trials
    weights = torch.tensor([repeats, [1] * len(repeats)], dtype=dtype)
    repeated_scores = [s for s, r in zip(scores, repeats, strict=True) for _ in range(r)]
    repeated_target = [t for t, r in zip(target, repeats, strict=True) for _ in range(r)]
    values = eer(torch.tensor(scores), torch.tensor(target), weights)
    costs = min_dcf(torch.tensor(scores), torch.tensor(target), weights)
    assert values.tolist() == pytest.approx(
        [exact_eer(repeated_scores, repeated_target), exact_eer(scores, target)], abs=2e-5
    )
    assert costs.tolist() == pytest.approx(
        [exact_min_dcf(s, t, Fraction(1, 100)) for s, t in ((repeated_scores, repeated_target), (scores, target))],
        abs=2e-5,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.0, 3.0, 20.0])
def test_a_batch_of_keys_equals_scikit_learn(shift: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(2000, generator=generator) < 0.3
    scores = torch.randn(5, 2000, generator=generator, dtype=dtype) + shift * target
    expected = [sklearn_eer(row, target.numpy()) for row in scores.numpy()]
    assert eer(scores, target).tolist() == pytest.approx(expected, abs=1e-6)


def test_known_values() -> None:
    target = torch.tensor([True, True, False, False])
    assert eer(torch.tensor([3.0, 2.0, 1.0, 0.0]), target).item() == 0
    assert eer(torch.tensor([0.0, 1.0, 2.0, 3.0]), target).item() == 100
    assert eer(torch.zeros(4), target).item() == 50
    assert min_dcf(torch.tensor([3.0, 2.0, 1.0, 0.0]), target).item() == 0
    assert min_dcf(torch.zeros(4), target).item() == pytest.approx(1)


def test_shapes_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(2)
    target = torch.arange(40) % 3 == 0
    scores = torch.randn(7, 40, generator=generator) + target
    weights = torch.randint(1, 4, (5, 40), generator=generator).float()
    assert eer(scores, target).shape == (7,)
    assert eer(scores[0], target).shape == ()
    assert eer(scores[0], target, weights).shape == (5,)
    for metric in (eer, min_dcf):
        whole = metric(scores, target, weights)
        assert whole.shape == (7, 5)
        for elements in (1, 40 * 3, 40 * 12):  # one row, some boots of one key, all boots of two keys
            monkeypatch.setattr(metrics, "_CPU_ELEMENTS", elements)
            assert torch.equal(metric(scores, target, weights), whole)
        monkeypatch.undo()


@pytest.mark.parametrize(
    ("scores", "target", "weights", "sentence"),
    [
        ([1.0, 2.0], [False, False], None, "no target"),
        ([1.0, 2.0], [True, True], None, "no non-target"),
        ([1.0, float("nan")], [True, False], None, "NaN"),
        ([1.0, 2.0, 3.0], [True, False], None, "do not go together"),
        ([1.0, 2.0], [True, False], [[1.0, 0.0]], "no target or no non-target"),
        ([1.0, 2.0], [True, False], [[1.0, -1.0]], "negative"),
        ([1.0, 2.0], [True, False], [1.0, 1.0], r"\(boots, trials\)"),
    ],
)
def test_degenerate_input_is_refused(
    scores: list[float], target: list[bool], weights: list[list[float]] | None, sentence: str
) -> None:
    given_weights = None if weights is None else torch.tensor(weights)
    for metric in (eer, min_dcf):
        with pytest.raises(BadInput, match=sentence):
            metric(torch.tensor(scores), torch.tensor(target), given_weights)


def test_min_dcf_refuses_a_prior_outside_0_1() -> None:
    with pytest.raises(BadInput, match="p_target=1"):
        min_dcf(torch.tensor([1.0, 2.0]), torch.tensor([True, False]), p_target=1.0)


def speakers_and_target(speakers: int) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """Every pair of speakers once, and every speaker against themselves twice."""
    names = [f"speaker{i}" for i in range(speakers)]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]] + [(a, a) for a in names] * 2
    return np.array(pairs), np.array([a == b for a, b in pairs])


def test_a_trial_counts_as_often_as_its_speakers_are_drawn() -> None:
    speakers, target = speakers_and_target(6)
    weights = speaker_weights(target, speakers, replicates=50, seed=3)
    drawn = weights[:, target][:, :6]  # a same-speaker trial counts once for every time its speaker is drawn
    assert (drawn.sum(1) == 6).all()
    assert len(np.unique(drawn, axis=0)) > 10
    column = {f"speaker{i}": drawn[:, i] for i in range(6)}
    for trial in np.flatnonzero(~target):
        one, other = speakers[trial]
        assert (weights[:, trial] == column[one] * column[other]).all()
    assert (weights[:, target][:, 6:] == drawn).all()


def bootstrap_interval(scores, target, speakers, metric=eer, replicates=200, level=0.95, seed=0) -> Interval:
    """The interval over speakers, as the task asv takes it for its EER."""
    weights = torch.from_numpy(speaker_weights(target, speakers, replicates, seed))
    return percentile_interval(metric(scores, target, weights), level)


def test_the_interval_is_that_of_explicit_resampling() -> None:
    speakers, target = speakers_and_target(8)
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 12, size=(3, len(target))) + 4 * target
    weights = speaker_weights(target, speakers, replicates=40, seed=5).astype(int)
    low, high = bootstrap_interval(
        torch.from_numpy(scores), torch.from_numpy(target), speakers, replicates=40, seed=5, level=0.8
    )
    for key in range(3):
        repeated = [exact_eer(np.repeat(scores[key], w).tolist(), np.repeat(target, w).tolist()) for w in weights]
        assert [low[key].item(), high[key].item()] == pytest.approx(np.quantile(repeated, [0.1, 0.9]), abs=1e-4)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Speakers from a population with EER 10 %: a 90 % interval should hold 10 % in most of 100 worlds."""
    speakers, target = speakers_and_target(30)
    index = np.unique(speakers, return_inverse=True)[1].reshape(-1, 2)
    rng = np.random.default_rng(6)
    spread = 0.5  # of a speaker's own scores; the rest differs from trial to trial
    ease = rng.normal(scale=spread, size=(100, 30))
    noise = rng.normal(scale=np.sqrt(1 - spread**2), size=(100, len(target)))
    shared = np.where(target, ease[:, index[:, 0]], (ease[:, index[:, 0]] + ease[:, index[:, 1]]) / np.sqrt(2))
    scores = torch.from_numpy(shared + noise + 2 * 1.2816 * target)
    low, high = bootstrap_interval(scores, torch.from_numpy(target), speakers, level=0.9, seed=7)
    assert 0.75 <= ((low <= 10) & (high >= 10)).double().mean() <= 0.99


def test_intervals_are_seeded_and_take_other_metrics() -> None:
    speakers, target = speakers_and_target(10)
    scores = torch.randn(2, len(target), generator=torch.Generator().manual_seed(8)) + torch.from_numpy(target)
    for metric in (eer, min_dcf, partial(min_dcf, p_target=0.05)):
        first = bootstrap_interval(scores, torch.from_numpy(target), speakers, metric=metric, seed=1)
        again = bootstrap_interval(scores, torch.from_numpy(target), speakers, metric=metric, seed=1)
        other = bootstrap_interval(scores, torch.from_numpy(target), speakers, metric=metric, seed=2)
        assert torch.equal(first.low, again.low) and torch.equal(first.high, again.high)
        assert not (torch.equal(first.low, other.low) and torch.equal(first.high, other.high))
        assert (first.low <= first.high).all()
    single = bootstrap_interval(scores[0], torch.from_numpy(target), speakers)
    assert single.low.shape == ()


def test_replicates_without_a_kind_of_trial_are_drawn_again() -> None:
    speakers, target = np.array([["a", "a"], ["a", "b"], ["b", "b"]]), np.array([True, False, True])
    weights = speaker_weights(target, speakers, replicates=30, seed=0)  # half of all draws hold one speaker twice
    assert (weights == 1).all()


@pytest.mark.parametrize(
    ("speakers", "target", "sentence"),
    [
        ([["a", "a"], ["a", "b"]], [True, True], "Trial 1 is marked target but its speakers are a and b"),
        ([["a", "a"], ["b", "b"]], [True, False], "Trial 1 is marked non-target"),
        ([["a", "a"]], [True, False], "do not fit 2 trials"),
        ([["a", "a"]], [True], "too few"),
    ],
)
def test_speakers_that_contradict_the_trials_are_refused(
    speakers: list[list[str]], target: list[bool], sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        speaker_weights(np.array(target), np.array(speakers), replicates=3, seed=0)


def test_one_walk_gives_what_each_function_gives() -> None:
    generator = torch.Generator().manual_seed(6)
    target = torch.rand(900, generator=generator) < 0.5
    scores = torch.randn(4, 900, generator=generator) + 2 * target
    for given_scores in (scores, scores[0]):
        found = error_rates(given_scores, target, (0.01, 0.05))
        assert torch.equal(found.eer, eer(given_scores, target))
        for number, prior in enumerate((0.01, 0.05)):
            assert torch.equal(found.costs[number], min_dcf(given_scores, target, p_target=prior))
            assert torch.equal(found.fewest[number], fewest_errors(given_scores, target, p_target=prior))
