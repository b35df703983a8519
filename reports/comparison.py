"""Does run B protect at least as well as run A?

Differences are in the direction of safety: positive means that B's incorrect keys work worse, which is what
the owner wants. Intervals are 95 % percentile bootstrap intervals over keys, both runs resampled
independently; a run that tried every key there is, is not resampled. They say nothing about other speakers
or utterances.

The worst of many keys is worse than the worst of few by chance alone, so worst keys are compared at the same
number of keys: the expected worst of m keys drawn from each run, m being the smaller number. (The bootstrap
of an extreme is rough: its replicates cannot lie beyond the data. It is given because the worst key matters
most.)
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
    RESAMPLES,
    Array,
    Estimate,
    KeyStatistics,
    Statistic,
    bootstrap,
    mean,
    percentile_interval,
    summarise_all,
)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found. mean, worst: B minus A in the direction of safety, with 95 % intervals over keys.

    variance_ratio: variance of B over variance of A (None where a run has one key or A does not vary).
    ks_statistic, ks_p: two-sample Kolmogorov-Smirnov test.
    verdict: "better", "no difference shown" or "worse".  warnings: sentences about what else differs.
    """

    a: KeyStatistics
    b: KeyStatistics
    mean: Estimate
    worst: Estimate
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
            f"B's mean is {_safer_by(self.mean, metric)}.",
            f"B's worst of {min(self.a.n, self.b.n):,} keys is {_safer_by(self.worst, metric)}.",
            f"Variance of B over A: {ratio}.",
            f"Kolmogorov-Smirnov test: D = {self.ks_statistic:.3f}, p = {self.ks_p:.2g}.",
            *self.warnings,
            f"Does B protect at least as well as A? {_ANSWERS[self.verdict]}",
        ]
        return "\n".join(lines)


_ANSWERS = {
    "better": "Yes: better.",
    "no difference shown": "No difference shown.",
    "worse": "No: worse.",
}


def compare(run_a: Run, run_b: Run, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Compare two runs of the same task by the metric that speaks for it.

    "worse": the interval of the mean's or of the worst key's difference lies below zero. "better": neither
    does, and at least one lies above. Raises BadInput when the tasks or metrics differ.
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
    worst = _worst_of(size, a.metric)
    means = _difference(a, b, mean, resamples, seed, sign)
    worsts = _difference(a, b, worst, resamples, seed, sign)
    test = stats.ks_2samp(a.values, b.values)
    return Comparison(
        a,
        b,
        means,
        worsts,
        b.variance.value / a.variance.value if a.variance and b.variance and a.variance.value > 0 else None,
        float(test.statistic),
        float(test.pvalue),
        _verdict(means, worsts),
        tuple(_warnings(a, b)),
    )


def _difference(
    a: KeyStatistics, b: KeyStatistics, statistic: Statistic, resamples: int, seed: int, sign: float
) -> Estimate:
    value = sign * float(statistic(b.values) - statistic(a.values))
    if a.run.exhaustive and b.run.exhaustive:
        return Estimate(value)
    replicates = [
        np.full(resamples, float(statistic(side.values)))
        if side.run.exhaustive
        else bootstrap(side.values, statistic, resamples, seed + number)
        for number, side in enumerate((a, b))
    ]
    return Estimate(value, *percentile_interval(sign * (replicates[1] - replicates[0])))


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


def _verdict(*differences: Estimate) -> str:
    lows = [d.value if d.low is None else d.low for d in differences]
    highs = [d.value if d.high is None else d.high for d in differences]
    if min(highs) < 0:
        return "worse"
    return "better" if max(lows) > 0 else "no difference shown"


def _warnings(a: KeyStatistics, b: KeyStatistics) -> list[str]:
    sentences = []
    for what, left, right in (
        ("model", a.run.model, b.run.model),
        ("corpus", a.run.corpus, b.run.corpus),
        ("threat variant", a.run.variant, b.run.variant),
    ):
        if left != right:
            sentences.append(f"The {what} differs: {left} in A, {right} in B.")
    for what, key in (("weights", "weights"), ("corpus content", "corpus"), ("trials", "trials")):
        left, right = (str(run.section("identity").get(key)) for run in (a.run, b.run))
        named = {"weights": a.run.model != b.run.model, "corpus": a.run.corpus != b.run.corpus}.get(key, False)
        if left != right and not named:
            sentences.append(f"The {what} differ{'s' if key == 'corpus' else ''} between A and B.")
    for name, result in (("A", a), ("B", b)):
        if not result.run.finished:
            sentences.append(f"{name} is {result.run.state}.")
        elif result.n < FEW_KEYS and not result.run.exhaustive:
            sentences.append(f"{name} has only {result.n} key{'s' if result.n != 1 else ''}: its interval is rough.")
    if a.n != b.n:
        sentences.append(
            f"A has {a.n:,} keys and B {b.n:,}: the worst keys are compared at {min(a.n, b.n):,} keys each."
        )
    return sentences


def _safer_by(estimate: Estimate, metric: Metric) -> str:
    unit = " points" if metric.unit else ""
    direction = "safer" if estimate.value >= 0 else "less safe"
    text = f"{abs(estimate.value):.{metric.decimals}f}{unit} {direction}"
    if estimate.low is None or estimate.high is None:
        return f"{text} (exact: every key was tried)"
    low, high = (f"{value:+.{metric.decimals}f}" for value in (estimate.low, estimate.high))
    return f"{text} (95 % interval of the gain: {low} to {high})"
