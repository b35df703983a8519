"""A sweep of many keys with a synthetic scorer: ``python -m benchmarks.million_keys [--keys 10000]``.

Everything is the real sweep but the answers to incorrect keys: `wrongkey.evaluation.sweep.sweep` in one process, with
its checks, shards, files, compaction and manifest, and made-up scores in place of `experiment.task.measure`. So what is
measured is what the harness costs a key. Shards have 100 keys, the ten seconds of work of a model that takes a tenth of
a second a key, as asv-raw10 does on one core: a million keys come in 10,000 shards. Each size is a process of its own.
A line for each has seconds, and per 1,000 keys, peak resident memory, score files and megabytes, and seconds until
the same command has found that nothing is missing. Runs lie in a temporary folder, or stay in ``--out``, where a
run that was stopped goes on; the seconds are those of all its sessions.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from benchmarks.tables import Table, add_json, show
from wrongkey.evaluation import sweep as sweeping
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.run_folder.compaction import shard_files

SIZES = (10_000, 100_000, 1_000_000)
MODEL = "asv-raw10"
SHARD = 100  # keys
COLUMNS = (
    ">keys", ">sweep, s", ">s per 1,000 keys", ">peak memory, GB", ">score files", ">MB on disk",
    ">nothing left to do, s",
)  # fmt: skip


def experiment_of(config: SweepConfig) -> Experiment:
    """The experiment with made-up answers to incorrect keys; the conditions without a key are really asked."""
    experiment = Experiment(config)
    measure = experiment.task.measure
    template = list(measure(experiment.scores(experiment.plain())))
    trials = len(experiment.scores(experiment.plain())[0])

    def answers(keys: Any) -> Tensor:
        return torch.zeros(len(keys), 1)

    def scores(found: Tensor) -> Tensor:
        return found if found.shape[-1] == 1 else real_scores(found)

    def made_up(found: Tensor) -> Iterator[dict[str, Any]]:
        if found.shape[-1] != 1 or trials == 1:
            yield from measure(found)
            return
        values = drawn.normal(30, 5, (len(found), len(template)))
        for number, row in enumerate(template):
            for position, value in enumerate(values[:, number].tolist()):
                yield {**row, "position": position, "value": value, "ci_low": 0.9 * value, "ci_high": 1.1 * value}

    real_scores, drawn = experiment.scores, np.random.default_rng(0)
    made: Any = experiment
    made.answers, made.scores = answers, scores
    object.__setattr__(made.task, "measure", made_up)
    return experiment


def run_one(keys: int, out: Path) -> None:
    """Sweep into a folder, and print the time and the peak memory."""
    config = SweepConfig(model=MODEL, corpus="bundled", per_speaker=2, replicates=5, device="cpu", keys=keys)
    experiment = experiment_of(config)
    begin = perf_counter()
    with mock.patch.object(sweeping, "_shard_size", lambda *asked: SHARD):  # which would time the model
        sweeping.sweep(config, out, workers=1, prepared=experiment)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(perf_counter() - begin, memory)


def main() -> None:
    """Measure and print a line for each size."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--keys", type=int, action="append", help=f"in place of {', '.join(map(str, SIZES))}")
    options.add_argument("--out", type=Path, help="where runs are kept (default: nowhere)")
    options.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # in this very process
    add_json(options)
    asked = options.parse_args()
    if asked.one:
        run_one(asked.keys[0], asked.out)
        return
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for keys in asked.keys or SIZES:
            rows.append(_row(keys, (asked.out or Path(scratch)) / str(keys)))
            print(" ".join(rows[-1]), flush=True)
    show(
        asked.json,
        Table(COLUMNS, rows, f"{MODEL} on bundled with made-up scores, shards of {SHARD} keys, one process."),
    )


def _row(keys: int, out: Path) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.million_keys", "--one", "--keys", str(keys), "--out", str(out)]
    (seconds, memory), (again, _) = (
        map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-2:])
        for _ in range(2)
    )
    files = shard_files(out)
    size = sum(path.stat().st_size for path in files) / 1e6
    return [
        *(f"{keys:,}", f"{seconds:.1f}", f"{1000 * seconds / keys:.2f}", f"{memory:.2f}"),
        *(f"{len(files)}", f"{size:.1f}", f"{again:.1f}"),
    ]


if __name__ == "__main__":
    main()
