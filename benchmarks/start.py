"""What a sweep costs before and after its keys: whole commands in fresh processes, in alternation.

``python -m benchmarks.start [--keys 20] [--rounds 3] [--against CHECKOUT]``

Each round runs ``wrongkey sweep`` on the bundled corpus with the number of workers left to it, with one, and with two;
with ``--against``, the same of another checkout of wrongkey in between. Seconds are those of the clock and of the
processors, the command's own processes included; medians over the rounds. An idle machine with two cores is needed for
the first, less so for the second. The ratio is to a Python process that imports PyTorch and ends, in each round: what
no sweep can do without.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.tables import Table, add_json, show

WORKERS = {"automatic": [], "one": ["--workers", "1"], "two": ["--workers", "2"]}
HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print a table of medians."""
    options = _options()
    checkouts = {"this": HERE} | ({"the other": options.against.resolve()} if options.against else {})
    cells = [(name, workers) for workers in options.workers for name in checkouts]
    found: dict[tuple[str, str], list[tuple[float, float]]] = {cell: [] for cell in cells}
    bare: list[tuple[float, float]] = []
    for _ in range(options.rounds):
        bare.append(_timed([sys.executable, "-c", "import torch"], HERE))
        for name, workers in cells:
            found[name, workers].append(_swept(checkouts[name], options.keys, WORKERS[workers]))
    rows = []
    for (name, workers), rounds in {("none", "import torch"): bare, **found}.items():
        seconds = [median(column) for column in zip(*rounds, strict=True)]
        ratios = [median(mine[i] / least[i] for mine, least in zip(rounds, bare, strict=True)) for i in (0, 1)]
        rows.append([name, workers, *(f"{one:.1f}" for one in seconds), *(f"{one:.2f}" for one in ratios)])
    columns: tuple[str, ...] = (
        "checkout",
        "workers",
        ">clock, s",
        ">processors, s",
        ">clock / import",
        ">processors / import",
    )
    if not options.against:  # all of this one
        columns, rows = columns[1:], [row[1:] for row in rows]
    note = f"{options.keys} keys, asv-raw10, the bundled corpus; medians of {options.rounds} rounds."
    show(options.json, Table(columns, rows, note))


def _swept(checkout: Path, keys: int, workers: list[str]) -> tuple[float, float]:
    """Seconds of the clock and of the processors that one sweep takes."""
    with tempfile.TemporaryDirectory() as folder:
        asked = ["--model", "asv-raw10", "--corpus", "bundled", "--trials", "corpus", "--keys", str(keys)]
        command = [sys.executable, "-m", "wrongkey", "sweep", *asked, *workers, "--out", f"{folder}/run"]
        return _timed(command, checkout)


def _timed(command: list[str], checkout: Path) -> tuple[float, float]:
    before, begin = os.times(), perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run(  # in the checkout, where `-m` looks first
        command, cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    clock, after = perf_counter() - begin, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return clock, spent


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", nargs="+", choices=list(WORKERS), default=list(WORKERS))
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout, measured in alternation")
    add_json(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
