"""The sweep: every incorrect key through the encrypted model, in shards that survive interruption.

The same call again finishes what is missing; a larger ``keys`` extends it. Shards run through joblib, here (loky) or
on a Dask cluster; the process that called writes every file.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import joblib
import pandas as pd
import torch
from torch import Tensor

from evaluation.checks import self_checks
from evaluation.experiment import Experiment, SweepConfig
from evaluation.hardware import available_cores, choose_device, choose_workers, describe_device
from evaluation.run_folder import RunFolder, same, shard_name
from keys.errors import BadInput

SHARD_SECONDS = 10.0  # work that a killed run loses at most, per worker
SHARD_BYTES = 2**29  # embeddings and scores of a shard
Identity = tuple[tuple[str, Any], ...]
Progress = Callable[[int, int], None]  # keys done, keys in all


@dataclass(frozen=True)
class Shard:
    """What a worker returns: score rows and, where kept, raw trial scores of the keys ``[start, stop)``."""

    start: int
    stop: int
    rows: list[dict[str, Any]]
    outputs: pd.DataFrame | None


def sweep(
    config: SweepConfig,
    out: Path | str,
    *,
    workers: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    command: str | None = None,
    progress: Progress | None = None,
    report: Callable[[str], None] | None = None,
) -> RunFolder:
    """Run ``config`` into the run folder ``out`` and return it.

    Parameters
    ----------
    workers: processes; None takes one per core on a CPU and one on a GPU.
    backend, scheduler: ``loky`` (this machine) or ``dask`` with the address of a scheduler.
    command: the line that a reader types to get the run again, for the manifest.
    progress: called with keys done and keys in all whenever a shard is written.
    report: called with a line of text at each stage.

    Raises BadInput for everything a user can mend; finished shards stay on disk whatever happens.
    """
    say = report or (lambda line: None)
    begin = perf_counter()
    workers = choose_workers(workers, choose_device(config.device))
    if workers > 1 or backend == "dask":  # each worker has its share of the cores
        torch.set_num_threads(max(available_cores() // workers, 1))
    experiment = Experiment(config)
    folder = RunFolder(Path(out))
    before = folder.claim(experiment.identity())
    say(_describe(experiment))
    rates = _batch_size(experiment, before)
    manifest = _manifest(experiment, before, rates, command)
    folder.write_text("trials.txt", "".join(f"{line}\n" for line in experiment.trials.lines()))
    correct = experiment.explicit(experiment.correct)
    manifest["self_checks"] = [check.to_json() for check in self_checks(experiment, correct)]
    folder.write_scores("conditions", _conditions(experiment, correct))
    say("; ".join(f"{check['name']}: {check['value']:.1e}" for check in manifest["self_checks"]))

    total = experiment.total
    done = len(folder.keys_done() & set(range(total)))
    manifest["keys_done"] = done
    folder.write_manifest(manifest)
    if progress:
        progress(done, total)
    shards = folder.missing(total, _shard_size(experiment, total, workers))
    for shard in _run(experiment, shards, workers, backend, scheduler):
        if shard.outputs is not None:  # outputs first: a shard whose scores are there is whole
            folder.write_outputs(shard_name(shard.start, shard.stop), shard.outputs)
        folder.write_scores(shard_name(shard.start, shard.stop), shard.rows)
        done += shard.stop - shard.start
        folder.write_manifest(manifest := manifest | {"keys_done": done})
        if progress:
            progress(done, total)
    manifest |= {
        "keys_done": len(folder.keys_done()),
        "ended": _now(),
        "seconds": (before or {}).get("seconds", 0.0) + perf_counter() - begin,
    }
    folder.write_manifest(manifest)
    return folder


def answer(experiment: Experiment, start: int, stop: int) -> Shard:
    """Incorrect keys ``start … stop - 1`` through the encrypted model."""
    scores = experiment.scores(experiment.engine.embeddings(experiment.incorrect.batch(start, stop - start)))
    outputs = None
    if experiment.config.keep_outputs:
        outputs = pd.DataFrame({"key_index": range(start, stop), "scores": list(scores.cpu().numpy())})
    return Shard(start, stop, _rows(experiment, "incorrect", scores, start), outputs)


def run_shard(config: SweepConfig, identity: Identity, start: int, stop: int, rows: int, threads: int) -> Shard:
    """``answer`` in a worker, which prepares the experiment for itself."""
    torch.set_num_threads(threads)
    experiment = _prepared(config, identity)
    experiment.engine.rows = rows
    return answer(experiment, start, stop)


@lru_cache(maxsize=1)
def _prepared(config: SweepConfig, identity: Identity) -> Experiment:
    """Prepared once per worker; raises BadInput where the worker finds another model or other speech than the caller,
    as on a cluster whose machines hold different files."""
    experiment = Experiment(config)
    if differing := [name for name, value in experiment.identity().items() if not same(dict(identity)[name], value)]:
        raise BadInput(f"worker {platform.node()} sees another {differing[0]}: give every worker the same files")
    return experiment


def _run(
    experiment: Experiment, shards: list[tuple[int, int]], workers: int, backend: str, scheduler: str | None
) -> Iterator[Shard]:
    if workers == 1 and backend == "loky":
        yield from (answer(experiment, start, stop) for start, stop in shards)
        return
    config, rows = experiment.config, experiment.engine.rows
    identity = tuple(experiment.identity().items())
    threads = max(available_cores() // workers, 1)
    with _parallel(backend, scheduler, workers):
        parallel = joblib.Parallel(return_as="generator_unordered", pre_dispatch=2 * workers)
        yield from parallel(joblib.delayed(run_shard)(config, identity, *shard, rows, threads) for shard in shards)


@contextmanager
def _parallel(backend: str, scheduler: str | None, workers: int) -> Iterator[None]:
    if backend == "loky":
        with joblib.parallel_config(backend="loky", n_jobs=workers):
            yield
        return
    if backend != "dask":
        raise BadInput(f"backend {backend!r} is unknown: choose loky or dask")
    try:
        from dask.distributed import Client
    except ImportError:
        raise BadInput("--backend dask needs Dask: pip install 'wrongkey[cluster]'") from None
    if scheduler is None:
        raise BadInput("--backend dask needs the scheduler's address: --scheduler tcp://host:8786")
    try:
        client = Client(scheduler, timeout=10)
    except OSError:
        raise BadInput(f"no Dask scheduler answers at {scheduler}: start one with 'dask scheduler'") from None
    with client, joblib.parallel_config(backend="dask", n_jobs=workers):
        yield


def _rows(experiment: Experiment, condition: str, scores: Tensor, start: int | None) -> list[dict[str, Any]]:
    """Rows of the score file; ``start`` numbers the keys, None where the condition has no key of its own."""
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


def _conditions(experiment: Experiment, correct: Tensor) -> list[dict[str, Any]]:
    """Plain model, correct key (both sides encrypted explicitly) and plain queries on the encrypted model."""
    identity = torch.eye(len(experiment.correct), dtype=torch.float64).numpy()[None]
    plain = experiment.plain()[None]
    embeddings = {
        "plain": plain,
        "correct": correct[None],
        "plain_query": experiment.engine.embeddings(identity),
    }
    return [
        row
        for condition, answer in embeddings.items()
        for row in _rows(experiment, condition, experiment.scores(answer), None)
    ]


def _batch_size(experiment: Experiment, before: dict[str, Any] | None) -> dict[str, float]:
    """Set the engine's batch: what the run began with, so that its scores stay the same, or the fastest measured."""
    device = describe_device(experiment.device)
    if before and before["device"] == device and "batch" in before:
        experiment.engine.rows = before["batch"]["rows"]
        return dict(before["batch"]["rows_per_second"])
    return {str(rows): round(rate, 1) for rows, rate in experiment.engine.tune().items()}


def _shard_size(experiment: Experiment, total: int, workers: int) -> int:
    """Keys per shard: some seconds of work, embeddings that fit the memory, and shards enough for every worker."""
    begin = perf_counter()
    embeddings = experiment.engine.embeddings(experiment.incorrect.batch(0, 1))
    experiment.scores(embeddings)
    in_time = int(SHARD_SECONDS / (perf_counter() - begin))
    in_memory = SHARD_BYTES // (embeddings.nbytes + 4 * len(experiment.trials))
    return max(1, min(in_time, in_memory, -(-total // (4 * workers)), 1000))


def _manifest(
    experiment: Experiment, before: dict[str, Any] | None, rates: dict[str, float], command: str | None
) -> dict[str, Any]:
    config, corpus, trials = experiment.config, experiment.corpus, experiment.trials
    asked = replace(config, keys=max(config.keys, (before or {"config": {"keys": 0}})["config"]["keys"]))
    return {
        "config": {
            **asdict(asked),
            "model": experiment.model.name,
            "model_spec": config.model,
            "corpus": corpus.name,
            "corpus_spec": config.corpus,
            "block_size": experiment.block_size,
            "dims": experiment.dims,
            "command": command,
        },
        "identity": experiment.identity(),
        "versions": _versions(),
        "git": _git_revision(),
        "device": describe_device(experiment.device),
        "batch": {"rows": experiment.engine.rows, "rows_per_second": rates},
        "corpus": {
            "name": corpus.name,
            "speakers": len({utterance.speaker for utterance in experiment.used}),
            "utterances": len(experiment.used),
            "seconds": round(experiment.seconds, 2),
            "recordings": corpus.recordings,
        },
        "trials": {
            "target": trials.targets,
            "nontarget": trials.nontargets,
            "source": trials.source,
        },
        "model_card": getattr(experiment.model, "card", None),
        "key_space": experiment.incorrect.total if experiment.incorrect.enumerated else None,
        "enumerated": experiment.incorrect.enumerated and experiment.total == experiment.incorrect.total,
        "started": (before or {}).get("started") or _now(),
        "ended": None,
        "seconds": (before or {}).get("seconds", 0.0),
    }


def _describe(experiment: Experiment) -> str:
    config, total = experiment.config, experiment.total
    space = f"all {total} incorrect keys there are" if total < config.keys else f"{total:,} incorrect keys"
    return (
        f"{experiment.model.name} on {experiment.corpus.name}: {len(experiment.used)} utterances, "
        f"{len(experiment.trials.target):,} trials, {config.scheme}, M = {experiment.block_size}, {space}, "
        f"{describe_device(experiment.device)}"
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("wrongkey", "torch", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a checkout that is not installed
            found[package] = "not installed"
    return found


def _git_revision() -> str | None:
    """Revision of this checkout, with a mark where it was changed; None outside one."""
    here = Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=here, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
