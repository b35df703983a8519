"""Beyond the keys that were tried: how many random keys an adversary needs, from the tail of the distribution.

Peaks over a threshold: whatever the distribution of scores, its tail beyond a high threshold is nearly a generalised
Pareto distribution (Pickands 1975; Balkema and de Haan 1974). The tail is the owner's worst end: low error rates, high
accuracies. Fitted by the method of Zhang and Stephens (2009, Technometrics 51), which is a closed form, always exists,
and agrees with maximum likelihood (tests/reports/statistics/test_tails.py); intervals are percentile bootstraps over
keys that choose the threshold again each time. An extrapolation is an assumption: `TailEstimate.warning` and
`TailGuess.stable` say where it means nothing. Where even one key came that close, counting replaces it
(`wrongkey.reports.statistics.key_statistics.GuessNumber`).

No extrapolation goes beyond the key space. A fitted tail that ends before the plain score would say "never", which is
impossible: a share of the keys lies so near the correct one that the model cannot tell them apart
(`wrongkey.keys.volume`), so that such a key is reached after at most one over that share of guesses.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from wrongkey.reports.metrics import Metric
from wrongkey.reports.statistics.key_statistics import (
    Array,
    GuessNumber,
    KeyStatistics,
    bound_words,
    count_words,
    power_of_ten,
)

SHARE = 0.1  # of the keys, beyond the threshold
OTHER_SHARES = (0.05, 0.15, 0.2)  # whose thresholds must say the same
FEWEST_EXCEEDANCES = 30
UNSTABLE = 10.0  # factor between the guess numbers of two thresholds
TIED = 0.3  # share of different values among the exceedances below which the scores are too coarse
RESAMPLES = 500
UNREACHED = 1e12  # guesses; larger numbers are all the same
MOST_KEYS = 10_000  # whose shares lie beyond the threshold, however many keys there are: it rises with them
_VALUES = 200_000  # handled at once: what stays in a processor's cache
FACTORS = 16  # of a product: shares of a tail are far from where it would leave the range of numbers


@dataclass(frozen=True)
class TailGuess:
    """Expected random keys until one comes within `distance` of the plain score, by the tail; inf where it ends before.

    hits: how many of the tried keys did.  low, high: 95 % bootstrap interval over keys.  least, most: of the tails
    beyond this and other thresholds.  bound: log10 of the guesses that the key space allows; None where unknown. No
    number is larger than the bound.
    """

    distance: float
    expected: float
    low: float
    high: float
    hits: int
    least: float
    most: float
    bound: float | None = None

    @property
    def counted(self) -> bool:
        """Whether some of the tried keys came this close: counting them needs no assumption."""
        return self.hits > 0

    @property
    def stable(self) -> bool:
        """Whether other thresholds give the same, up to a factor of `UNSTABLE`."""
        return min(self.most, UNREACHED) <= UNSTABLE * min(self.least, UNREACHED)

    @property
    def predicted(self) -> bool:
        """Whether the number is the tail's own: no key was counted, no threshold disagrees, no bound took its place."""
        return not self.counted and self.stable and not self._capped(self.expected)

    def __str__(self) -> str:
        if self.counted:
            return "counted"
        if not self.stable:
            return f"unclear: {self._words(self.least)} to {self._words(self.most)}"
        if not self._capped(self.expected):
            return f"{self._words(self.expected)} [{self._words(self.low)}, {self._words(self.high)}]"
        least = "" if self._capped(self.low) else f" [≥ {self._words(self.low)}]"
        return f"{self._words(self.expected)}{least}"

    def _capped(self, number: float) -> bool:
        return number >= min(power_of_ten(self.bound), UNREACHED)

    def _words(self, number: float) -> str:
        """Such as "1,234"; "at most 20,518" by the key space; "above 10^12" where that is not known, or allows more."""
        if not self._capped(number):
            return count_words(number)
        if self.bound is None or power_of_ten(self.bound) > UNREACHED:
            return "above 10^12"
        return f"at most {bound_words(self.bound)}"


@dataclass(frozen=True)
class TailEstimate:
    """A fitted tail and what follows from it for an adversary.

    threshold: in the metric's unit.  exceedances: how many keys lie beyond it.  shape: ξ (below 0 the tail ends), with
    its 95 % interval.  scale: σ.  warning: why the fit means nothing, empty where it can be used.
    """

    keys: int
    threshold: float
    exceedances: int
    shape: float
    shape_low: float
    shape_high: float
    scale: float
    guesses: tuple[TailGuess, ...]
    warning: str

    @property
    def speaks(self) -> bool:
        """Whether the fit can be used for some distance, if there is one that no key reached."""
        asked = [guess for guess in self.guesses if not guess.counted]
        return not self.warning and (not asked or any(guess.stable for guess in asked))


def fit_tail(
    values: Array,
    plain: float,
    metric: Metric,
    bound: float | None = None,
    seed: int = 0,
    distances: Sequence[float] | None = None,
) -> TailEstimate | None:
    """Fit the tail of the scores `(keys,)` towards the plain model's.

    bound: log10 of the guesses that the key space allows, where it is known; it caps every number of guesses.
    distances: from plain, in the metric's unit; by default the metric's own.
    Returns None for fewer keys than leave five beyond the threshold, and where all scores beyond it are the same.
    """
    gains = -values if metric.higher_is_safer else values  # what an adversary gains: the tail is at the top
    target = -plain if metric.higher_is_safer else plain
    fitted = _fit(_top(gains[None], SHARE))
    if fitted is None:
        return None
    threshold, count, shape, scale = (float(part[0]) for part in fitted)
    resampled = _fit(_resampled_top(gains, SHARE, seed))
    assert resampled is not None
    shares = [fit for share in OTHER_SHARES if (fit := _fit(_top(gains[None], share))) is not None]
    shapes = np.quantile(resampled[2], (0.025, 0.975))
    cap = power_of_ten(bound)
    guesses = []
    for distance in metric.distances if distances is None else distances:
        goal = target - distance
        expected = [min(float(_expected(fit, len(gains), goal)[0]), cap) for fit in (fitted, *shares)]
        replicates = np.minimum(_expected(resampled, len(gains), goal), cap)
        low, high = (float(end) for end in np.quantile(replicates, (0.025, 0.975), method="inverted_cdf"))
        hits = int(metric.within(values, plain, distance).sum())
        guesses.append(TailGuess(distance, expected[0], low, high, hits, min(expected), max(expected), bound))
    return TailEstimate(
        keys=len(gains),
        threshold=-threshold if metric.higher_is_safer else threshold,
        exceedances=int(count),
        shape=shape,
        shape_low=float(shapes[0]),
        shape_high=float(shapes[1]),
        scale=scale,
        guesses=tuple(guesses),
        warning=_warning(gains, threshold, int(count)),
    )


def tail_table(results: Sequence[KeyStatistics]) -> pd.DataFrame | None:
    """For people: what the tails say beyond the keys tried, and where they say nothing; None where no run has a tail.

    Runs that tried every key that exists need no tail and have no row.
    """
    rows = []
    for result, tail in _tails(results):
        words = result.metric.words
        row: dict[str, object] = {"Run": result.label}
        if tail.speaks:
            row["Beyond the threshold"] = f"{tail.exceedances} keys ({_side(result.metric)} {words(tail.threshold)})"
            row["Shape ξ [95 %]"] = f"{tail.shape:.2f} [{tail.shape_low:.2f}, {tail.shape_high:.2f}]"
        for guess, number in zip(tail.guesses, result.guesses, strict=True):
            row[f"Guesses to within {result.metric.distance_words(guess.distance)}"] = _cell(tail, guess, number)
        row["Says nothing because"] = tail.warning or "–"
        rows.append(row)
    table = pd.DataFrame(rows).fillna("–")
    first = [name for name in ("Run", "Beyond the threshold", "Shape ξ [95 %]") if name in table]
    return table[[*first, *(name for name in table if name not in first)]] if rows else None


def _cell(tail: TailEstimate, guess: TailGuess, number: GuessNumber) -> str:
    """The guesses for one distance: counted where some key came that close, else by the tail."""
    if guess.counted:
        return f"counted: {number}"
    return "–" if tail.warning else str(guess)


def _tails(results: Iterable[KeyStatistics]) -> Iterable[tuple[KeyStatistics, TailEstimate]]:
    for result in results:
        if result.plain is not None and not result.run.exhaustive:
            bound = result.guesses[0].limit
            tail = fit_tail(result.values, result.plain.value, result.metric, bound)
            if tail is not None:
                yield result, tail


def zhang_stephens(exceedances: Array) -> tuple[Array, Array]:
    """Shape ξ and scale σ of generalised Pareto samples, `(samples, m)` ascending and above 0, m ≥ 5.

    The likelihood of θ = ξ/σ, with the most likely ξ for each θ, is averaged over a data-driven prior.
    """
    count, m = exceedances.shape
    number = 20 + math.floor(math.sqrt(m))
    rows = max(1, _VALUES // (number * m))
    parts = [_zhang_stephens(exceedances[start : start + rows], number) for start in range(0, count, rows)]
    shape, scale = (np.concatenate(part) for part in zip(*parts, strict=True))
    return shape, scale


def _zhang_stephens(exceedances: Array, number: int) -> tuple[Array, Array]:
    """The same with `number` values of θ, for few enough samples to hold `(samples, number, m)` in memory."""
    _, m = exceedances.shape
    quartile = exceedances[:, math.floor(m / 4 + 0.5) - 1]
    spread = 1 - np.sqrt(number / (np.arange(1, number + 1) - 0.5))
    theta = 1 / exceedances[:, -1:] + spread / (3 * quartile[:, None])  # (samples, number), below 1 / max
    k = -_mean_log(1 - theta[:, :, None] * exceedances[:, None, :])
    with np.errstate(invalid="ignore", divide="ignore"):
        likelihood = m * (np.log(theta / k) + k - 1)
    likelihood = np.where(np.isfinite(likelihood), likelihood, -np.inf)
    weights = np.exp(likelihood - likelihood.max(1, keepdims=True))
    best = (weights * theta).sum(1) / weights.sum(1)
    shape = _mean_log(1 - best[:, None] * exceedances)
    return shape, -shape / best


def _mean_log(values: Array) -> Array:
    """Mean logarithm over the last axis: of products of `FACTORS` values, since a logarithm costs as much as many."""
    *shape, m = values.shape
    whole = m // FACTORS * FACTORS
    products = values[..., :whole].reshape(*shape, FACTORS, -1).prod(-2)
    return np.asarray((np.log(products).sum(-1) + np.log(values[..., whole:]).sum(-1)) / m)


def _top(gains: Array, share: float) -> Array:
    """Of each sample `(samples, keys)` the scores in the share and the last one below it, ascending.

    A share is that of at most `MOST_KEYS` keys. More keys raise the threshold instead: the tail is a generalised Pareto
    distribution only in the limit of high thresholds, and a thousand exceedances give ξ to 0.03.
    """
    m = math.floor(share * min(gains.shape[1], MOST_KEYS))
    return np.sort(np.partition(gains, -m - 1, axis=1)[:, -m - 1 :], axis=1)


def _resampled_top(gains: Array, share: float, seed: int) -> Array:
    """`_top` of `RESAMPLES` samples of the scores `(keys,)`, drawn with replacement."""
    rng, keys = np.random.default_rng(seed), len(gains)
    if keys > MOST_KEYS:
        return _drawn_top(gains, math.floor(share * MOST_KEYS), rng)
    rows = max(1, _VALUES // keys)
    sizes = [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]
    return np.concatenate([_top(gains[rng.integers(keys, size=(size, keys))], share) for size in sizes])


def _drawn_top(gains: Array, m: int, rng: np.random.Generator) -> Array:
    """The same for many keys, of which the m + 1 largest are drawn alone.

    The order statistics of n uniform numbers are S_i / S_{n + 1}, of the partial sums S of exponential ones (Rényi
    1953, "On the theory of order statistics", Acta Mathematica Hungarica 4:191). They are the shares of keys above each
    score drawn.
    """
    keys = len(gains)
    sums = rng.standard_exponential((RESAMPLES, m + 1)).cumsum(axis=1)
    total = sums[:, -1:] + rng.standard_gamma(keys - m, size=(RESAMPLES, 1))
    above = np.floor(keys * sums / total).astype(np.int64)
    return np.sort(gains)[keys - 1 - above[:, ::-1]]


def _fit(top: Array) -> tuple[Array, Array, Array, Array] | None:
    """Threshold, exceedances, ξ and σ of each sample of `_top`; None where there is too little to fit.

    The threshold lies half way between the last score below the share and the first one in it. Exceedances that tie
    with it, as in bootstrap samples of coarse scores, are moved slightly above it.
    """
    m = top.shape[1] - 1
    if m < 5:
        return None
    threshold, top = (top[:, 0] + top[:, 1]) / 2, top[:, 1:]
    reach = top[:, -1] - threshold
    if not reach[0] > 0:
        return None
    hair = 1e-6 * np.maximum(reach, reach.max() * 1e-3)
    shape, scale = zhang_stephens(np.maximum(top - threshold[:, None], hair[:, None]))
    return threshold, np.full(len(top), m), shape, scale


def _expected(fitted: tuple[Array, Array, Array, Array], keys: int, goal: float) -> Array:
    """Expected guesses until a gain of `goal`, for each sample: one over the tail's probability, inf beyond its end.

    A goal on this side of the threshold is taken at the threshold: there is nothing to extrapolate.
    """
    threshold, count, shape, scale = fitted
    excess = np.maximum(goal - threshold, 0) / scale
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        inside = 1 + shape * excess
        left = np.where(np.abs(shape) < 1e-9, np.exp(-excess), np.where(inside > 0, inside ** (-1 / shape), 0.0))
        return keys / (count * left)


def _warning(gains: Array, threshold: float, exceedances: int) -> str:
    """Why the tail cannot be fitted at all; empty where it can."""
    if exceedances < FEWEST_EXCEEDANCES:
        least = math.ceil(FEWEST_EXCEEDANCES / SHARE)
        return f"Only {exceedances} keys lie beyond the threshold: run {least} keys or more."
    beyond = gains[gains > threshold]
    if len(np.unique(np.round(beyond, 9))) < TIED * len(beyond):
        return "The scores are too coarse: most keys beyond the threshold tie."
    return ""


def _side(metric: Metric) -> str:
    return "below" if metric.higher_is_safer else "above"
