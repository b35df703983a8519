"""The sweep: every incorrect key through the encrypted model, in shards that survive interruption.

The same call again finishes what is missing; a larger ``keys`` extends it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter, process_time

import torch
from torch import Tensor

from wrongkey.evaluation import cautions
from wrongkey.evaluation.begin import begin_run, choose_processes, set_batch_size
from wrongkey.evaluation.clips import keep_sweep
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import choose_device, clock, threads_each, threads_of_this_process
from wrongkey.evaluation.models.asking import model_at_fault
from wrongkey.evaluation.private_folders import remove_abandoned
from wrongkey.evaluation.processes.cluster import check_backend
from wrongkey.evaluation.processes.dispatch import check_timeout
from wrongkey.evaluation.processes.failures import Failures
from wrongkey.evaluation.processes.pool import start
from wrongkey.evaluation.processes.spread import places
from wrongkey.evaluation.processes.watch import Report, Watch
from wrongkey.evaluation.processes.workers import answers
from wrongkey.evaluation.run_folder.folder import RunFolder, shard_name
from wrongkey.evaluation.run_folder.key_ranges import KeyRanges
from wrongkey.evaluation.run_folder.manifest import now, with_least_rows

SHARD_SECONDS = 10.0  # work that a killed run loses at most, per worker
SHARD_BYTES = 2**29  # answers and scores of a shard
PROBED_SEGMENTS = 8  # whose time says how much a key is

Progress = Callable[[int, int], None]  # keys done, keys in all


def sweep(
    config: SweepConfig,
    out: Path | str,
    *,
    workers: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    timeout: float | None = None,
    command: str | None = None,
    prepared: Experiment | None = None,
    again: RunFolder | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
) -> RunFolder:
    """Run ``config`` into the run folder ``out`` and return it.

    Parameters
    ----------
    config
        What is asked for.
    out
        The run folder; one that is there is continued if it holds the same experiment.
    workers
        Processes; None takes one per GPU, on a CPU one per core where the keys are worth their start, or as many as the
        cluster has workers.
    backend, scheduler
        ``loky`` (this machine) or ``dask`` with the address of a scheduler.
    timeout
        Seconds that a shard (about ten seconds of work, and in a new worker its start) may take before it is given to
        another worker; None waits indefinitely.
    command
        The line that a reader types to repeat the run, for the manifest.
    prepared
        The experiment of ``config``, where the caller has it already.
    again
        A run of the same experiment, whose batch size and shards are taken, so that rounding makes no difference.
    progress
        Called with keys done and keys in all whenever a shard is written.
    report
        Called with a line of text at each stage, and once a minute, in another thread, while no shard arrives.

    Returns
    -------
    RunFolder
        The finished run.

    Raises
    ------
    BadInput
        For everything a user can correct, and at the end for keys that failed while the others went on. Finished
        shards stay on disk in every case.
    """
    check_backend(backend, scheduler)
    check_timeout(timeout)
    _, workers_of_cluster = places(workers, choose_device(config.device), scheduler)
    folder = RunFolder(out)
    say = report or (lambda line: None)
    remove_abandoned()  # plain speech of a sweep that was killed
    with folder.locked(), threads_of_this_process(threads_each(1)):
        begin, used = perf_counter(), process_time()
        with model_at_fault(config.model):
            if prepared is None:
                say(f"Reading {config.corpus} for {config.model} …")
            experiment = prepared or Experiment(config)
            chosen = choose_processes(
                experiment, _missing(experiment, folder), workers, scheduler, process_time() - used
            )
            threads = threads_each(chosen.count)
            torch.set_num_threads(threads)
            if scheduler is None:
                start(chosen.count, threads)
            at_once = chosen.count if scheduler is None else workers_of_cluster
            identity = experiment.identity()
            if again:
                set_batch_size(experiment, again.manifest())
            manifest, done = begin_run(
                folder, experiment, identity, _keys_asked(experiment), chosen.count, timeout, command, report
            )
            manifest["sessions"][-1] |= {"workers": at_once, "workers_because": chosen.why}
            if scheduler is not None:  # its workers have threads of their own
                manifest["sessions"][-1]["threads"] = None
            total, tied = experiment.total, set(manifest["tied_keys"])
            failed = {one["key"]: one["reason"] for one in manifest["failed_keys"]}  # of this session or an earlier one
            late = manifest["late_shards"]
            spent, known = manifest["seconds"], manifest["cautions"]
            if progress:
                progress(done.below(total), total)
            shards = _shards_again(again, total, done) if again else []
            others = KeyRanges([*done.ranges(), *shards])
            shards += folder.missing(total, _shard_size(experiment, total, at_once), others)
        failures = Failures("keys", worked=bool(done))
        with (
            Watch("shard", report, lambda: f"{done.below(total):,} of {total:,} keys") as watch,
            closing(
                answers(experiment, identity, shards, at_once, scheduler, watch, timeout, worked=bool(done))
            ) as arriving,
        ):
            for answered in arriving:
                for shard in answered.shards:
                    if shard.outputs is not None:  # outputs first: a shard whose scores are there is whole
                        folder.write_outputs(shard_name(shard.start, shard.stop), shard.outputs)
                    folder.write_scores(shard_name(shard.start, shard.stop), shard.rows)
                    done.add(shard.start, shard.stop)
                    tied |= set(shard.tied)
                failed |= {one.number: one.reason for one in answered.failures}
                failed = {key: reason for key, reason in failed.items() if key not in done}
                failures.worked |= bool(answered.shards)
                failures.add(answered.failures)
                manifest |= {"keys_done": len(done), "seconds": spent + perf_counter() - begin}
                manifest["batch"] = with_least_rows(manifest["batch"], answered.rows)
                manifest |= {"tied_keys": sorted(tied), "late_shards": late + watch.late}
                manifest["failed_keys"] = [{"key": key, "reason": failed[key]} for key in sorted(failed)]
                folder.write_manifest(manifest | {"cautions": known + cautions.of_keys(manifest)})
                folder.compact()
                if progress:
                    progress(done.below(total), total)
        manifest["cautions"] = known + cautions.of_keys(manifest)
        for sentence in manifest["cautions"][len(known) :]:
            say(f"caution: {sentence}")
        folder.compact(ended=True)
        failures.check(total)
        folder.write_manifest(manifest | {"ended": now(), "seconds": spent + perf_counter() - begin})
        keep_sweep(experiment, folder.path)
    return folder


def _shards_again(again: RunFolder, total: int, done: KeyRanges) -> list[tuple[int, int]]:
    """The shards of an earlier run, which keys are asked in together, where none of their keys is done."""
    return [keys for keys in again.shards() if keys[1] <= total and not done.meets(*keys)]


def _missing(experiment: Experiment, folder: RunFolder) -> int:
    """Incorrect keys that a folder lacks, by the names of its files, if it is one of this experiment."""
    return experiment.total - folder.keys_named().below(experiment.total)


def _shard_size(experiment: Experiment, total: int, workers: int) -> int:
    """Keys per shard: some seconds of work, answers that fit the memory, and enough shards for every worker."""
    engine, device = experiment.engine, experiment.device
    begin = clock(device)
    few = engine.queries.probe(PROBED_SEGMENTS)
    engine.on(few).plain()
    share = few.elements / engine.queries.elements
    asking = (clock(device) - begin) / share
    begin = clock(device)
    answers = experiment.plain()
    scores = experiment.scores(answers)
    experiment.task.measure(scores)
    size = scores.nbytes + (answers.nbytes if isinstance(answers, Tensor) else 0)
    return keys_per_shard(asking + clock(device) - begin, size, total, workers)


def keys_per_shard(seconds: float, size: int, total: int, workers: int) -> int:
    """Keys that are asked together, where one takes some `seconds`, and `size` bytes of answers and scores."""
    return max(1, min(int(SHARD_SECONDS / seconds), SHARD_BYTES // size, -(-total // (4 * workers)), 1000))


def _keys_asked(experiment: Experiment) -> str:
    total = experiment.total
    all_there_are = experiment.incorrect.enumerated and total == experiment.incorrect.total
    return f"all {total:,} incorrect keys there are" if all_there_are else f"{total:,} incorrect keys"
