"""Is the measured strength of a key right? Splitting beside probabilities that are known, or counted.

    python benchmarks/strength.py tails                                  known tails of scores without a model (minutes)
    python benchmarks/strength.py listed                                 models whose keys can all be tried (minutes)
    python benchmarks/strength.py counted --out runs/strength-counted    a model under many random keys (an hour)

`tails` prints, for each tail: how often the 95 % interval of three repetitions holds the true probability, the error in
bits, and how many times fewer evaluations it took than guessing to the same precision (measured: the spread of the
estimates over all runs). It is the first table of docs/strength.md.

`listed` asks a model under every key of a small space, keeps the scores in --out, and runs splitting on them many
times, which then costs no questions: is the measured share of keys the counted one?

`counted` sweeps a model with many random keys, and measures the strength in the same run folder beside them. The last
two continue where they stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from math import ceil, log
from pathlib import Path

import numpy as np

from tests.evaluation.strength.known_tails import Tail, entry, fixed_points, signs
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.run_folder.schema import read_manifest
from wrongkey.evaluation.run_folder.scores import read_scores
from wrongkey.evaluation.strength.config import StrengthConfig
from wrongkey.evaluation.strength.estimate import Reading, estimate, half_width, read
from wrongkey.evaluation.strength.moves import Array, InWords, law_of
from wrongkey.evaluation.strength.run import strength
from wrongkey.evaluation.strength.score import plain_error, score_of
from wrongkey.evaluation.strength.splitting import ROUNDED, Plan, grown, split
from wrongkey.evaluation.sweep import sweep
from wrongkey.keys.schemes import Matrices, Scheme
from wrongkey.progress import progress

Scores = tuple[Array, Array]

REPETITIONS = 3
AT_ONCE = 64  # keys under which a model is asked together
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
LISTED = {
    "asv-raw5 shuffling": SweepConfig("asv-raw5", "bundled", "shuffling", trials="corpus", replicates=0),
    "asv-raw10 flipping": SweepConfig("asv-raw10", "bundled", "flipping", trials="corpus", replicates=0),
    "asr-words flipping": SweepConfig("asr-words", "bundled", "flipping", task="asr", replicates=0),
}
COUNTED = {"asv-raw3 rom": SweepConfig("asv-raw3", "bundled", "rom", trials="corpus", replicates=0)}
WITHIN = (1.0, 2.0, 5.0)


def run(tail: Tail, in_words: bool, label: str, asked: argparse.Namespace) -> Reading:
    """One repetition."""
    law = InWords(tail.scheme, tail.size) if in_words else law_of(tail.scheme, tail.size)
    plan = Plan(asked.population, 0.2, asked.moves, (tail.goal,), label)
    return read([level for level, _ in split(partial(grown, law, tail.score, plan), plan)], 0, plan)


def tails(asked: argparse.Namespace) -> None:
    """Print a row for each tail."""
    _heads()
    for name in (name for name in TAILS if asked.only in name):
        tail, in_words = TAILS[name]
        _row(
            name, tail.probability, [run(tail, in_words, f"{name}/{i}", asked) for i in range(REPETITIONS * asked.runs)]
        )


def listed(asked: argparse.Namespace) -> None:
    """Print a row for each small space and distance from plain, the probability counted over all keys."""
    _heads()
    for name in (name for name in LISTED if asked.only in name):
        experiment = Experiment(replace(LISTED[name], keys=1, per_speaker=asked.per_speaker))
        scheme, size, plain = experiment.scheme, len(experiment.correct), plain_error(experiment)
        error, tie = _of_all_keys(experiment, asked.out / f"{name.replace(' ', '-')}.npz")

        score = partial(_looked_up, scheme, error, tie)
        for within in WITHIN:
            probability = float((error <= plain + within + ROUNDED).mean())
            if 0 < probability < 1:
                tail = Tail(scheme, size, score, plain + within, probability)
                about = f"{name}, within {within:g}"
                readings = [run(tail, False, f"{about}/{i}", asked) for i in range(REPETITIONS * asked.runs)]
                _row(about, probability, readings)


def _looked_up(scheme: Scheme, error: Array, tie: Array, keys: Matrices) -> Scores:
    assert scheme.rank is not None  # of a space that can be listed
    ranks = scheme.rank(keys)
    return error[ranks], tie[ranks]


def _of_all_keys(experiment: Experiment, kept: Path) -> Scores:
    """Errors and tie breakers of every key of the space, by rank, from a file or into it."""
    if not kept.exists():
        size, scheme, score = len(experiment.correct), experiment.scheme, score_of(experiment)
        space = scheme.space(size)
        assert space is not None and scheme.unrank is not None
        parts = np.array_split(np.arange(space), ceil(space / AT_ONCE))
        found = [score(scheme.unrank(size, ranks)) for ranks in parts]
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            kept,
            error=np.concatenate([error for error, _ in found]),
            tie=np.concatenate([tie for _, tie in found]),
        )
    with np.load(kept) as scores:
        return scores["error"], scores["tie"]


def _heads() -> None:
    weights = [f"coverage at weight {freedom:g}" for freedom in FREEDOMS]
    heads = ["score", "bits", "bias", "sd of a run, by itself", *weights, "refused", "evaluations", "times fewer"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)


def _row(name: str, probability: float, readings: list[Reading]) -> None:
    """What the runs say beside the true probability."""
    groups = [readings[i : i + REPETITIONS] for i in range(0, len(readings), REPETITIONS)]
    known = [group for group in groups if estimate(group).bits is not None]
    cells = [name, f"{-np.log2(probability):.1f}"]
    if known:
        logs = np.array([one.log10_probability for group in known for one in group]) * log(10)
        own = np.sqrt(np.mean([one.variance for group in known for one in group]))
        held = [_coverage(known, freedom, log(probability)) for freedom in FREEDOMS]
        error = (np.log(np.exp(logs).mean()) - log(probability)) / log(2)
        cells += [f"{-error:+.2f}", f"{logs.std():.2f}, {own:.2f}", *(f"{share:.3f}" for share in held)]
    else:
        cells += ["–"] * (2 + len(FREEDOMS))
    evaluations = float(np.mean([one.evaluations for one in readings]))
    cells += [f"{len(groups) - len(known)}/{len(groups)}", f"{evaluations:,.0f}"]
    if known:
        spread = float(np.exp(logs).std() / probability)
        cells.append(f"{(1 - probability) / probability / spread**2 / evaluations:,.0f}")
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
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("tails", "listed", "counted"))
    parser.add_argument("--only", default="", help="a part of the names to run")
    parser.add_argument("--runs", type=int, default=200, help="of three repetitions each, for the coverage")
    parser.add_argument("--population", type=int, default=StrengthConfig.population)
    parser.add_argument("--moves", type=int, default=StrengthConfig.moves)
    parser.add_argument("--keys", type=int, default=100_000, help="incorrect keys of a sweep")
    parser.add_argument("--per-speaker", type=int, help="fewer utterances, and trials of them")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out", type=Path, default=Path("runs/strength-counted"))
    asked = parser.parse_args()
    {"tails": tails, "listed": listed, "counted": counted}[asked.what](asked)


if __name__ == "__main__":
    main()
