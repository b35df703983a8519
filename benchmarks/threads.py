"""Threads against processes: ``python -m benchmarks.threads`` (some minutes).

It means something on an idle machine of two cores or more; macOS cannot pin processes. Sweeps in turn with one process
that has a thread for each core, with a process of one thread for each core, and with such processes that each keep to a
core of their own. Prints the keys per second of each, from the moment when a fifth of the keys is done, and the ratio
to the first way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path
from statistics import median

import psutil

from benchmarks.cluster import asked, rate
from benchmarks.tables import Table, show
from wrongkey.evaluation.hardware import available_cores
from wrongkey.evaluation.processes.pool import TITLE

WAYS: Mapping[str, tuple[bool, bool]] = {  # whether a process for each core, and whether each keeps to its core
    "one process, a thread for each core": (False, False),
    "a process for each core": (True, False),
    "a process for each core, pinned": (True, True),
}


def pin() -> None:
    """Let each process that computes for this one keep to a core: one after another."""
    for worker, core in zip(workers_here(), cycle(psutil.Process().cpu_affinity()), strict=False):
        worker.cpu_affinity([core])


def release() -> None:
    """Let the processes run on all cores again: the next sweep takes them over."""
    for worker in workers_here():
        worker.cpu_affinity(psutil.Process().cpu_affinity())


def workers_here() -> list[psutil.Process]:
    """The processes that compute for this one: joblib's others only look after files."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.name() == TITLE.decode()]


def main() -> None:
    """Measure and print."""
    options, config = asked(__doc__)
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        for turn in range(options.rounds):
            for number, (way, (several, pinned)) in enumerate(WAYS.items()):
                settle: Callable[[], None] = pin if pinned else release
                out = Path(name) / f"{number}-{turn}"
                workers = available_cores() if several else 1
                rates[way].append(rate(config, out, workers=workers, ready=settle))
                print(f"{way}: {rates[way][-1]:.2f} keys/s", flush=True)
    first = median(rates[next(iter(WAYS))])
    rows = [[way, f"{median(found):.2f}", f"{median(found) / first:.2f}"] for way, found in rates.items()]
    note = f"{options.model} on bundled, {options.keys} keys, {available_cores()} cores; {options.rounds} rounds."
    show(options.json, Table(("", ">keys a second", ">/ threads"), rows, note))


if __name__ == "__main__":
    main()
