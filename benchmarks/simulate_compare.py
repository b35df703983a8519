"""How often `wrongkey compare` is wrong: false passes and false alarms on simulated runs whose truth is known.

``python benchmarks/simulate_compare.py [--runs N] [--only WORD]`` prints a Markdown table for each way to pair runs: a
row per situation, a column per number of keys, and in each cell the percentage of the runs that are shown (or worse),
the largest over the shapes.

Scores are an EER: plain 8 %, chance 50 %, incorrect keys 25 % on average with a standard deviation of 4 points, in four
shapes: normal, skewed to the safe side (gamma of shape 2), to the weak side (the same, mirrored), and lognormal (σ 0.8).
Weak keys score as plain does, within half a point, halfway keys between it and the others. One error of 12 / √speakers
points (1.9 at 40) moves all scores of a corpus; a run estimates its size with as many degrees of freedom as speakers
allow. Paired keys have correlated scores (0.7 in the normal scale), and are weak together.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from reports.gain_of_means import KeyScores
from reports.gate import Margins, Protection, judge

Array = NDArray[np.float64]
PLAIN, MEAN, CHANCE, SD, SPEAKER_SD = 8.0, 25.0, 50.0, 4.0, 12.0
HALFWAY = (PLAIN + MEAN) / 2
DISTANCE, MARGINS = 1.0, Margins(1.0)
CORRELATION = 0.7
DRAWS = 500  # of the bounds of means; the command takes more
SIZES = ((5, 5), (10, 10), (30, 30), (100, 100), (300, 300), (1000, 1000), (1000, 5), (1000, 30), (30, 1000))
SHAPES = ("normal", "gamma", "mirrored gamma", "lognormal")
MODES = {  # how the runs are paired, and the speakers of each where they are others
    "same speakers, other keys": (False, 0),
    "same speakers, same keys": (True, 0),
    "other speakers, 10 each": (False, 10),
    "other speakers, 100 each": (False, 100),
    "other speakers, 1,000 each": (False, 1000),
}


@dataclass(frozen=True)
class Scheme:
    """The keys of one run: how much safer than usual the usual ones are, and how many are not usual."""

    shift: float = 0.0
    weak: float = 0.0
    halfway: float = 0.0

    def balanced(self) -> Scheme:
        """The same with usual keys so much safer that the mean over all is 25 %."""
        loss = self.weak * (MEAN - PLAIN) + self.halfway * (MEAN - HALFWAY)
        return replace(self, shift=loss / (1 - self.weak - self.halfway))


USUAL = Scheme()
# A, B, and which answer is counted. A false one may come in 5 % of the runs.
SITUATIONS = {
    "equal: false alarm": (USUAL, USUAL, "worse"),
    "equal, 3 % weak keys in both: false alarm": (Scheme(weak=0.03), Scheme(weak=0.03), "worse"),
    "mean worse by the margin: false pass": (USUAL, Scheme(shift=-1), "shown"),
    "mean worse by the margin through halfway keys: false pass": (USUAL, Scheme(halfway=1 / (MEAN - HALFWAY)), "shown"),
    "3 % weak keys more, mean equal: false pass": (USUAL, Scheme(weak=0.03).balanced(), "shown"),
    "5 % weak keys more, mean equal: false pass": (USUAL, Scheme(weak=0.05).balanced(), "shown"),
    "B unprotected: false pass": (USUAL, Scheme(weak=1.0), "shown"),
    "both unprotected: false pass": (Scheme(weak=1.0), Scheme(weak=1.0), "shown"),
    "5 % weak keys more: found worse": (USUAL, Scheme(weak=0.05), "worse"),
    "B unprotected: found worse": (USUAL, Scheme(weak=1.0), "worse"),
    "mean worse by 3: found worse": (USUAL, Scheme(shift=-3), "worse"),
    "equal: shown": (USUAL, USUAL, "shown"),
    "B safer by 2: shown": (USUAL, Scheme(shift=2), "shown"),
}


def standardised(shape: str, normal: Array) -> Array:
    """Standard normal numbers as numbers of another shape, with mean 0 and variance 1."""
    upper = special.ndtr(-np.abs(normal))
    uniform = np.where(normal > 0, 1 - upper, upper)
    if shape == "gamma":
        return (stats.gamma.ppf(uniform, 2) - 2) / 2**0.5
    if shape == "mirrored gamma":
        return -standardised("gamma", -normal)
    if shape == "lognormal":
        sigma = 0.8
        grown = np.exp(sigma**2)
        return (np.exp(sigma * normal) - grown**0.5) / (grown * (grown - 1)) ** 0.5
    return normal


def scores(scheme: Scheme, shape: str, normal: Array, kind: Array) -> Array:
    """Scores of keys: `kind` is uniform and says which are weak or halfway, `normal` where they score."""
    usual = MEAN + scheme.shift + SD * standardised(shape, normal)
    halfway, weak = HALFWAY + 0.5 * np.tanh(normal), PLAIN + 0.5 * np.tanh(normal)
    return np.where(kind < scheme.weak, weak, np.where(kind < scheme.weak + scheme.halfway, halfway, usual))


def protection(values: Array, speakers: int, rng: np.random.Generator) -> Protection:
    """A run as `compare` sees it; with `speakers` the scores carry an error over them, whose size it estimates."""
    error, plain = 0.0, PLAIN
    if speakers:
        error = SPEAKER_SD / speakers**0.5
        moved = rng.normal(0, error)
        values, plain = values + moved, plain + 0.5 * moved
        error *= (rng.chisquare(speakers - 1) / (speakers - 1)) ** 0.5
    ends = min(plain, values.min()), max(CHANCE, values.max())
    gaps = values - plain
    return Protection(KeyScores(values, *ends, False, error, speakers), gaps, np.full(len(gaps), 1.25 * error))


def share(situation: str, shape: str, mode: str, sizes: tuple[int, int], runs: int) -> float:
    """Percentage of the runs with the answer that is counted."""
    scheme_a, scheme_b, counted = SITUATIONS[situation]
    paired, speakers = MODES[mode]
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(runs):
        normal, kind = [rng.normal(size=n) for n in sizes], [rng.random(n) for n in sizes]
        if paired:
            normal[1] = CORRELATION * normal[0] + (1 - CORRELATION**2) ** 0.5 * normal[1]
            kind[1] = kind[0]
        a, b = (
            protection(scores(scheme, shape, z, u), speakers, rng)
            for scheme, z, u in zip((scheme_a, scheme_b), normal, kind, strict=True)
        )
        found += judge(b, a, DISTANCE, MARGINS, paired, DRAWS)[0] == counted
    return 100 * found / runs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200, help="in each cell, for each shape (default 200)")
    parser.add_argument("--only", default="", help="modes whose name holds this")
    options = parser.parse_args()
    start = time.time()
    for mode, (paired, _) in MODES.items():
        if options.only not in mode:
            continue
        sizes = [pair for pair in SIZES if not paired or pair[0] == pair[1]]
        print(f"\n| {mode}; keys of A / B | {' | '.join(f'{a:,} / {b:,}' for a, b in sizes)} |")
        print("|---" * (1 + len(sizes)) + "|")
        for situation in SITUATIONS:
            worst = [max(share(situation, shape, mode, pair, options.runs) for shape in SHAPES) for pair in sizes]
            print(f"| {situation} | {' | '.join(f'{value:.1f}' for value in worst)} |", flush=True)
    print(f"\n{options.runs} runs of each shape in each cell; {time.time() - start:.0f} s.")


if __name__ == "__main__":
    main()
