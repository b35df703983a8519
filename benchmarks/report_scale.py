"""How much time and memory readers of many keys take: ``python -m benchmarks.report_scale`` (a few minutes).

Writes run folders with made-up scores through the sweep's own writer, then runs ``wrongkey report`` and ``wrongkey ls``
on all of them and ``wrongkey compare`` on the first two, each in a process of its own. A line for each command has
seconds by the clock and of CPU, peak resident memory, and bytes of the report's page.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.tables import Table, add_json, show
from wrongkey.evaluation.run_folder.folder import RunFolder, shard_name
from wrongkey.keys.labels import PAPER

CASES = ((1, 1_000), (12, 1_000), (1, 100_000), (12, 100_000))  # runs, keys of each
SHARD = 1_000  # keys; the most that a sweep puts into a file
METRICS = (
    "eer", "min_dcf", "min_dcf_05", "eer_effective", "eer_female", "eer_male", "cllr", "cllr_min", "d_ece",
    "worst_llr", "d_sys",
)  # fmt: skip
COLUMNS = ">runs", ">keys of each", "command", ">clock, s", ">CPU, s", ">peak memory, GB", ">page, kB"
TARGETS = 2_000  # trials: what one of them moves an EER by


def write_run(folder: Path, number: int, keys: int, metrics: int) -> None:
    """Write the run `number`: EERs of a tail that few keys reach, and further metrics that follow them."""
    scheme, block_size = PAPER[number % 3], (3, 5, 10, 20)[number // 3 % 4]
    setting: dict[str, Any] = {"task": "asv", "model": f"model{block_size}", "corpus": "made-up", "scheme": scheme}
    setting |= {"block_size": block_size, "dims": 1}
    run = RunFolder(folder)
    identity = {"weights": "a" * 64, "corpus": "b" * 64, "trials": "c" * 64, "scheme": scheme, "seed": 0}
    run.claim(identity)
    manifest: dict[str, Any] = {
        "config": {**setting, "keys": keys, "seed": 0, "variant": "both", "blocks": "samples"},
        "identity": identity,
        "corpus": {"name": "made-up", "speakers": 40, "recordings": "synthetic"},
        "trials": {"target": TARGETS, "nontarget": 3 * TARGETS},
        "keys_done": keys,
    }
    run.write_manifest(manifest)
    generator = np.random.default_rng(number)
    eers = np.round(TARGETS * (0.08 + 0.4 * generator.beta(4, 3, keys))) * 100 / TARGETS
    run.write_scores("conditions", rows(setting, ("plain", "correct"), (-1, -1), np.array([7.9, 7.9]), metrics))
    for start in range(0, keys, SHARD):
        stop = min(start + SHARD, keys)
        shard = rows(setting, ["incorrect"] * (stop - start), range(start, stop), eers[start:stop], metrics)
        run.write_scores(shard_name(start, stop), shard)
        run.compact()
    run.compact(ended=True)


def rows(setting: dict[str, Any], conditions: Any, keys: Any, eers: Any, metrics: int) -> Iterator[dict[str, Any]]:
    """The rows of a score file, metric by metric."""
    for name in METRICS[:metrics]:
        scores = eers if name.startswith("eer") else eers / 50
        for condition, key, score in zip(conditions, keys, scores.tolist(), strict=True):
            place = {"condition": condition, "key_seed": 0, "key_index": key, "metric": name}
            yield {**setting, **place, "value": score, "ci_low": 0.9 * score, "ci_high": 1.1 * score, "n": 4 * TARGETS}


def measure(arguments: list[str]) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of CPU, and peak resident GB of a command, which must succeed."""
    begin = perf_counter()
    subprocess.run([sys.executable, "-m", "wrongkey", *arguments], check=True, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9


def commands(place: Path, runs: int) -> Iterator[list[str]]:
    """What is measured on `runs` run folders in `place`."""
    folders = place / "runs"
    yield ["report", str(folders), "--out", str(place / "report.html")]
    yield ["ls", str(folders)]
    if runs > 1:
        yield ["compare", str(folders / "run00"), str(folders / "run01")]


def main() -> None:
    """Measure and print a line for each case and command."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--metrics", type=int, default=len(METRICS), help=f"of each key; asv measures {len(METRICS)}")
    options.add_argument("--case", type=int, nargs=2, action="append", metavar=("RUNS", "KEYS"), help="in place of all")
    add_json(options)
    asked = options.parse_args()
    lines = []
    for runs, keys in asked.case or CASES:
        with tempfile.TemporaryDirectory() as scratch:
            place = Path(scratch)
            for number in range(runs):
                write_run(place / "runs" / f"run{number:02d}", number, keys, asked.metrics)
            for command in commands(place, runs):
                with multiprocessing.get_context("spawn").Pool(1) as pool:  # whose only child is the command
                    seconds, used, memory = pool.apply(measure, (command,))
                page = f"{(place / 'report.html').stat().st_size / 1e3:,.0f}" if command[0] == "report" else ""
                case = [f"{runs}", f"{keys:,}", command[0]]
                lines.append([*case, f"{seconds:.1f}", f"{used:.1f}", f"{memory:.2f}", page])
                print(" ".join(lines[-1]), flush=True)
    show(asked.json, Table(COLUMNS, lines, f"{asked.metrics} metrics of each key."))


if __name__ == "__main__":
    main()
