"""What a distribution of scores over incorrect keys says, in numbers.

A statement about keys carries a percentile bootstrap interval over keys (seeded; Efron & Tibshirani 1993,
ch. 13). Where every incorrect key there is was tried (a small key space, enumerated), nothing was sampled, so
the numbers are exact and have no interval. Fewer than `FEWEST` sampled keys have none either: resampling them
shows certainty that is not there. The interval of a single key, such as the worst one, is its own
(over speakers or utterances) as the run measured it: it does not know that the key was picked as the extreme.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from reports.metrics import Metric, get_metric
from reports.runs import Run, run_labels

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]  # (..., keys) -> (...)
QUANTILES = (0.05, 0.25, 0.75, 0.95)
RESAMPLES = 2000
FEWEST = 5  # sampled keys: 5 scores lie on one side of a number in 1 of 16 cases, which no resampling can see
FEW_KEYS = 30  # below this intervals are rough and a kernel density says more than the data
_RESAMPLED_VALUES = 4_000_000  # held in memory at once


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; `low` and `high` are None where it is exact or rests on too few keys."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class WorstKey:
    """The incorrect key that works best, so the worst one for the owner, with its own interval."""

    key_seed: int
    key_index: int
    score: Estimate


@dataclass(frozen=True)
class GuessNumber:
    """How many random keys an attacker draws on average until one comes within `distance` of the plain model.

    hits of tried keys came that close. Of a sample of keys, expected = tried / hits (infinite when none did) with
    Clopper and Pearson's 95 % interval; when no key came that close, `low` is tried / 3 by the rule of three.
    Where every key there is was tried (`exhaustive`), a guesser who repeats none needs (tried + 1) / (hits + 1) on
    average, the mean of the negative hypergeometric distribution: exact, without an interval.
    """

    distance: float
    hits: int
    tried: int
    exhaustive: bool

    @property
    def expected(self) -> float:
        if not self.hits:
            return math.inf
        return (self.tried + 1) / (self.hits + 1) if self.exhaustive else self.tried / self.hits

    @property
    def low(self) -> float:
        if self.exhaustive:
            return self.expected
        if not self.hits:
            return max(1.0, self.tried / 3)
        misses = self.tried - self.hits
        return 1.0 / float(stats.beta.ppf(0.975, self.hits + 1, misses)) if misses else 1.0

    @property
    def high(self) -> float:
        if self.exhaustive or not self.hits:
            return self.expected
        return 1.0 / float(stats.beta.ppf(0.025, self.hits, self.tried - self.hits + 1))

    def __str__(self) -> str:
        if self.hits and self.exhaustive:
            return _count(self.expected)
        if self.hits:
            return f"{_count(self.expected)} [{_count(self.low)}, {_count(self.high)}]"
        if self.exhaustive:
            return "no key does"
        return f"> {self.tried:,} [≥ {_count(self.low)}]"


@dataclass(frozen=True, eq=False)
class KeyStatistics:
    """The scores of one run's incorrect keys for one metric, summarised. Values are in the metric's unit.

    values: (keys,) in the order of the key index.  quantiles: probability -> value, for `QUANTILES`.
    variance: with n − 1 in the denominator; None for a single key, like sd.
    plain, correct, plain_query: None where the run holds no such score; over several keys they are means.
    """

    run: Run
    label: str
    metric: Metric
    values: Array
    mean: Estimate
    variance: Estimate | None
    median: float
    quantiles: dict[float, float]
    worst: WorstKey
    plain: Estimate | None
    correct: Estimate | None
    plain_query: Estimate | None
    guesses: tuple[GuessNumber, ...]

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def sd(self) -> float | None:
        return None if self.variance is None else math.sqrt(self.variance.value)

    @property
    def correct_minus_plain(self) -> float | None:
        """The self-check a reader makes first: the correct key must give the plain model's score."""
        if self.correct is None or self.plain is None:
            return None
        return self.correct.value - self.plain.value

    @property
    def coincides(self) -> bool:
        """The correct key scores as the plain model does, up to a tenth of the smallest distance."""
        gap = self.correct_minus_plain
        return gap is None or abs(gap) <= self.metric.distances[0] / 10


def summarise(
    run: Run, metric: str | None = None, label: str | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> KeyStatistics:
    """Statistics of a run's incorrect keys for one metric (by default the one that speaks for the task)."""
    chosen = get_metric(metric or run.metric, run.classes)
    values = run.incorrect(chosen.name)
    plain = _condition(run, "plain", chosen.name)
    return KeyStatistics(
        run=run,
        label=label or run_labels([run])[0],
        metric=chosen,
        values=values,
        mean=_over_keys(run, values, mean, resamples, seed),
        variance=_over_keys(run, values, variance, resamples, seed) if len(values) > 1 else None,
        median=float(np.median(values)),
        quantiles={q: float(v) for q, v in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)},
        worst=_worst_key(run, chosen),
        plain=plain,
        correct=_condition(run, "correct", chosen.name),
        plain_query=_condition(run, "plain_query", chosen.name),
        guesses=() if plain is None else guess_numbers(values, plain.value, chosen, run.exhaustive),
    )


def summarise_all(runs: Iterable[Run], metric: str | None = None) -> list[KeyStatistics]:
    """`summarise` for several runs, with labels that tell them apart."""
    runs = list(runs)
    return [summarise(run, metric, label) for run, label in zip(runs, run_labels(runs), strict=True)]


def mean(values: Array) -> Array:
    return np.asarray(values.mean(axis=-1))


def variance(values: Array) -> Array:
    return np.asarray(values.var(axis=-1, ddof=1))


def bootstrap(values: Array, statistic: Statistic, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """The statistic of `resamples` samples of (keys,) values drawn with replacement: (resamples,)."""
    rng = np.random.default_rng(seed)
    rows = max(1, _RESAMPLED_VALUES // len(values))
    sizes = [min(rows, resamples - done) for done in range(0, resamples, rows)]
    drawn = (rng.integers(len(values), size=(size, len(values))) for size in sizes)
    return np.concatenate([statistic(values[index]) for index in drawn])


def percentile_interval(replicates: Array) -> tuple[float, float]:
    low, high = np.quantile(replicates, (0.025, 0.975))
    return float(low), float(high)


def guess_numbers(values: Array, plain: float, metric: Metric, exhaustive: bool = False) -> tuple[GuessNumber, ...]:
    """Guess numbers for each of the metric's distances."""
    return tuple(
        GuessNumber(distance, int(metric.within(values, plain, distance).sum()), len(values), exhaustive)
        for distance in metric.distances
    )


def _over_keys(run: Run, values: Array, statistic: Statistic, resamples: int, seed: int) -> Estimate:
    value = float(statistic(values))
    if run.exhaustive or len(values) < FEWEST:
        return Estimate(value)
    return Estimate(value, *percentile_interval(bootstrap(values, statistic, resamples, seed)))


def _condition(run: Run, condition: str, metric: str) -> Estimate | None:
    rows = run.rows(condition, metric)
    if len(rows) == 1:
        return _own_interval(rows.iloc[0])
    return Estimate(float(rows["value"].mean())) if len(rows) else None


def _worst_key(run: Run, metric: Metric) -> WorstKey:
    rows = run.rows("incorrect", metric.name)
    row = rows.iloc[metric.best_for_attacker(rows["value"].to_numpy(dtype=np.float64))]
    return WorstKey(int(row["key_seed"]), int(row["key_index"]), _own_interval(row))


def _own_interval(row: pd.Series) -> Estimate:
    value, low, high = (float(row[column]) for column in ("value", "ci_low", "ci_high"))
    if not (math.isfinite(low) and math.isfinite(high)):
        return Estimate(value)
    return Estimate(value, low, high)


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 or number == round(number) else f"{number:.1f}"
