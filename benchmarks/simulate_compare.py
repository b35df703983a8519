"""How often `wrongkey compare` is wrong: false passes and false alarms on simulated runs whose truth is known.

``python benchmarks/simulate_compare.py [--runs N] [--only WORD]`` prints a Markdown table for each way to pair runs: a
row per situation, a column per number of keys, and in each cell the percentage of the runs that are shown (or worse):
the average over the shapes, and in brackets the largest. Before them the exact size of the test of shares.

Scores are an EER: plain 8 %, chance 50 %, incorrect keys 25 % on average with a standard deviation of 4 points, of
three shapes: normal, skewed to the weak side (a gamma distribution of shape 2, mirrored), and to the safe side
(lognormal of σ 0.8).
Weak keys score as plain does, within half a point, halfway keys between it and the others. One error of 12 / √speakers
points (1.9 at 40) moves all scores of a corpus; a run estimates its size with as many degrees of freedom as speakers
allow. Paired keys have correlated scores (0.7 in the normal scale), and are weak together.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from wrongkey.reports.comparison.gain_of_means import KeyScores
from wrongkey.reports.comparison.gain_of_shares import Share
from wrongkey.reports.comparison.gate import Margins, Protection, judge

Array = NDArray[np.float64]
Sizes = tuple[int, int]  # keys of A and B
PLAIN, MEAN, CHANCE, SD, SPEAKER_SD = 8.0, 25.0, 50.0, 4.0, 12.0
HALFWAY = (PLAIN + MEAN) / 2
DISTANCE, MARGINS = 1.0, Margins(1.0)
CORRELATION = 0.7
DRAWS = 300  # of the bounds of means; the command takes more
SAME_SIZES = ((5, 5), (10, 10), (30, 30), (100, 100), (300, 300), (1000, 1000))
SHAPES = ("normal", "mirrored gamma", "lognormal")


@dataclass(frozen=True)
class Mode:
    """How two runs belong together.

    paired: the same keys.  speakers: of each corpus; 0 where speakers do not matter, because they are the same and the
    truth is theirs.  common: correlation of the errors of both runs over the same speakers, where the answer is taken
    for one about others; `allowed` says whether the bounds know (--other-speakers).
    """

    paired: bool = False
    speakers: int = 0
    common: float = 0.0
    allowed: bool = True
    sizes: tuple[Sizes, ...] = ((10, 10), (100, 100), (1000, 1000))


MODES = {
    "same speakers, other keys": Mode(sizes=(*SAME_SIZES, (1000, 5), (5, 1000))),
    "same speakers, same keys": Mode(paired=True, sizes=SAME_SIZES),
    "other speakers, 10 each": Mode(speakers=10),
    "other speakers, 100 each": Mode(speakers=100),
    "other speakers, 1,000 each": Mode(speakers=1000),
    "the same 40 speakers, --other-speakers": Mode(speakers=40, common=0.9),
    "the same 40 speakers taken for all": Mode(speakers=40, common=0.9, allowed=False),
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
    "3 % weak keys in A alone, mean equal: false alarm": (Scheme(weak=0.03).balanced(), USUAL, "worse"),
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
        return (special.gammaincinv(2, uniform) - 2) / 2**0.5
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


def protection(values: Array, mode: Mode, moved: float, rng: np.random.Generator) -> Protection:
    """A run as `compare` sees it: scores and plain moved by the error over speakers, and an estimate of its size."""
    values, plain = values + moved, PLAIN + 0.5 * moved
    error = 0.0
    if mode.speakers and mode.allowed:
        error = error_over(mode.speakers) * (rng.chisquare(mode.speakers - 1) / (mode.speakers - 1)) ** 0.5
    ends = min(plain, values.min()), max(CHANCE, values.max())
    scores = KeyScores(values, *ends, False, error, mode.speakers)
    return Protection(scores, values - plain, np.full(len(values), np.hypot(error, 0.5 * error)))


def error_over(speakers: int) -> float:
    """Standard error of a score over that many speakers; 0 without speakers."""
    return SPEAKER_SD / speakers**0.5 if speakers else 0.0


def draw(a: Scheme, b: Scheme, shape: str, mode: Mode, sizes: Sizes, rng: np.random.Generator) -> list[Protection]:
    """Draw the runs A and B."""
    normal, kind = [rng.normal(size=n) for n in sizes], [rng.random(n) for n in sizes]
    moved = error_over(mode.speakers) * rng.normal(size=2)
    if mode.paired:
        normal[1] = CORRELATION * normal[0] + (1 - CORRELATION**2) ** 0.5 * normal[1]
        kind[1] = kind[0]
    if mode.common:
        moved[1] = mode.common * moved[0] + (1 - mode.common**2) ** 0.5 * moved[1]
    values = [scores(scheme, shape, z, u) for scheme, z, u in zip((a, b), normal, kind, strict=True)]
    return [protection(value, mode, float(error), rng) for value, error in zip(values, moved, strict=True)]


def share(situation: str, shape: str, mode: Mode, sizes: Sizes, runs: int) -> float:
    """Percentage of the runs with the answer that is counted."""
    scheme_a, scheme_b, counted = SITUATIONS[situation]
    rng = np.random.default_rng([SHAPES.index(shape), 1])
    found = 0
    for seed in range(runs):
        a, b = draw(scheme_a, scheme_b, shape, mode, sizes, rng)
        found += judge(b, a, DISTANCE, MARGINS, mode.paired, DRAWS, seed)[0] == counted
    return 100 * found / runs


def size_of_shares(margin: float, n_a: int, n_b: int) -> float:
    """Percentage of false passes of the test of shares where B's true share is the margin above A's.

    The largest over A's share, by adding up every pair of counts.
    """
    a, b = [Share(hits, n_a) for hits in range(n_a + 1)], [Share(hits, n_b) for hits in range(n_b + 1)]
    above = np.array([share.high - share.value for share in b])
    below = np.array([share.value - share.low for share in a])
    gains = np.array([share.value for share in a])[:, None] - np.array([share.value for share in b])
    shown = gains - np.hypot(above, below[:, None]) >= -margin
    of_a = np.concatenate([np.linspace(0, 0.1, 41), np.linspace(0.1, 1 - margin, 30)])
    passed = [
        stats.binom.pmf(range(n_a + 1), n_a, share) @ shown @ stats.binom.pmf(range(n_b + 1), n_b, share + margin)
        for share in of_a
    ]
    return 100 * max(passed)


def print_shares() -> None:
    """Print the exact size of the test of shares."""
    numbers = (30, 100, 300, 1000)
    print(f"\n| margin; keys or trials of A \\ B | {' | '.join(f'{n:,}' for n in numbers)} |")
    print("|---" * (1 + len(numbers)) + "|")
    for margin, n_a in product((MARGINS.tail, MARGINS.attack), numbers):
        cells = [f"{size_of_shares(margin, n_a, n_b):.1f}" for n_b in numbers]
        print(f"| {100 * margin:g} %; {n_a:,} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200, help="in each cell, for each shape (default 200)")
    parser.add_argument("--only", default="", help="modes whose name holds this, or 'shares'")
    options = parser.parse_args()
    start = time.time()
    if options.only in "shares":
        print_shares()
    for name, mode in MODES.items():
        if options.only not in name:
            continue
        sizes = mode.sizes
        print(f"\n| {name}; keys of A / B | {' | '.join(f'{a:,} / {b:,}' for a, b in sizes)} |")
        print("|---" * (1 + len(sizes)) + "|")
        for situation in SITUATIONS:
            found = [[share(situation, shape, mode, pair, options.runs) for shape in SHAPES] for pair in sizes]
            cells = [f"{np.mean(values):.1f} ({max(values):.1f})" for values in found]
            print(f"| {situation} | {' | '.join(cells)} |", flush=True)
    print(f"\n{options.runs} runs of each shape in each cell; {time.time() - start:.0f} s.")


if __name__ == "__main__":
    main()
