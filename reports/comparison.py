"""Does run B protect at least as well as run A, on average over the incorrect keys?

Differences are in the direction of safety: positive means that B's incorrect keys work worse, which is what
the owner wants. The verdict rests on one test, so that equal runs are told apart in about 5 % of the cases: whether
the 95 % bootstrap interval over keys of the difference of the means leaves out zero. (Measured: 4 to 6 %; 8 % for
5 keys beside 100.) Both runs are resampled independently. A run that tried every key there is, is not resampled;
where both did, the difference is exact and decides alone. It says nothing about other speakers or utterances.

A percentile interval is too narrow for few keys (two runs of 10 equal keys would differ in 8 % of the cases), so its
tails are cut where that makes it as wide as Student's ("expanded percentile interval", Hesterberg 2015, The American
Statistician 69:371); with fewer than `FEWEST` keys there is no interval and
no verdict.

The best keys for an attacker are described without a verdict: the 5 % of them that work best, with a bootstrap
interval, and the worst key, without, because the bootstrap of an extreme is inconsistent (Efron & Tibshirani
1993, section 7.4). The worst of many keys is worse than the worst of few by chance alone, so worst keys are compared
at the same number of keys: the expected worst of m keys drawn from each run, m being the smaller number.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from keys.errors import BadInput
from reports.metrics import Metric
from reports.runs import Run
from reports.statistics import (
    FEW_KEYS,
    FEWEST,
    RESAMPLES,
    Array,
    Estimate,
    KeyStatistics,
    Statistic,
    bootstrap,
    mean,
    summarise_all,
)

TAIL = 0.05  # share of the keys, those that work best


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found; differences are B minus A in the direction of safety, in the metric's unit.

    mean: with its 95 % interval over keys: the verdict rests on it alone.
    tail: the 5 % quantile on the attacker's side (the 95 % quantile of an accuracy), with an interval; descriptive.
    worst: the expected worst of as many keys as the smaller run has; descriptive.
    variance_ratio: variance of B over variance of A (None where a run has one key or A does not vary).
    ks_statistic, ks_p: two-sample Kolmogorov-Smirnov test.
    verdict: "better", "no difference shown" or "worse".  warnings: sentences about what else differs.
    """

    a: KeyStatistics
    b: KeyStatistics
    mean: Estimate
    tail: Estimate
    worst: float
    variance_ratio: float | None
    ks_statistic: float
    ks_p: float
    verdict: str
    warnings: tuple[str, ...]

    @property
    def negative(self) -> bool:
        """The answer to the question is no."""
        return self.verdict == "worse"

    def __str__(self) -> str:
        metric = self.a.metric
        ratio = "–" if self.variance_ratio is None else f"{self.variance_ratio:.2f}"
        lines = [
            f"A: {self.a.label}: {self.a.n:,} keys, mean {metric.words(self.a.mean.value)}, "
            f"worst key {metric.words(self.a.worst.score.value)}",
            f"B: {self.b.label}: {self.b.n:,} keys, mean {metric.words(self.b.mean.value)}, "
            f"worst key {metric.words(self.b.worst.score.value)}",
            f"B's mean is {self._safer_by(self.mean)}.",
            f"Description: what B's best {100 * TAIL:g} % of keys reach is {self._safer_by(self.tail)}.",
            f"Description: B's worst of {min(self.a.n, self.b.n):,} keys is {_gain(self.worst, metric)}.",
            f"Variance of B over A: {ratio}.",
            f"Kolmogorov-Smirnov test: D = {self.ks_statistic:.3f}, p = {self.ks_p:.2g}.",
            *self.warnings,
            f"Does B protect at least as well as A, on average over keys? {_ANSWERS[self.verdict]} "
            "(This rests on the means alone.)",
        ]
        return "\n".join(lines)

    def _safer_by(self, estimate: Estimate) -> str:
        metric = self.a.metric
        text = _gain(estimate.value, metric)
        if estimate.low is None or estimate.high is None:
            return (
                f"{text} ({'no interval: too few keys' if _sampled(self.a, self.b) else 'exact: every key was tried'})"
            )
        low, high = (f"{value:+.{metric.decimals}f}" for value in (estimate.low, estimate.high))
        return f"{text} (95 % interval of the gain: {low} to {high})"


_ANSWERS = {
    "better": "Yes: better.",
    "no difference shown": "No difference shown.",
    "worse": "No: worse.",
}


def compare(run_a: Run, run_b: Run, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Compare two runs of the same task by the metric that speaks for it.

    "worse" or "better": the interval of the difference of the means lies below or above zero. Raises BadInput
    when the tasks or metrics differ.
    """
    if run_a.task != run_b.task:
        raise BadInput(
            f"{run_a.folder} is a run of {run_a.task} and {run_b.folder} of {run_b.task}: compare runs of one task."
        )
    if run_a.metric != run_b.metric:
        raise BadInput(
            f"{run_a.folder} measured {run_a.metric} and {run_b.folder} {run_b.metric}: compare runs of one metric."
        )
    a, b = summarise_all([run_a, run_b])
    sign = 1.0 if a.metric.higher_is_safer else -1.0
    size = min(a.n, b.n)
    worst, tail = _worst_of(size, a.metric), _tail(a.metric)
    means = _difference(a, b, mean, resamples, seed, sign)
    test = stats.ks_2samp(a.values, b.values)
    return Comparison(
        a,
        b,
        means,
        _difference(a, b, tail, resamples, seed, sign),
        sign * float(worst(b.values) - worst(a.values)),
        b.variance.value / a.variance.value if a.variance and b.variance and a.variance.value > 0 else None,
        float(test.statistic),
        float(test.pvalue),
        _verdict(means) if min(_sampled(a, b), default=FEWEST) >= FEWEST else "no difference shown",
        tuple(_warnings(a, b)),
    )


def _sampled(a: KeyStatistics, b: KeyStatistics) -> list[int]:
    """Numbers of keys of the runs whose keys are a sample."""
    return [side.n for side in (a, b) if not side.run.exhaustive]


def _difference(
    a: KeyStatistics, b: KeyStatistics, statistic: Statistic, resamples: int, seed: int, sign: float
) -> Estimate:
    value = sign * float(statistic(b.values) - statistic(a.values))
    sampled = _sampled(a, b)
    if min(sampled, default=0) < FEWEST:
        return Estimate(value)
    replicates = [
        np.full(resamples, float(statistic(side.values)))
        if side.run.exhaustive
        else bootstrap(side.values, statistic, resamples, seed + number)
        for number, side in enumerate((a, b))
    ]
    low, high = np.quantile(sign * (replicates[1] - replicates[0]), _tails(min(sampled)))
    return Estimate(value, float(low), float(high))


def _tails(keys: int) -> tuple[float, float]:
    """Probabilities of a 95 % expanded percentile interval for a sample of that many keys."""
    low = float(stats.norm.cdf(math.sqrt(keys / (keys - 1)) * stats.t.ppf(0.025, keys - 1)))
    return low, 1 - low


def _tail(metric: Metric) -> Statistic:
    """The score that the best 5 % of the keys reach, best for an attacker."""
    probability = TAIL if metric.higher_is_safer else 1 - TAIL
    return lambda values: np.asarray(np.quantile(values, probability, axis=-1))


def _worst_of(size: int, metric: Metric) -> Statistic:
    """The expected worst of `size` values drawn without replacement: the worst where size is all of them."""

    def statistic(values: Array) -> Array:
        ordered = np.sort(values, axis=-1)
        if not metric.higher_is_safer:
            ordered = ordered[..., ::-1]
        return np.asarray(ordered @ _rank_weights(values.shape[-1], size))

    return statistic


def _rank_weights(count: int, size: int) -> NDArray[np.float64]:
    """Probability that the i-th smallest of n = `count` values is the smallest of m = `size` drawn.

    C(n − i, m − 1) / C(n, m), for i = 1 … n.
    """
    left = np.arange(count - 1, -1, -1)  # values larger than the i-th smallest
    enough = left >= size - 1
    weights = np.zeros(count)
    weights[enough] = np.exp(_log_binomial(left[enough], size - 1) - _log_binomial(np.array([count]), size))
    return np.asarray(weights / weights.sum())


def _log_binomial(n: NDArray[np.int_], k: int) -> Array:
    return np.asarray(special.gammaln(n + 1) - math.lgamma(k + 1) - special.gammaln(n - k + 1))


def _verdict(difference: Estimate) -> str:
    low = difference.value if difference.low is None else difference.low
    high = difference.value if difference.high is None else difference.high
    if high < -1e-9:  # less is rounding
        return "worse"
    return "better" if low > 1e-9 else "no difference shown"


def _warnings(a: KeyStatistics, b: KeyStatistics) -> list[str]:
    sentences = []
    for what, left, right in (
        ("model", a.run.model, b.run.model),
        ("corpus", a.run.corpus, b.run.corpus),
        ("threat variant", a.run.variant, b.run.variant),
        ("way to cut blocks", a.run.blocks, b.run.blocks),
    ):
        if left != right:
            sentences.append(f"The {what} differs: {left} in A, {right} in B.")
    contents = ("weights", "weights"), ("corpus content", "corpus"), ("trials", "trials")
    for what, key in (*contents, ("text normalisation", "text")):
        left, right = (str(run.section("identity").get(key)) for run in (a.run, b.run))
        named = {"weights": a.run.model != b.run.model, "corpus": a.run.corpus != b.run.corpus}.get(key, False)
        if left != right and not named:
            sentences.append(f"The {what} differ{'s' if key in ('corpus', 'text') else ''} between A and B.")
    for name, result in (("A", a), ("B", b)):
        sentences += [f"{name}: {caution}" for caution in result.run.cautions]
        if not result.run.finished:
            sentences.append(f"{name} is {result.run.state}.")
        if result.n < FEW_KEYS and not result.run.exhaustive:
            keys = f"{result.n} key{'s' if result.n != 1 else ''}"
            rough = "too few for a verdict" if result.n < FEWEST else "its interval is rough"
            sentences.append(f"{name} has only {keys}: {rough}.")
    if a.n != b.n:
        sentences.append(
            f"A has {a.n:,} keys and B {b.n:,}: the worst keys are compared at {min(a.n, b.n):,} keys each."
        )
    return sentences


def _gain(value: float, metric: Metric) -> str:
    unit = " points" if metric.unit else ""
    return f"{abs(value):.{metric.decimals}f}{unit} {'safer' if value >= 0 else 'less safe'}"
