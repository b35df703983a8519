"""The sweep: every incorrect key through the encrypted model, in shards that survive interruption.

The same call again finishes what is missing; a larger ``keys`` extends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wrongkey.evaluation import cautions
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.checks import self_checks
from wrongkey.evaluation.clips import keep_sweep
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import available_cores, choose_device, choose_workers, describe_device
from wrongkey.evaluation.models.asking import model_at_fault
from wrongkey.evaluation.processes.dispatch import check_timeout
from wrongkey.evaluation.processes.failures import Failures
from wrongkey.evaluation.processes.watch import Report, Watch
from wrongkey.evaluation.processes.workers import answers, check_backend, score_rows
from wrongkey.evaluation.run_folder.folder import RunFolder, shard_name
from wrongkey.evaluation.run_folder.manifest import describe_run, now

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
        Processes; None takes one per core on a CPU and one per GPU.
    backend, scheduler
        ``loky`` (this machine) or ``dask`` with the address of a scheduler.
    timeout
        Seconds that a shard (about ten seconds of work, and in a new worker its start) may take; None waits
        indefinitely.
    command
        The line that a reader types to repeat the run, for the manifest.
    prepared
        The experiment of ``config``, where the caller has it already.
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
    workers = choose_workers(workers, choose_device(config.device))
    folder = RunFolder(out)
    say = report or (lambda line: None)
    with folder.locked(), _threads(max(available_cores() // workers, 1)):
        begin = perf_counter()
        with model_at_fault(config.model):
            if prepared is None:
                say(f"Reading {config.corpus} for {config.model} …")
            experiment = prepared or Experiment(config)
            identity = experiment.identity()
            manifest, done = _begin(folder, experiment, identity, workers, timeout, command, report)
            total, tied = experiment.total, set(manifest["tied_keys"])
            wanted, spent, known = set(range(total)), manifest["seconds"], manifest["cautions"]
            if progress:
                progress(len(done & wanted), total)
            shards = folder.missing(total, _shard_size(experiment, total, workers), done)
        failures = Failures("keys", worked=bool(done))
        with (
            Watch("shard", report, lambda: f"{len(done & wanted):,} of {total:,} keys") as watch,
            closing(answers(experiment, identity, shards, workers, backend, scheduler, watch, timeout)) as arriving,
        ):
            for answered in arriving:
                for shard in answered.shards:
                    if shard.outputs is not None:  # outputs first: a shard whose scores are there is whole
                        folder.write_outputs(shard_name(shard.start, shard.stop), shard.outputs)
                    folder.write_scores(shard_name(shard.start, shard.stop), shard.rows)
                    done |= set(range(shard.start, shard.stop))
                    tied |= set(shard.tied)
                failures.worked |= bool(answered.shards)
                failures.add(answered.failures)
                manifest |= {"keys_done": len(done), "seconds": spent + perf_counter() - begin}
                manifest |= {"tied_keys": sorted(tied), "cautions": known + cautions.of_tied_keys(tied, len(done))}
                folder.write_manifest(manifest)
                if progress:
                    progress(len(done & wanted), total)
        manifest["cautions"] = known + cautions.of_tied_keys(tied, len(done))
        for sentence in manifest["cautions"][len(known) :]:
            say(f"caution: {sentence}")
        failures.check(total)
        folder.write_manifest(manifest | {"ended": now(), "seconds": spent + perf_counter() - begin})
        keep_sweep(experiment, folder.path)
    return folder


def _begin(
    folder: RunFolder,
    experiment: Experiment,
    identity: dict[str, Any],
    workers: int,
    timeout: float | None,
    command: str | None,
    report: Report | None,
) -> tuple[dict[str, Any], set[int]]:
    """Claim the folder, check the model, write what there is before the first key; the manifest and the keys done."""
    say = report or (lambda line: None)
    before = folder.claim(identity)
    for line in folder.damaged:
        say(line)
    _set_batch_size(experiment, before)
    manifest = describe_run(experiment, before, identity, command)
    say("Checking the model: does it answer twice alike, and the correct key as the plain model does? …")
    correct = None if experiment.encrypted is None else experiment.explicit(experiment.correct)
    manifest["self_checks"] = [check.to_json() for check in self_checks(experiment, correct, workers, timeout, report)]
    experiment.check_unchanged()
    done = folder.keys_done()
    manifest |= {"keys_done": len(done), "tied_keys": sorted(done & set((before or {}).get("tied_keys") or []))}
    folder.write_manifest(manifest)
    for name, text in experiment.task.files().items():
        folder.write_text(name, text)
    rows = _write_conditions(folder, experiment, correct)
    known = _cautions(experiment, rows)
    folder.write_manifest(manifest | {"cautions": known + cautions.of_tied_keys(manifest["tied_keys"], len(done))})
    manifest["cautions"] = known
    say(_describe(experiment))
    say(_checked(manifest["self_checks"]))
    for sentence in known:
        say(f"caution: {sentence}")
    return manifest, done


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """PyTorch's threads in this process while its workers share the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cautions(experiment: Experiment, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader must know about the corpus and the plain model, from its answers and its score rows."""
    plain, classes = experiment.clean(), getattr(experiment.model, "classes", None)
    found = [*experiment.corpus.cautions, *experiment.task.cautions(), *cautions.of_answers("the plain model", plain)]
    if experiment.config.task == "asv" and all(cautions.tied("asv", plain, experiment.scores(plain))):
        found.append("all trials of the plain model have the same score: no error rate can be computed from them")
    found += cautions.of_preparation(str(experiment.preparation), experiment.task.metric, rows)
    return found + cautions.of_rows(rows, len(classes) if classes else None)


def _write_conditions(folder: RunFolder, experiment: Experiment, correct: Answers | None) -> list[dict[str, Any]]:
    """Plain model, correct key (both sides encrypted explicitly) and plain queries on the encrypted model.

    The plain model hears speech as it was recorded, the others what users make of it before encryption: the difference
    of plain and correct is what that costs. Returns the score rows.
    """
    answers = {"plain": experiment.clean()}
    if correct is not None:
        identity = np.eye(len(experiment.correct))[None]
        answers |= {"correct": correct, "plain_query": experiment.answers(identity)}
    enrolled = {"plain": experiment.clean}  # with the speech that they are tested with
    scores = {
        condition: experiment.task.scores(answer, enrolled.get(condition, experiment.plain))
        for condition, answer in answers.items()
    }
    if experiment.config.keep_outputs:
        outputs = [
            experiment.task.outputs(answers[condition], found, -1).assign(condition=condition)
            for condition, found in scores.items()
        ]
        folder.write_outputs("conditions", pd.concat(outputs, ignore_index=True))
    rows = [row for condition, found in scores.items() for row in score_rows(experiment, condition, found, None)]
    folder.write_scores("conditions", rows)
    return rows


def _set_batch_size(experiment: Experiment, before: dict[str, Any] | None) -> None:
    """Take the batch size that the run began with, so that its scores stay the same; on another device, the fastest."""
    if before and before.get("batch") and before.get("device") == describe_device(experiment.device):
        experiment.engine.batch.rows = before["batch"]["rows"]
    elif experiment.engine.batch.rows == 1:  # not yet tuned, as an experiment prepared for an earlier sweep is
        experiment.tune()


def _shard_size(experiment: Experiment, total: int, workers: int) -> int:
    """Keys per shard: some seconds of work, answers that fit the memory, and enough shards for every worker."""
    begin = perf_counter()
    engine = experiment.engine
    few = engine.queries.first(PROBED_SEGMENTS)
    engine.on(few).plain()
    share = few.segments / engine.queries.segments
    asking = (perf_counter() - begin) / share
    begin = perf_counter()
    answers = experiment.plain()
    scores = experiment.scores(answers)
    experiment.task.measure(scores)
    in_time = int(SHARD_SECONDS / (asking + perf_counter() - begin))
    in_memory = SHARD_BYTES // (scores.nbytes + (answers.nbytes if isinstance(answers, Tensor) else 0))
    return max(1, min(in_time, in_memory, -(-total // (4 * workers)), 1000))


def _checked(checks: Sequence[Mapping[str, Any]]) -> str:
    """All checks in a line. A check with a limit of 1 is a share of what is allowed, and no difference."""
    differences = [check["value"] for check in checks if check["limit"] < 1]
    passed = sum(check["passed"] for check in checks)
    return f"{passed} of {len(checks)} self-checks passed, largest difference {max(differences):.1e}"


def _describe(experiment: Experiment) -> str:
    config, total = experiment.config, experiment.total
    all_there_are = experiment.incorrect.enumerated and total == experiment.incorrect.total
    keys = f"all {total:,} incorrect keys there are" if all_there_are else f"{total:,} incorrect keys"
    cut = experiment.cut
    return (
        f"{experiment.model.name} on {experiment.corpus.name}: {experiment.task.summary()}, {config.scheme}, "
        f"M = {cut.block_size} ({'waveforms' if experiment.on_waveforms else cut.blocks}), {keys}, "
        f"{describe_device(experiment.device)}"
    )
