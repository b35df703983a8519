"""What a sweep costs before and after its keys: whole commands in fresh processes, in alternation.

``python benchmarks/start.py [--keys 20] [--rounds 3] [--against CHECKOUT]``

Each round runs ``wrongkey sweep`` on the bundled corpus with the number of workers left to it, with one, and with two;
with ``--against``, the same of another checkout of wrongkey in between. Seconds are those of the clock and of the
processors, the command's own processes included; medians over the rounds. An idle machine with two cores is needed for
the first, less so for the second.
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

WORKERS = {"automatic": [], "one": ["--workers", "1"], "two": ["--workers", "2"]}
HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Print a table of medians."""
    options = _options()
    checkouts = {"this": HERE} | ({"the other": options.against.resolve()} if options.against else {})
    cells = [(name, workers) for workers in options.workers for name in checkouts]
    found: dict[tuple[str, str], list[tuple[float, float]]] = {cell: [] for cell in cells}
    for _ in range(options.rounds):
        for name, workers in cells:
            found[name, workers].append(_seconds(checkouts[name], options.keys, WORKERS[workers]))
    print("| checkout | workers | clock, s | processors, s |\n| --- | --- | --- | --- |")
    for (name, workers), rounds in found.items():
        clock, processors = (median(column) for column in zip(*rounds, strict=True))
        print(f"| {name} | {workers} | {clock:.1f} | {processors:.1f} |")


def _seconds(checkout: Path, keys: int, workers: list[str]) -> tuple[float, float]:
    """Seconds of the clock and of the processors that one sweep takes."""
    with tempfile.TemporaryDirectory() as folder:
        asked = ["--model", "asv-raw10", "--corpus", "bundled", "--trials", "corpus", "--keys", str(keys)]
        command = [sys.executable, "-m", "wrongkey", "sweep", *asked, *workers, "--out", f"{folder}/run"]
        before, begin = os.times(), perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        clock, after = perf_counter() - begin, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return clock, spent


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", nargs="+", choices=list(WORKERS), default=list(WORKERS))
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another checkout, measured in alternation")
    return parser.parse_args()


if __name__ == "__main__":
    main()
