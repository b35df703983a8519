"""Is the measured strength of a key right? Splitting beside probabilities that are known, or counted.

    python benchmarks/strength.py tails                                  known tails of scores without a model (minutes)
    python benchmarks/strength.py counted --out runs/strength-counted    models whose keys are counted (hours)

`tails` prints, for each tail: how often the 95 % interval of three repetitions holds the true probability, the error in
bits, and how many times fewer evaluations it took than guessing to the same precision (measured: the spread of the
estimates over all runs). It is the table of docs/strength.md.

`counted` sweeps a model with many random keys, or with all keys of Shuffling, and measures the strength in the same run
folder beside them. Both continue where they stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from math import log
from pathlib import Path

import numpy as np

from tests.evaluation.strength.known_tails import Tail, entry, fixed_points, signs
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.run_folder.schema import read_manifest
from wrongkey.evaluation.run_folder.scores import read_scores
from wrongkey.evaluation.strength.config import StrengthConfig
from wrongkey.evaluation.strength.estimate import Reading, estimate, half_width, read
from wrongkey.evaluation.strength.moves import InWords, law_of
from wrongkey.evaluation.strength.run import strength
from wrongkey.evaluation.strength.splitting import Plan, grown, split
from wrongkey.evaluation.sweep import sweep
from wrongkey.progress import progress

REPETITIONS = 3
FREEDOMS = (0.0, 2.0, 4.0, 8.0, 1e9)  # of the genealogies' variance: none, …, nothing else

TAILS: dict[str, tuple[Tail, bool]] = {  # and whether the random words are moved instead of the key
    "signs, N = 30": (signs(), False),
    "signs, N = 16": (signs(16), False),
    "fixed points, N = 12": (fixed_points(), False),
    "entry of ROM, N = 10": (entry(), False),
    "entry of ROM, N = 10 (1e-5)": (entry(10, 1e-5), False),
    "entry of ROM, N = 3 (1e-3)": (entry(3, 1e-3), False),
    "signs in words, N = 20": (signs(20), True),
    "entry of ROM in words, N = 5": (entry(5, 1e-5), True),
}
COUNTED = {
    "asv-raw3 rom": SweepConfig("asv-raw3", "bundled", "rom", trials="corpus", replicates=0),
    "asv-raw5 shuffling": SweepConfig("asv-raw5", "bundled", "shuffling", trials="corpus", replicates=0),
    "asv-raw10 flipping": SweepConfig("asv-raw10", "bundled", "flipping", trials="corpus", replicates=0),
}


def run(tail: Tail, in_words: bool, label: str, asked: argparse.Namespace) -> Reading:
    """One repetition."""
    law = InWords(tail.scheme, tail.size) if in_words else law_of(tail.scheme, tail.size)
    plan = Plan(asked.population, 0.2, asked.moves, (tail.goal,), label)
    return read([level for level, _ in split(partial(grown, law, tail.score, plan), plan)], 0, plan)


def tails(asked: argparse.Namespace) -> None:
    """Print a row for each tail."""
    names = [name for name in TAILS if asked.only in name]
    weights = [f"coverage at weight {freedom:g}" for freedom in FREEDOMS]
    heads = ["score", "bits", "bias", "sd of a run, by itself", *weights, "refused", "evaluations", "times fewer"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for name in names:
        tail, in_words = TAILS[name]
        readings = [run(tail, in_words, f"{name}/{i}", asked) for i in range(REPETITIONS * asked.runs)]
        groups = [readings[i : i + REPETITIONS] for i in range(0, len(readings), REPETITIONS)]
        known = [group for group in groups if estimate(group).bits is not None]
        logs = np.array([one.log10_probability for group in known for one in group]) * log(10)
        own = np.sqrt(np.mean([one.variance for group in known for one in group]))
        held = [_coverage(known, freedom, log(tail.probability)) for freedom in FREEDOMS]
        evaluations = float(np.mean([one.evaluations for one in readings]))
        spread = float(np.exp(logs).std() / tail.probability)
        times = (1 - tail.probability) / tail.probability / spread**2 / evaluations
        error = (np.log(np.exp(logs).mean()) - log(tail.probability)) / log(2)
        cells = [
            name, f"{-np.log2(tail.probability):.1f}", f"{-error:+.2f}", f"{logs.std():.2f}, {own:.2f}",
            *(f"{share:.3f}" for share in held), f"{len(groups) - len(known)}/{len(groups)}", f"{evaluations:,.0f}",
            f"{times:,.0f}",
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |", flush=True)


def _coverage(groups: list[list[Reading]], freedom: float, truth: float) -> float:
    """Share of intervals of `REPETITIONS` runs that hold the true ln P."""
    held = 0
    for group in groups:
        logs = np.array([one.log10_probability for one in group], dtype=float) * log(10)
        centre = np.logaddexp.reduce(logs) - log(len(logs))
        half = half_width(logs, float(np.mean([one.variance for one in group])), freedom)
        held += abs(centre - truth) <= half
    return held / max(len(groups), 1)


def counted(asked: argparse.Namespace) -> None:
    """Print, for each model, the share of keys within x points, and what splitting says."""
    how = StrengthConfig(population=asked.population, moves=asked.moves)
    for name, config in COUNTED.items():
        if asked.only not in name:
            continue
        folder = asked.out / name.replace(" ", "-")
        config = replace(
            config, keys=asked.keys, per_speaker=asked.per_speaker, trials=None if asked.per_speaker else "corpus"
        )
        sweep(config, folder, workers=asked.workers, progress=progress())
        found = strength(config, how, folder, workers=asked.workers, report=print)
        rows, _ = read_scores(folder, read_manifest(folder))
        errors = rows[(rows["condition"] == "incorrect") & (rows["metric"] == "eer")]["value"].to_numpy()
        for one in found["estimates"]:
            hits = int((errors <= one["goal"] + 1e-9).sum())
            bits = -np.log2(hits / len(errors)) if hits else float("nan")
            says = one["why_not"] or f"{one['bits']:.2f} [{one['bits_low']:.2f}, {one['bits_high']:.2f}]"
            print(
                f"{name}, within {one['within']:g}: {hits:,} of {len(errors):,} keys, {bits:.2f} bits; strength {says}"
            )


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tails", "counted"))
    parser.add_argument("--only", default="", help="a part of the names to run")
    parser.add_argument("--runs", type=int, default=200, help="of three repetitions each, for the coverage")
    parser.add_argument("--population", type=int, default=StrengthConfig.population)
    parser.add_argument("--moves", type=int, default=StrengthConfig.moves)
    parser.add_argument("--keys", type=int, default=100_000, help="incorrect keys of a sweep")
    parser.add_argument("--per-speaker", type=int, help="fewer utterances, and trials of them")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out", type=Path, default=Path("runs/strength-counted"))
    asked = parser.parse_args()
    {"tails": tails, "counted": counted}[asked.what](asked)


if __name__ == "__main__":
    main()
