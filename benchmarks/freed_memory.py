"""Freed memory that the C library keeps, and that a sweep asks for back: ``python -m benchmarks.freed_memory``.

Asks a recogniser of the bundled words, whose utterances have many lengths, under as many keys again and again, in a
process for each way: with what was freed left where it is, and given back once the process has grown (as sweeps do).
Prints by how much the resident memory grew at most, and the seconds of CPU of the last call: medians of several rounds.
Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import median

import torch

from benchmarks.peak_memory import peak_memory
from benchmarks.tables import Table, add_json, show
from wrongkey.evaluation import engine
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.freed_memory import MOST_KEPT, Freed

WAYS: Mapping[str, float] = {"left": float("inf"), "given back": MOST_KEPT}  # bytes of growth


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 64], help="rows of a pass (default 8 64)")
    parser.add_argument("--keys", type=int, default=64)
    parser.add_argument("--calls", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--one", choices=WAYS, help="measure one way, in this process")
    add_json(parser)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_grown_and_seconds(WAYS[options.one], options.rows[0], options.keys, options.calls)))
        return
    rows = []
    for number in options.rows:
        found: dict[str, list[Sequence[float]]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way in WAYS:
                found[way].append(_in_a_process(way, number, options))
        grown, seconds = ({way: median(one[i] for one in found[way]) for way in WAYS} for i in (0, 1))
        for way in WAYS:
            cells = f"{grown[way] / 1e6:,.0f}", f"{seconds[way]:.1f}", f"{seconds[way] / seconds['left']:.2f}"
            rows.append([f"{number}", way, *cells])
    heads = ("rows of a pass", "what was freed", ">grown by, MB", ">CPU of a call, s", ">CPU / left")
    note = f"asr-words on bundled-words, {options.keys} keys a call, {options.calls} calls, one thread."
    show(options.json, Table(heads, rows, note))


def _in_a_process(way: str, rows: int, options: argparse.Namespace) -> Sequence[float]:
    asked = ("--one", way, "--rows", rows, "--keys", options.keys, "--calls", options.calls)
    command = [sys.executable, "-m", "benchmarks.freed_memory", *map(str, asked)]
    measured: Sequence[float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    print(f"{way}, {rows} rows: {measured[0] / 1e6:,.0f} MB, {measured[1]:.1f} s", file=sys.stderr, flush=True)
    return measured


def _grown_and_seconds(most: float, rows: int, keys: int, calls: int) -> tuple[int, float]:
    torch.set_num_threads(1)
    engine.FREED = Freed(most)
    experiment = Experiment(SweepConfig(model="asr-words", task="asr", corpus="bundled-words", keys=keys))
    drawn = experiment.incorrect.batch(0, keys)
    with peak_memory() as peak:
        for _ in range(calls):
            begin = time.process_time()
            experiment.engine.answers(drawn, rows=rows)
            spent = time.process_time() - begin
    return peak.grown, spent


if __name__ == "__main__":
    main()
