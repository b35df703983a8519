"""The distribution of scores over incorrect keys, in numbers.

A statement about keys carries a 95 % interval over keys that was checked to keep its level
(`wrongkey.reports.statistics.intervals`, docs/statistics.md): means from `FEWEST` sampled keys on, quantiles where
order statistics give one, the variance from `FEWEST_FOR_VARIANCE` keys on. Where every incorrect key that exists was
tried (a small key space, enumerated), nothing was sampled, so the numbers are exact and have no interval.

The interval of a single key is its own (over speakers or utterances) as the run measured it; that of the best wrong
key is widened, because the key was picked as the extreme by the same scores
(`wrongkey.reports.statistics.intervals.picked_interval`).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wrongkey.keys.volume import log10_guesses
from wrongkey.printable import brief
from wrongkey.reports.metrics import Metric, get_metric
from wrongkey.reports.runs import Run, run_labels
from wrongkey.reports.statistics.intervals import (
    FEWEST_FOR_VARIANCE,
    mean_interval,
    picked_interval,
    quantile_interval,
    variance_interval,
)
from wrongkey.reports.statistics.proportions import exact_interval

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]  # (..., keys) -> (...)
QUANTILES = (0.05, 0.25, 0.75, 0.95)  # beside the median
RESAMPLES = 2000
FEWEST = 5  # sampled keys: 5 scores lie on one side of a number in 1 of 16 cases, which no interval can see
FAR = 9  # log10 of guesses: a bound beyond that is one of nobody, and is not shown
FEW_KEYS = 30  # below this, intervals are rough and a kernel density shows more than the data do
_RESAMPLED_VALUES = 4_000_000  # held in memory at once


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval.

    `low` and `high` are None where it is exact, or rests on too few keys or on keys that all score the same.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class WorstKey:
    """The incorrect key that works best, so the worst one for the owner.

    score: with its own interval, corrected for the key having been picked by the same scores among `picked` keys.
    """

    key_seed: int
    key_index: int
    score: Estimate
    picked: int


@dataclass(frozen=True)
class GuessNumber:
    """How many random keys an adversary draws on average until one comes within `distance` of the plain model.

    Of a sample of keys, `expected` is tried / hits (infinite where there is no hit) with Clopper and Pearson's 95 %
    interval; without a hit, `low` is tried / 3 by the rule of three. Where every key that exists was tried, an
    adversary who repeats none needs (tried + 1) / (hits + 1) guesses on average, the mean of the negative
    hypergeometric distribution: exact, without an interval. The interval is over keys alone.

    Parameters
    ----------
    distance : float
        In the metric's unit.
    hits, tried : int
        How many of the tried keys came that close.
    exhaustive : bool
        Whether every key that exists was tried.
    fewest, most : int, optional
        How many keys came that close by the ends of their own intervals over speakers or utterances, all on the
        owner's side or all on the adversary's; None where they have no intervals.
    bound : float, optional
        log10 of the guesses that the key space allows (`wrongkey.keys.volume`): by then a key is reached that lies near
        enough to the correct one to unlock the model. It caps `expected` and `high`, unless the keys tried contradict
        it.
    """

    distance: float
    hits: int
    tried: int
    exhaustive: bool
    fewest: int | None = None
    most: int | None = None
    bound: float | None = None

    @property
    def limit(self) -> float | None:
        """The bound where it applies: None where all keys were tried, or too many in vain for it to hold."""
        if self.bound is None or self.exhaustive or power_of_ten(self.bound) < self.low:
            return None
        return self.bound

    @property
    def expected(self) -> float:
        """Guesses on average; infinite where no key came that close."""
        if not self.hits:
            return math.inf
        if self.exhaustive:
            return (self.tried + 1) / (self.hits + 1)
        return min(self.tried / self.hits, power_of_ten(self.limit))

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        if self.exhaustive:
            return self.expected
        if not self.hits:
            return max(1.0, self.tried / 3)
        return 1.0 / exact_interval(self.hits, self.tried)[1]

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        if self.exhaustive:
            return self.expected
        if not self.hits:
            return power_of_ten(self.limit)
        return min(1.0 / exact_interval(self.hits, self.tried)[0], power_of_ten(self.limit))

    @property
    def hits_words(self) -> str:
        """The keys that came that close, and the range by the ends of their own intervals: "20 (12 to 41)"."""
        return f"{self.hits:,}" if self.most is None else f"{self.hits:,} ({self.fewest:,} to {self.most:,})"

    def __str__(self) -> str:
        if self.hits and self.exhaustive:
            return count_words(self.expected)
        if self.hits:
            return f"{count_words(self.expected)} [{count_words(self.low)}, {count_words(self.high)}]"
        if self.exhaustive:
            return "no key does"
        if self.limit is None or self.limit > FAR:
            return f"> {self.tried:,} [≥ {count_words(self.low)}]"
        if power_of_ten(self.limit) < self.tried:
            return f"≤ {bound_words(self.limit)} [≥ {count_words(self.low)}]"
        return f"> {self.tried:,}, at most {bound_words(self.limit)} [≥ {count_words(self.low)}]"


@dataclass(frozen=True, eq=False, repr=False)
class KeyStatistics:
    """The scores of one run's incorrect keys for one metric, summarised. Values are in the metric's unit.

    Parameters
    ----------
    run : Run
        The run.
    label : str
        Its name in tables and figures.
    metric : Metric
        Which metric.
    values : ndarray
        Scores `(keys,)` in the order of the key index.
    mean : Estimate
        Over the incorrect keys.
    variance : Estimate or None
        With n − 1 in the denominator; None for a single key, like `sd`.
    at : dict of float to Estimate
        Probability -> the quantile, for `QUANTILES` and the median.
    worst : WorstKey
        The incorrect key that works best.
    plain, correct, plain_query : Estimate or None
        Of the plain model, of the correct key, and of queries that were not encrypted; None where the run holds no such
        score, means where it holds several.
    guesses : tuple of GuessNumber
        One for each of the metric's distances.
    """

    run: Run
    label: str
    metric: Metric
    values: Array
    mean: Estimate
    variance: Estimate | None
    at: dict[float, Estimate]
    worst: WorstKey
    plain: Estimate | None
    correct: Estimate | None
    plain_query: Estimate | None
    guesses: tuple[GuessNumber, ...]

    def __repr__(self) -> str:
        middle = f"{self.metric.label} {self.metric.words(self.median)} at the median"
        return f"KeyStatistics({brief(self.label, 80)!r}: {self.n:,} incorrect keys, {middle})"

    def _repr_html_(self) -> str:
        from wrongkey.reports.tables import score_table, to_html  # which are made of statistics

        return to_html(score_table([self]))

    @property
    def n(self) -> int:
        """The number of incorrect keys."""
        return len(self.values)

    @property
    def median(self) -> float:
        """Of the scores."""
        return self.at[0.5].value

    @property
    def quantiles(self) -> dict[float, float]:
        """Probability -> value, for `QUANTILES`."""
        return {q: self.at[q].value for q in QUANTILES}

    @property
    def sd(self) -> float | None:
        """Standard deviation of the scores; None for a single key."""
        return None if self.variance is None else math.sqrt(self.variance.value)

    @property
    def correct_minus_plain(self) -> float | None:
        """The self-check that a reader makes first: the correct key must give the plain model's score."""
        if self.correct is None or self.plain is None:
            return None
        return self.correct.value - self.plain.value

    @property
    def coincides(self) -> bool:
        """Whether the correct key scores as the plain model does, up to a tenth of the smallest distance."""
        gap = self.correct_minus_plain
        return gap is None or abs(gap) <= self.metric.distances[0] / 10


def summarise(run: Run, metric: str | None = None, label: str | None = None) -> KeyStatistics:
    """Summarise a run's incorrect keys for one metric.

    Parameters
    ----------
    run : Run
        Of `load_run`.
    metric : str, optional
        By default the run's primary metric.
    label : str, optional
        By default model, scheme and block size.

    Returns
    -------
    KeyStatistics
        Distribution, best wrong key and guess numbers.

    Raises
    ------
    BadInput
        For a metric that the run does not have.
    """
    chosen = get_metric(metric or run.metric, run.classes)
    values = run.incorrect(chosen.name)
    plain = _condition(run, "plain", chosen.name)
    return KeyStatistics(
        run=run,
        label=label or run_labels([run])[0],
        metric=chosen,
        values=values,
        mean=_mean(values, chosen, sampled=not run.exhaustive),
        variance=_variance(values, sampled=not run.exhaustive) if len(values) > 1 else None,
        at={q: _quantile(values, q, sampled=not run.exhaustive) for q in (0.5, *QUANTILES)},
        worst=_worst_key(run, chosen),
        plain=plain,
        correct=_condition(run, "correct", chosen.name),
        plain_query=_condition(run, "plain_query", chosen.name),
        guesses=() if plain is None else _guesses(run, chosen, plain.value),
    )


def summarise_all(runs: Iterable[Run], metric: str | None = None) -> list[KeyStatistics]:
    """Summarise several runs, with labels that distinguish them.

    Parameters
    ----------
    runs : iterable of Run
        Of `load_runs`.
    metric : str, optional
        By default each run's primary metric.

    Returns
    -------
    list of KeyStatistics
        In the order of the runs.

    Raises
    ------
    BadInput
        For a metric that a run does not have.
    """
    runs = list(runs)
    return [summarise(run, metric, label) for run, label in zip(runs, run_labels(runs), strict=True)]


def mean(values: Array) -> Array:
    """Mean `(…)` of samples `(…, keys)`."""
    return np.asarray(values.mean(axis=-1))


def variance(values: Array) -> Array:
    """Variance `(…)` of samples `(…, keys)`, with n − 1 in the denominator."""
    return np.asarray(values.var(axis=-1, ddof=1))


def bootstrap(values: Array, statistic: Statistic, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """The statistic of `resamples` samples of (keys,) values drawn with replacement: (resamples,)."""
    rng = np.random.default_rng(seed)
    rows = max(1, _RESAMPLED_VALUES // len(values))
    sizes = [min(rows, resamples - done) for done in range(0, resamples, rows)]
    drawn = (rng.integers(len(values), size=(size, len(values))) for size in sizes)
    return np.concatenate([statistic(values[index]) for index in drawn])


def guess_numbers(
    values: Array,
    plain: float,
    metric: Metric,
    exhaustive: bool = False,
    own: tuple[Array, Array] | None = None,
    bound: float | None = None,
) -> tuple[GuessNumber, ...]:
    """Guess numbers for each of the metric's distances.

    own: the two ends of every key's own interval, each (keys,).  bound: log10 of the guesses that the key space allows.
    """

    def hits(scores: Array, distance: float) -> int:
        return int(metric.within(scores, plain, distance).sum())

    found = []
    for distance in metric.distances:
        ends = [hits(end, distance) for end in own] if own else []
        number = GuessNumber(distance, hits(values, distance), len(values), exhaustive, bound=bound)
        found.append(replace(number, fewest=min(ends), most=max(ends)) if ends else number)
    return tuple(found)


def power_of_ten(exponent: float | None) -> float:
    """10 to that power; inf for None, and where it is too large for a float."""
    return math.inf if exponent is None or exponent >= 308 else 10.0**exponent


def count_words(number: float) -> str:
    """Write a number of guesses.

    Examples
    --------
    >>> [count_words(number) for number in (1.5, 1234.0, 3.1e8)]
    ['1.5', '1,234', '3e8']
    """
    if number >= 1e6:
        return f"{number:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{number:,.0f}" if number >= 10 or number == round(number) else f"{number:.1f}"


def bound_words(bound: float) -> str:
    """Write an upper bound of guesses from its log10, rounded up.

    Examples
    --------
    >>> bound_words(4.3121), bound_words(45.2)
    ('20,517', '10^46')
    """
    return f"{math.ceil(10**bound - 1e-6):,}" if bound < 6 else f"10^{math.ceil(bound - 1e-9)}"


def _guesses(run: Run, metric: Metric, plain: float) -> tuple[GuessNumber, ...]:
    rows = run.rows("incorrect", metric.name)
    ends = tuple(rows[column].to_numpy(dtype=np.float64) for column in ("ci_low", "ci_high"))
    own = (ends[0], ends[1]) if np.isfinite(ends).all() else None
    bound = log10_guesses(run.scheme, run.size)
    return guess_numbers(run.incorrect(metric.name), plain, metric, run.exhaustive, own, bound)


def _mean(values: Array, metric: Metric, sampled: bool) -> Estimate:
    value = float(mean(values))
    if not sampled or len(values) < FEWEST:
        return Estimate(value)
    low, high = (float(end) for end in mean_interval(values))
    if not math.isfinite(low):
        return Estimate(value)  # all keys tie
    most = math.inf if metric.higher_is_safer else 100.0  # no metric is negative, no accuracy above 100 %
    return Estimate(value, max(low, 0.0), min(high, most))


def _variance(values: Array, sampled: bool) -> Estimate:
    value = float(variance(values))
    if not sampled or len(values) < FEWEST_FOR_VARIANCE:
        return Estimate(value)
    low, high = (float(end) for end in variance_interval(values))
    return Estimate(value, low, high) if math.isfinite(low) else Estimate(value)


def _quantile(values: Array, probability: float, sampled: bool) -> Estimate:
    value = float(np.quantile(values, probability))
    ends = quantile_interval(values, probability) if sampled else None
    return Estimate(value) if ends is None else Estimate(value, *(float(end) for end in ends))


def _condition(run: Run, condition: str, metric: str) -> Estimate | None:
    rows = run.rows(condition, metric)
    if len(rows) == 1:
        return _own_interval(rows.iloc[0])
    return Estimate(float(rows["value"].mean())) if len(rows) else None


def _worst_key(run: Run, metric: Metric) -> WorstKey:
    rows = run.rows("incorrect", metric.name)
    row = rows.iloc[metric.best_for_attacker(rows["value"].to_numpy(dtype=np.float64))]
    own = _own_interval(row)
    if own.low is not None and own.high is not None:
        value, low, high = (np.asarray(end) for end in (own.value, own.low, own.high))
        low, high = picked_interval(value, low, high, len(rows), lowest=metric.higher_is_safer)
        own = Estimate(own.value, float(low), float(high))
    return WorstKey(int(row["key_seed"]), int(row["key_index"]), own, len(rows))


def _own_interval(row: pd.Series) -> Estimate:
    value, low, high = (float(row[column]) for column in ("value", "ci_low", "ci_high"))
    if not (math.isfinite(low) and math.isfinite(high)):
        return Estimate(value)
    return Estimate(value, low, high)
