"""How often minDCF's interval holds the true cost: ``python benchmarks/simulate_min_dcf.py``.

Worlds of speakers for which the truth is known: half of a score's variance is shared by a speaker's trials. Each world
draws its speakers anew; the trials are every pair of a speaker's utterances, and as many pairs of two speakers.
"""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from functools import partial
from math import isnan

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from torch import Tensor

from wrongkey.evaluation.metrics.bootstrap import Interval, basic_interval, percentile_interval, speaker_weights
from wrongkey.evaluation.metrics.error_rates import eer, fewest_errors, min_dcf
from wrongkey.evaluation.tasks.asv import RULE_OF_30

CASES = (  # speakers, utterances of each, EER in percent (a plain model's, an incorrect key's), worlds
    (20, 5, 10.0, 200),
    (100, 5, 10.0, 200),
    (100, 5, 30.0, 200),
    (100, 10, 10.0, 200),
    (200, 10, 10.0, 200),
    (200, 10, 30.0, 200),
    (40, 20, 10.0, 200),
    (100, 20, 10.0, 200),
    (200, 20, 10.0, 100),
)
PRIORS = (0.01, 0.05)
REPLICATES = 100
SHARED = 0.5  # of a score's variance


def main() -> None:
    """Print the table."""
    ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter).parse_args()
    print("| speakers | trials | EER | metric | percentiles hold | 30 errors of each kind | mirrored hold there |")
    print("| ---: | ---: | ---: | :--- | ---: | ---: | ---: |")
    for speakers, utterances, percent, worlds in CASES:
        for row in coverage(speakers, utterances, percent, worlds):
            print(
                f"| {speakers} | {row[0]:,} | {percent:g} % | {row[1]} | " + " | ".join(map(_percent, row[2:])) + " |"
            )


def coverage(
    speakers: int, utterances: int, percent: float, worlds: int
) -> Iterator[tuple[int, str, float, float, float]]:
    """Trials, metric, coverage of percentiles, share of worlds with 30 errors of each kind, coverage there."""
    generator = np.random.default_rng(speakers * utterances)
    pairs, target = trials(speakers, utterances, generator)
    distance = 2 * float(norm.isf(percent / 100))
    scores = torch.from_numpy(scored(worlds, pairs, target, distance, generator))
    weights, kinds = torch.from_numpy(speaker_weights(target, pairs, REPLICATES, 0)), torch.from_numpy(target)
    held = _held(percentile_interval(eer(scores, kinds, weights)), percent)
    yield len(target), "EER", _share(held), 1.0, _share(held)
    for prior in PRIORS:
        cost, truth = partial(min_dcf, p_target=prior), true_min_dcf(distance, prior)
        value, replicates = cost(scores, kinds), cost(scores, kinds, weights)
        given = fewest_errors(scores, kinds, p_target=prior) >= RULE_OF_30
        percentiles, basic = (
            _held(percentile_interval(replicates), truth),
            _held(basic_interval(replicates, value), truth),
        )
        yield len(target), f"minDCF, {prior}", _share(percentiles), _share(given), _share(basic[given])


def trials(
    speakers: int, utterances: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Speakers `(trials, 2)` and kind of every pair of a speaker's utterances, and of as many other pairs."""
    speaker = np.repeat(np.arange(speakers), utterances)
    one, other = np.triu_indices(len(speaker), 1)
    same = speaker[one] == speaker[other]
    others = generator.choice(np.flatnonzero(~same), same.sum(), replace=False)
    chosen = np.concatenate([np.flatnonzero(same), others])
    return np.stack([speaker[one], speaker[other]], 1)[chosen], same[chosen]


def scored(
    worlds: int, pairs: NDArray[np.int64], target: NDArray[np.bool_], distance: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Scores `(worlds, trials)` of variance 1 around 0, of target trials around `distance`."""
    ease = generator.standard_normal((worlds, pairs.max() + 1))
    shared = np.where(target, ease[:, pairs[:, 0]], (ease[:, pairs[:, 0]] + ease[:, pairs[:, 1]]) / np.sqrt(2))
    own = generator.standard_normal((worlds, len(target)))
    scores = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own + distance * target
    return np.asarray(scores, dtype=np.float32)


def true_min_dcf(distance: float, prior: float) -> float:
    """The least normalised cost over thresholds of two normal distributions of variance 1."""

    def cost(threshold: float) -> float:
        return float(norm.cdf(threshold - distance) + (1 - prior) / prior * norm.sf(threshold))

    return float(minimize_scalar(cost, bounds=(-10, 20), method="bounded").fun)


def _held(interval: Interval, truth: float) -> Tensor:
    return (interval.low <= truth) & (truth <= interval.high)


def _share(held: Tensor) -> float:
    return held.double().mean().item()  # NaN of none


def _percent(share: float) -> str:
    return "–" if isnan(share) else f"{100 * share:.0f} %"


if __name__ == "__main__":
    main()
