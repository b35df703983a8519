"""How a sweep scales with the workers of a Dask cluster: ``python -m benchmarks.cluster`` (some minutes).

Starts a scheduler and workers on this machine, each a process of one thread, and sweeps with one worker and with two,
in turn. Prints the keys per second of each, from the moment when a fifth of the keys is done (workers open model and
corpus before), the ratio, and by how much scores differ from those of a sweep without Dask. It means something on a
machine with three idle cores: the caller and the scheduler take a part of one.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import pandas as pd

from benchmarks.tables import Table, add_json, show
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.hardware import available_cores
from wrongkey.evaluation.processes.cluster import cluster_size
from wrongkey.evaluation.sweep import sweep

FIRST = 0.2  # share of the keys that are not timed


@contextmanager
def machines(workers: int, folder: Path) -> Iterator[str]:
    """The address of a scheduler with as many workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    commands = [["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]]
    commands += [["worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]] * workers
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "dask.log").open("ab") as log:
        started = [
            subprocess.Popen([sys.executable, "-m", "dask", *command], env=environment, stdout=log, stderr=log)
            for command in commands
        ]
    try:
        with socket.socket() as asking:
            while asking.connect_ex(("127.0.0.1", port)):
                pass
        while cluster_size(address) < workers:
            pass
        yield address
    finally:
        for process in started:
            process.kill()
            process.wait()


def rate(
    config: SweepConfig,
    out: Path,
    address: str | None = None,
    workers: int | None = None,
    ready: Callable[[], None] = lambda: None,
) -> float:
    """Keys per second of a sweep once its workers are ready: on a cluster, or in processes of this machine.

    ``ready`` is called at the first answer.
    """
    arrivals: list[tuple[float, int]] = []

    def progress(done: int, total: int) -> None:
        if not arrivals:
            ready()
        if done >= FIRST * total:
            arrivals.append((perf_counter(), done))

    backend = "dask" if address else "loky"
    sweep(config, out, workers=workers, backend=backend, scheduler=address, progress=progress)
    (begin, first), (end, last) = arrivals[0], arrivals[-1]
    return (last - first) / (end - begin)


def scores(out: Path) -> pd.DataFrame:
    """All score rows of incorrect keys, in order."""
    table = pd.concat(pd.read_parquet(file) for file in sorted((out / "scores").glob("incorrect-*.parquet")))
    return table.sort_values(["metric", "key_index"], ignore_index=True)


def asked(about: str | None) -> tuple[argparse.Namespace, SweepConfig]:
    """The options of a benchmark that compares rates, and the sweep that it times."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="asv-raw10")
    parser.add_argument("--keys", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--per-speaker", type=int, help="utterances of each speaker (all)")
    add_json(parser)
    options = parser.parse_args()
    trials = None if options.per_speaker else "corpus"
    config = SweepConfig(
        options.model, "bundled", trials=trials, per_speaker=options.per_speaker, keys=options.keys, device="cpu",
        media="none",
    )  # fmt: skip
    return options, config


def main() -> None:
    """Measure and print."""
    options, config = asked(__doc__)
    print(f"{available_cores()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        here = rate(config, folder / "here", workers=1)
        print(f"without Dask, in one process: {here:.2f} keys/s", flush=True)
        rates: dict[int, list[float]] = {1: [], 2: []}
        differing = 0.0
        for turn in range(options.rounds):
            for workers, found in rates.items():
                out = folder / f"{workers}-{turn}"
                with machines(workers, folder) as address:
                    found.append(rate(config, out, address))
                print(f"{workers} workers: {found[-1]:.2f} keys/s", flush=True)
                difference = scores(out).value - scores(folder / "here").value
                differing = max(differing, float(difference.abs().max()))
    one = median(rates[1])
    rows = [["no Dask", f"{here:.2f}", f"{here / one:.2f}"]]
    rows += [[f"{n} worker(s)", f"{median(found):.2f}", f"{median(found) / one:.2f}"] for n, found in rates.items()]
    note = (
        f"{options.model} on the bundled corpus, {options.keys} keys; largest difference of a score to those without "
        f"Dask: {differing:.1e}."
    )
    show(options.json, Table(("", ">keys a second", ">/ one worker"), rows, note))


if __name__ == "__main__":
    main()
