"""Where shards are computed: this process, loky workers here, or a Dask cluster. Nothing of our own schedules machines.

A worker prepares the experiment for itself from the configuration, once, and answers with rows; the calling process
writes them.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import joblib
import pandas as pd
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError
from torch import Tensor

from evaluation.config import SweepConfig
from evaluation.experiment import Experiment
from evaluation.hardware import available_cores
from evaluation.plugins import leave_environment, workers_import_nothing_here
from evaluation.run_folder import same
from keys.errors import BadInput

Identity = tuple[tuple[str, Any], ...]
WATCH_SECONDS = 2.0

_one_at_a_time = threading.Lock()  # a worker's engine holds the kernels of the keys that it is asked under


@dataclass(frozen=True)
class Shard:
    """Score rows and, where kept, raw outputs of the incorrect keys ``[start, stop)``."""

    start: int
    stop: int
    rows: list[dict[str, Any]]
    outputs: pd.DataFrame | None


def answer(experiment: Experiment, start: int, stop: int) -> Shard:
    """Incorrect keys ``start … stop - 1`` through the encrypted model."""
    answers = experiment.answers(experiment.incorrect.batch(start, stop - start))
    scores = experiment.scores(answers)
    outputs = experiment.task.outputs(answers, scores, start) if experiment.config.keep_outputs else None
    return Shard(start, stop, score_rows(experiment, "incorrect", scores, start), outputs)


def score_rows(experiment: Experiment, condition: str, scores: Tensor, start: int | None) -> list[dict[str, Any]]:
    """Rows of the score file for ``scores (keys, …)``; ``start`` numbers the keys, None where the condition has no
    key of its own."""
    config = experiment.config
    shared = {
        "task": config.task,
        "model": experiment.model.name,
        "corpus": experiment.corpus.name,
        "scheme": experiment.scheme.name,
        "block_size": experiment.block_size,
        "dims": experiment.dims,
        "condition": condition,
        "key_seed": config.seed,
    }
    rows = []
    for row in experiment.task.measure(scores):
        position = row.pop("position")
        rows.append({**shared, "key_index": -1 if start is None else start + position, **row})
    return rows


def answers(
    experiment: Experiment,
    identity: dict[str, Any],
    shards: list[tuple[int, int]],
    workers: int,
    backend: str,
    scheduler: str | None,
) -> Iterator[Shard]:
    """Every shard, as it is done. Raises BadInput for a cluster that is not there and a worker that dies."""
    if workers == 1 and backend == "loky":
        yield from (answer(experiment, start, stop) for start, stop in shards)
        return
    # Machines of a cluster measure their own batch; the processes of this one share what was measured here.
    here = backend == "loky"
    rows, threads = (experiment.engine.rows, max(available_cores() // workers, 1)) if here else (None, None)
    asked = experiment.config, tuple(identity.items()), rows, threads
    with _parallel(backend, scheduler, workers), workers_import_nothing_here():
        parallel = joblib.Parallel(return_as="generator_unordered", pre_dispatch=2 * workers)
        try:
            yield from parallel(joblib.delayed(run_shard)(*asked, start, stop) for start, stop in shards)
        except TerminatedWorkerError:
            raise BadInput("a worker was killed, perhaps for want of memory: try fewer --workers") from None


def run_shard(
    config: SweepConfig, identity: Identity, rows: int | None, threads: int | None, start: int, stop: int
) -> Shard:
    """``answer`` in a worker; the threads of a Dask worker take turns."""
    with _one_at_a_time:
        if threads:
            torch.set_num_threads(threads)
        return answer(_prepared(config, identity, rows), start, stop)


@lru_cache(maxsize=1)
def _prepared(config: SweepConfig, identity: Identity, rows: int | None) -> Experiment:
    """Prepared once per worker, with ``rows`` per pass or, where None, the fastest here.

    Raises BadInput where the worker finds another model or other speech than the caller, as on a cluster whose
    machines hold different files.
    """
    end_with_caller()
    experiment = Experiment(replace(config, device=_own_gpu(config.device)))
    found = experiment.identity()
    if differing := [name for name, value in found.items() if not same(dict(identity)[name], value)]:
        raise BadInput(f"worker {platform.node()} sees another {differing[0]}: give every worker the same files")
    if rows is None:
        experiment.tune()
    else:
        experiment.engine.rows = rows
    return experiment


def _own_gpu(device: str) -> str:
    """One GPU per process where this machine has several and none was named."""
    if device not in ("auto", "cuda") or torch.cuda.device_count() < 2:
        return device
    number = re.search(r"\d+$", multiprocessing.current_process().name)
    return f"cuda:{int(number[0]) % torch.cuda.device_count()}" if number else device


def end_with_caller() -> None:
    """A caller that was killed cannot stop its workers: they watch whether they still have the same parent."""
    leave_environment()
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def check_backend(backend: str, scheduler: str | None) -> None:
    """Raises BadInput for a backend that is unknown, not installed or without its scheduler's address."""
    if backend not in ("loky", "dask"):
        raise BadInput(f"backend {backend!r} is unknown: choose loky or dask")
    if backend == "loky" and scheduler is not None:
        raise BadInput("--scheduler is for a cluster: add --backend dask")
    if backend == "dask" and scheduler is None:
        raise BadInput("--backend dask needs the scheduler's address: --scheduler tcp://host:8786")
    if backend == "dask" and find_spec("distributed") is None:
        raise BadInput("--backend dask needs Dask: pip install 'wrongkey[cluster]'")


@contextmanager
def _parallel(backend: str, scheduler: str | None, workers: int) -> Iterator[None]:
    if backend == "loky":
        with joblib.parallel_config(backend="loky", n_jobs=workers):
            yield
        return
    from dask.distributed import Client

    try:
        client = Client(scheduler, timeout=10)  # type: ignore[no-untyped-call,unused-ignore]
    except OSError:
        raise BadInput(f"no Dask scheduler answers at {scheduler}: start one with 'dask scheduler'") from None
    with client, joblib.parallel_config(backend="dask", n_jobs=workers):
        yield
