"""How often the intervals over keys hold the true number: ``python benchmarks/simulate_intervals.py`` (three minutes).

The tables of docs/statistics.md, "Intervals over keys" and "Tails and guesses". Scores of keys are drawn from
distributions whose mean, variance and quantiles are known; an interval for 95 % should hold the true number in 95 % of
the samples.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from wrongkey.reports.metrics import METRICS
from wrongkey.reports.statistics.intervals import (
    mean_interval,
    picked_interval,
    quantile_interval,
    quantile_ranks,
    variance_interval,
)
from wrongkey.reports.statistics.key_statistics import bootstrap, guess_numbers, mean, variance

Array = NDArray[np.float64]
Generator = np.random.Generator
SIZES = (5, 10, 30, 100, 1_000)
QUANTILES = (0.05, 0.25, 0.5)
WEAK_SHARE, WEAK, STRONG = 0.05, (10.0, 1.0), (30.0, 4.0)  # a mixture: mean and sd of EERs of weak and of other keys


@dataclass(frozen=True)
class Scores:
    """A distribution of key scores: draw(generator, shape), and what is true of it."""

    name: str
    draw: Callable[[Generator, tuple[int, ...]], Array]
    mean: float
    variance: float
    quantile: Callable[[float], float]


def known(name: str, law: stats.rv_continuous) -> Scores:  # a frozen distribution of scipy
    """A distribution of scipy with its true mean, variance and quantiles."""
    return Scores(
        name,
        lambda generator, shape: np.asarray(law.rvs(size=shape, random_state=generator)),
        float(law.mean()),
        float(law.var()),
        lambda q: float(law.ppf(q)),
    )


def draw_mixture(generator: Generator, shape: tuple[int, ...]) -> Array:
    """Scores of keys of which some are weak."""
    weak = generator.random(shape) < WEAK_SHARE
    return np.where(weak, generator.normal(*WEAK, shape), generator.normal(*STRONG, shape))


def mixture_quantile(probability: float) -> float:
    """A quantile of that mixture, by its distribution function on a grid."""
    grid = np.linspace(0, 60, 600_001)
    below = WEAK_SHARE * stats.norm.cdf(grid, *WEAK) + (1 - WEAK_SHARE) * stats.norm.cdf(grid, *STRONG)
    return float(np.interp(probability, below, grid))


MIXTURE = Scores(
    "5 % weak keys",
    draw_mixture,
    WEAK_SHARE * WEAK[0] + (1 - WEAK_SHARE) * STRONG[0],
    WEAK_SHARE * WEAK[1] ** 2
    + (1 - WEAK_SHARE) * STRONG[1] ** 2
    + WEAK_SHARE * (1 - WEAK_SHARE) * (STRONG[0] - WEAK[0]) ** 2,
    mixture_quantile,
)
SCORES = (
    known("normal", stats.norm(30, 4)),
    known("gamma 4", stats.gamma(4)),
    known("gamma 3", stats.gamma(3)),
    known("gamma 2", stats.gamma(2)),
    known("gamma 1", stats.gamma(1)),
    known("lognormal 0.5", stats.lognorm(0.5)),
    known("lognormal 1", stats.lognorm(1)),
    MIXTURE,
)


def coverage(interval: tuple[Array, Array], true: float | Array) -> float:
    """Share of the intervals that hold the true number."""
    low, high = interval
    return float(((low <= true) & (true <= high)).mean())


def percentile(values: Array, statistic: Callable[[Array], Array]) -> tuple[Array, Array]:
    """What a report showed before: the percentile bootstrap, for `(samples, keys)`."""
    ends = [np.quantile(bootstrap(sample, statistic, 1000, seed), (0.025, 0.975)) for seed, sample in enumerate(values)]
    low, high = np.array(ends).T
    return low, high


def bca(values: Array) -> tuple[Array, Array]:
    """Efron's bias-corrected and accelerated bootstrap of means, for `(samples, keys)`."""
    found = stats.bootstrap((values,), np.mean, axis=-1, n_resamples=1000, method="BCa", rng=0).confidence_interval
    return found.low, found.high


def student(values: Array) -> tuple[Array, Array]:
    """Student's interval of means, for `(samples, keys)`."""
    reach = stats.t.ppf(0.975, values.shape[1] - 1) * values.std(1, ddof=1) / np.sqrt(values.shape[1])
    return values.mean(1) - reach, values.mean(1) + reach


def picked_coverage(keys: int, spread: float, samples: int, generator: Generator) -> tuple[float, float]:
    """Coverage of the best key's true score by its own interval and by the corrected one.

    spread: standard deviation of the true scores over keys, in standard errors of one score. Half of the error's
    variance is shared by all keys, as they are scored on the same speakers.
    """
    truth = spread * generator.normal(size=(samples, keys))
    error = np.sqrt(0.5) * (generator.normal(size=(samples, 1)) + generator.normal(size=(samples, keys)))
    best = (truth + error).argmin(1)
    rows = np.arange(samples)
    value, true, reach = (truth + error)[rows, best], truth[rows, best], stats.norm.isf(0.025)
    low, high = value - reach, value + reach
    corrected = picked_interval(value, low, high, keys, lowest=True)
    return coverage((low, high), true), coverage(corrected, true)


def close_coverage(keys: int, shared: float, plain_error: float, samples: int, generator: Generator) -> float:
    """How often the true number of keys within 5 points of plain lies between `GuessNumber.fewest` and `most`.

    True EERs: plain 8 %, keys normal with mean 20 and sd 6. Errors: sd 1 of a key, `plain_error` of the plain score;
    `shared` of their variance is common to all, as they are scored on the same speakers.
    """
    held = 0
    for _ in range(samples):
        common, apart = np.sqrt(shared) * generator.normal(), np.sqrt(1 - shared)
        truth = generator.normal(20, 6, keys)
        scores = truth + common + apart * generator.normal(size=keys)
        plain = 8 + plain_error * (common + apart * generator.normal())
        reach = float(stats.norm.isf(0.025))
        found = guess_numbers(scores, plain, METRICS["eer"], own=(scores - reach, scores + reach))[-1]
        assert found.fewest is not None and found.most is not None
        held += found.fewest <= (truth <= 8 + found.distance).sum() <= found.most
    return held / samples


def table(title: str, cell: Callable[[Scores, int], float], sizes: Sequence[int] = SIZES) -> None:
    """Print a cell for every distribution and number of keys."""
    print(f"\n{title}\n\n| scores of keys | " + " | ".join(f"{size:,} keys" for size in sizes) + " |")
    print("| :--- | " + " | ".join("---:" for _ in sizes) + " |")
    for scores in SCORES:
        shares = (cell(scores, size) for size in sizes)
        print(f"| {scores.name} | " + " | ".join(f"{share:.3f}" for share in shares) + " |", flush=True)


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--samples", type=int, default=10_000, help="samples of keys for each cell")
    options.add_argument("--resampled", type=int, default=500, help="of them with a bootstrap, for the rule before")
    asked = options.parse_args()
    generator = np.random.default_rng(0)

    def drawn(scores: Scores, size: int) -> Array:
        return scores.draw(generator, (asked.samples if size < 1000 else max(asked.samples // 4, 1), size))

    def resampled(scores: Scores, size: int) -> Array:
        return scores.draw(generator, (asked.resampled, size))

    table(
        "Mean, percentile bootstrap (before)",
        lambda scores, size: coverage(percentile(resampled(scores, size), mean), scores.mean),
    )
    table("Mean, Student", lambda scores, size: coverage(student(drawn(scores, size)), scores.mean))
    table(
        "Mean, Student and Hall (now)",
        lambda scores, size: coverage(mean_interval(drawn(scores, size)), scores.mean),
    )
    table(
        "Variance, percentile bootstrap (before)",
        lambda scores, size: coverage(percentile(resampled(scores, size), variance), scores.variance),
    )
    table(
        "Variance, Bonett (now, from 100 keys on)",
        lambda scores, size: coverage(variance_interval(drawn(scores, size)), scores.variance),
    )
    print("\nQuantiles, order statistics: the lowest coverage over the distributions (ranks)\n")
    for q in QUANTILES:
        cells = []
        for size in SIZES:
            found = [(scores, quantile_interval(drawn(scores, size), q)) for scores in SCORES]
            held = [coverage(interval, scores.quantile(q)) for scores, interval in found if interval is not None]
            cells.append(f"{min(held):.3f} {quantile_ranks(size, q)}" if held else "–")
        print(f"| {100 * q:.0f} % | " + " | ".join(cells) + " |", flush=True)
    print("\nBest key: own interval, corrected interval; rows: sd of true scores in standard errors of one score\n")
    for spread in (0.0, 0.5, 2.0, 10.0):
        shares = [picked_coverage(size, spread, asked.samples, generator) for size in SIZES]
        print(f"| {spread:g} | " + " | ".join(f"{own:.3f}, {corrected:.3f}" for own, corrected in shares) + " |")
    print(
        "\nKeys within 5 points of plain; rows: shared part of the errors' variance, plain score's error over a key's\n"
    )
    for shared in (0.0, 0.5, 0.9):
        for error in (0.5, 1.0):
            held_shares = (close_coverage(size, shared, error, asked.samples // 5, generator) for size in SIZES)
            print(f"| {shared:g}, {error:g} | " + " | ".join(f"{cell:.3f}" for cell in held_shares) + " |", flush=True)
    own = np.random.default_rng(0)
    table(
        "Mean, BCa (tried)",
        lambda scores, size: coverage(bca(scores.draw(own, (asked.resampled, size))), scores.mean),
        sizes=(5, 10, 30),
    )
    print("\nWidth of the interval for a mean over Student's, normal scores\n")
    for size in SIZES:
        values = SCORES[0].draw(own, (2500, size))
        (low, high), (first, last) = mean_interval(values), student(values)
        print(f"{size:,} keys: {((high - low) / (last - first)).mean():.2f}", flush=True)


if __name__ == "__main__":
    main()
