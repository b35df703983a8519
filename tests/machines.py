"""A Dask scheduler and its workers for tests, each a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from wrongkey.evaluation.processes.cluster import cluster

ROOT = Path(__file__).parents[1]
ROUNDING = {"rtol": 1e-5, "atol": 1e-7}
"""How far the float32 figures of an attack may differ between processes: BLAS rounds by an array's place in memory."""


class Machines:
    """A scheduler, and workers that join and leave it."""

    def __init__(self, folder: Path, watched: str = "--no-nanny") -> None:
        self.folder, self.watched = folder, watched
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.begin()

    def begin(self) -> None:
        """Start the scheduler, at the address that it always has, and a worker."""
        options = ["--host", "127.0.0.1", "--port", self.address.rpartition(":")[2], "--no-dashboard"]
        self.scheduler, self.workers = self._start("scheduler", *options), list[subprocess.Popen[bytes]]()
        wait_for(self._answers)
        self.add()

    def add(self) -> None:
        """Start a worker of one thread, and wait until it has joined."""
        options = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder)]
        joined = self.size() + 1
        self.workers.append(self._start("worker", self.address, *options, self.watched))
        wait_for(lambda: self.size() == joined)

    def kill_worker(self) -> None:
        """Kill the worker."""
        worker = self.workers.pop()
        worker.kill()
        assert worker.wait() == -signal.SIGKILL
        wait_for(lambda: self.size() == len(self.workers))

    def size(self) -> int:
        """Workers that have joined."""
        with cluster(self.address) as machines:
            return machines.size

    def processes(self) -> list[int]:
        """The scheduler's process, and those of the workers, with nannies but without those that they started."""
        with cluster(self.address) as machines:
            return [self.scheduler.pid, *machines._client.run(os.getpid).values()]

    def end(self) -> None:
        """Kill all processes."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", int(self.address.rpartition(":")[2]))) == 0

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        settings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{command[0]}.log").open("ab") as log:
            asked = [sys.executable, "-m", "dask", *command]
            return subprocess.Popen(asked, env=settings, stdout=log, stderr=log, cwd=self.folder)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def once(after: int, action) -> Any:
    """A callback of progress that acts when ``after`` keys are done."""
    acted: list[int] = []

    def progress(keys: int, total: int) -> None:
        if keys >= after and not acted:
            acted.append(keys)
            action()

    return progress


def assert_same_trials(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Raise AssertionError where rows of an attack differ by more than `ROUNDING`, also those of `measured`."""
    for tables in (
        [pd.json_normalize([json.loads(text) for text in rows["measured"]]) for rows in (one, other)],
        [rows.drop(columns="measured") for rows in (one, other)],
    ):
        pd.testing.assert_frame_equal(*tables, **ROUNDING)
