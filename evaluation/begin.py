"""How a sweep, or a measurement of strength, begins: its folder claimed, its model checked, its conditions scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from wrongkey.errors import BadInput
from wrongkey.evaluation import cautions
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.checks import passed, self_checks
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import (
    REDUCED,
    Workers,
    choose_workers,
    clock,
    describe_device,
    kind_of,
    threads_each,
    threads_of_this_process,
    worthwhile_workers,
)
from wrongkey.evaluation.processes.pool import is_ready
from wrongkey.evaluation.processes.watch import Report
from wrongkey.evaluation.processes.workers import score_rows
from wrongkey.evaluation.reduced_precision import against_float32
from wrongkey.evaluation.run_folder.folder import RunFolder
from wrongkey.evaluation.run_folder.key_ranges import KeyRanges
from wrongkey.evaluation.run_folder.manifest import describe_run
from wrongkey.evaluation.windows import described, windows_of

IMPORTING = 1.5  # seconds in which a new process imports PyTorch
PROBED_SEGMENTS = (1, 8, 8)  # the time of the last says how much a key is: the first of a size prepares kernels
LONG = 0.2  # seconds after which one segment tells enough


def choose_processes(
    experiment: Experiment, keys: int, asked: int | None, scheduler: str | None, opening: float
) -> Workers:
    """How many processes ask the model, from the number that was named, or from what they cost.

    Parameters
    ----------
    experiment
        What is asked.
    keys
        How many are still to be asked.
    asked
        The number that was named, or None.
    scheduler
        That of a cluster, whose processes are not counted.
    opening
        Seconds of CPU that it took to make the experiment. Each process does the same with its part of the cores, but
        for the speech, where that is read once.
    """
    if scheduler is not None:
        return Workers(1, "a cluster has its own")
    count = choose_workers(asked, experiment.device)
    if asked is not None:
        return Workers(count, "as asked")
    if experiment.device.type != "cpu":
        return Workers(count, "one per GPU")
    most = max(min(count, keys), 1)
    if most == 1:
        return Workers(1, "one core or key")
    experiment.engine.on(experiment.engine.queries.probe(1)).plain(rows=1)  # else only the first to be timed is cold
    again = max(opening - experiment.reading, 0.0) if experiment.can_be_mapped else opening
    start = again if is_ready(most, threads_each(most)) else IMPORTING + again
    shared = start + keys / most * seconds_per_key(experiment, threads_each(most))
    return worthwhile_workers(keys * seconds_per_key(experiment, threads_each(1)), shared, most)


def seconds_per_key(experiment: Experiment, threads: int) -> float:
    """Seconds of asking about all segments with so many threads, by what some take, in proportion to their elements."""
    engine, spent = experiment.engine, 0.0
    with threads_of_this_process(threads):
        for segments in PROBED_SEGMENTS:
            few = engine.queries.probe(segments)
            begin = clock(experiment.device)
            engine.on(few).plain(rows=few.segments)
            spent = (clock(experiment.device) - begin) * engine.queries.elements / few.elements
            if clock(experiment.device) - begin > LONG:
                break
    return spent


def begin_run(
    folder: RunFolder,
    experiment: Experiment,
    identity: dict[str, Any],
    keys: str,
    workers: int,
    timeout: float | None,
    command: str | None,
    report: Report | None,
) -> tuple[dict[str, Any], KeyRanges]:
    """Claim the folder, check the model, write what there is before the first key.

    Parameters
    ----------
    folder
        The run folder, locked.
    experiment, identity
        What is asked, and what its scores depend on.
    keys
        Which keys are asked, for the log.
    workers, timeout, command, report
        As for a sweep (`wrongkey.evaluation.sweep`).

    Returns
    -------
    manifest : dict
        What the folder says of itself.
    done : KeyRanges
        Incorrect keys whose scores it holds.

    Raises
    ------
    BadInput
        For a folder of another run, and a model that fails a check.
    """
    say = report or (lambda line: None)
    before = folder.claim(identity)
    for line in folder.damaged:
        say(line)
    set_batch_size(experiment, before)
    manifest = describe_run(experiment, before, identity, command)
    say("Checking the model: does it answer twice alike, and the correct key as the plain model does? …")
    correct = None if experiment.encrypted is None else experiment.explicit(experiment.correct)
    checks = self_checks(experiment, correct, workers, timeout, report)
    if experiment.config.precision in REDUCED:
        say("Asking the model in float32, too: does the precision move the error rate under the correct key? …")
    checks += passed(experiment, against_float32(experiment, correct))
    manifest["self_checks"] = [check.to_json() for check in checks]
    experiment.check_unchanged()
    done = folder.claimed
    kept: Mapping[str, Any] = before or {}
    manifest |= {
        "keys_done": len(done),
        "tied_keys": [key for key in kept.get("tied_keys") or [] if key in done],
        "failed_keys": [one for one in kept.get("failed_keys", []) if one["key"] not in done],
        "late_shards": kept.get("late_shards", 0),
    }
    folder.write_manifest(manifest)
    for name, text in experiment.task.files().items():
        folder.write_text(name, text)
    rows = _write_conditions(folder, experiment, correct)
    known = _cautions(experiment, rows)
    folder.write_manifest(manifest | {"cautions": known + cautions.of_keys(manifest)})
    manifest["cautions"] = known
    say(_describe(experiment, keys))
    if windows := windows_of(experiment.model):
        say(described(experiment.model, windows))
    say(_checked(manifest["self_checks"]))
    for sentence in known:
        say(f"caution: {sentence}")
    return manifest, done


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
        answers |= {"correct": correct, "plain_query": experiment.plain_query()}
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


def set_batch_size(experiment: Experiment, before: dict[str, Any] | None, segments: int | None = None) -> None:
    """Take the batch size that the run has had on this kind of device, so that its scores stay the same.

    On a kind that is new to the run it is the fastest there; cores of a CPU do not count. ``segments`` are those of the
    sweep, where the experiment has a sample of them. Raises BadInput where ``--rows`` asks for another batch size.
    """
    there = rows_on(before or {}, experiment.device)
    if there is not None:
        asked = experiment.config.rows
        if asked not in (None, there):
            raise BadInput(
                f"The run began with passes of {there} rows: leave --rows {asked} out, or choose another --out."
            )
        experiment.engine.batch.choose(there, "those of an earlier session on such a device")
    elif not experiment.engine.batch.chosen:  # an experiment prepared for an earlier sweep has been tuned
        experiment.tune(segments)


def rows_on(manifest: Mapping[str, Any], device: torch.device) -> int | None:
    """Rows of a pass in the first session of a run on a device of this kind; None where it had none.

    Sessions of an older wrongkey do not say their rows: they had those of the run, on the device of the first one.
    """
    batch = manifest.get("batch") or {}
    first = {"device": manifest.get("device"), "rows": batch.get("rows")}
    sessions = [one for one in manifest.get("sessions") or [] if one.get("rows")] or [first]
    here = kind_of(describe_device(device))
    there = (one["rows"] for one in sessions if one.get("device") and kind_of(one["device"]) == here)
    return next(there, None)


def _checked(checks: Sequence[Mapping[str, Any]]) -> str:
    """All checks in a line. A check with a limit of 1 is a share of what is allowed, and no difference."""
    differences = [check["value"] for check in checks if check["limit"] < 1]
    passed = sum(check["passed"] for check in checks)
    return f"{passed} of {len(checks)} self-checks passed, largest difference {max(differences):.1e}"


def _describe(experiment: Experiment, keys: str) -> str:
    config = experiment.config
    cut = experiment.cut
    return (
        f"{experiment.model.name} on {experiment.corpus.name}: {experiment.task.summary()}, {config.scheme}, "
        f"M = {cut.block_size} ({'waveforms' if experiment.on_waveforms else cut.blocks}), {keys}, "
        f"{describe_device(experiment.device)}"
    )
