"""What the parts of a sweep cost here, measured as the sweep does them, on some of its utterances and keys.

Work that grows with the corpus is timed on the sampled utterances, each of which stands for several. Scores are
computed from as many answers as the sweep has, so that they cost what they will.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.begin import seconds_per_key, set_batch_size
from wrongkey.evaluation.checks import self_checks
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import Utterance
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import REDUCED, available_cores, threads_each
from wrongkey.evaluation.models.asking import model_at_fault
from wrongkey.evaluation.planning.cost import Cost, Process, timed
from wrongkey.evaluation.planning.disk import Disk, measure_disk
from wrongkey.evaluation.planning.sample import MEASURED, Sample, sample_of
from wrongkey.evaluation.processes.pool import Pool, processes, source_size
from wrongkey.evaluation.processes.watch import Report
from wrongkey.evaluation.processes.workers import score_rows
from wrongkey.evaluation.reader import read_ahead
from wrongkey.evaluation.reduced_precision import in_float32, under_the_correct_key
from wrongkey.evaluation.run_folder.folder import RunFolder

ASKING_SECONDS = 1.0  # of CPU, that asking under some keys takes where there are as many
MOST_KEYS = 32  # that are asked under
OF_EVERY_UTTERANCE = ("corpus", "segments", "plain answers")  # what an identity says of them


@dataclass(frozen=True)
class Memory:
    """Bytes of memory. Resident sizes are None where the system does not tell them.

    Attributes
    ----------
    main, other : int or None
        Largest resident size of this process, and of the one that the self-checks ask.
    speech_here, speech : int
        Queries of the sampled utterances, and of all.
    key : int
        Answers and scores of a key.
    keys_here : int
        Keys whose answers this process held.
    float32_here, float32 : int
        Queries of the sampled utterances, and of all, in float32: this process holds them too while it compares a lower
        precision with it. 0 where it does not.
    source : int
        Resident size of the process that others are forked from; 0 where there is none.
    in_each : float
        Bytes of queries up to which the sweep's own process holds them itself; more lie in one file that it maps.
    shared : bool
        Whether its workers map a file of the queries in any case.
    """

    main: int | None
    other: int | None
    speech_here: int
    speech: int
    key: int
    keys_here: int
    float32_here: int = 0
    float32: int = 0
    source: int = 0
    in_each: float = float("inf")
    shared: bool = False

    @property
    def mapped(self) -> bool:
        """Whether the queries lie in a file."""
        return self.speech > self.in_each


@dataclass(frozen=True)
class Calibration:
    """What was measured; costs are those of the whole corpus.

    Attributes
    ----------
    start : Cost
        A new process that imports what it needs, and its end.
    prepare : Cost
        Model, speech and keys made ready to be asked.
    again : Cost
        The same in another process, which does not read what this one has read.
    begin : Cost
        Batch size, self-checks, and scores of the conditions without a key.
    key, shard, end : Cost
        One key; what a shard takes beside its keys; what follows the last shard.
    memory : Memory
        Of the processes.
    disk : Disk
        Of the run folder.
    total : int
        Incorrect keys that are asked for, or all there are.
    measured, utterances : int
        Utterances of the sample, and of the sweep.
    seconds : float
        Of speech.
    summary : str
        What is asked, for readers: utterances and trials.
    device : str
        "cpu" or "cuda".
    with_all_threads : float
        Seconds of a key with a thread for each core, over those with the threads that were measured.
    """

    start: Cost
    prepare: Cost
    again: Cost
    begin: Cost
    key: Cost
    shard: Cost
    end: Cost
    memory: Memory
    disk: Disk
    total: int
    measured: int
    utterances: int
    seconds: float
    summary: str
    device: str
    with_all_threads: float = 1.0


def calibrate(config: SweepConfig, folder: RunFolder, report: Report | None = None) -> Calibration:
    """Measure what the parts of a sweep cost.

    Parameters
    ----------
    config
        What is asked for.
    folder
        Where the sweep would write; it is only read.
    report
        Called with a line of text at each stage.

    Raises
    ------
    BadInput
        As the sweep would, for what the user can correct, and for a folder of another experiment.
    """
    say = report or (lambda line: None)
    folder.manifest()  # a broken one is said at once
    with model_at_fault(config.model):
        say(f"Reading {config.corpus} for {config.model} …")
        start = _start()
        experiment, sample, opening, reading = _prepared(config)
        identity, hashing = _identity(experiment, sample)
        before = _continued(folder, identity, sample)
        say(f"Timing {len(sample.numbers):,} of {len(sample.stands_for):,} utterances …")
        asked = _asked(experiment, sample, before)
        say("Timing the self-checks …")
        checks, checking, other = _checked(experiment, asked.correct, say)
        scored = _scored(experiment, asked)
        disk = measure_disk(experiment, identity, before, checks, scored.rows, asked.answers, scored.scores)
    one_by_one = Cost(reading.cpu, reading.cpu)
    conditions = 1 if experiment.encrypted is None else 3  # plain, correct key, plain queries
    begin = asked.tuning + checking + asked.plain_and_correct + (conditions + 1) * (scored.key + scored.together)
    begin += asked.key if conditions == 3 else Cost()
    float32 = 0
    if config.precision in REDUCED:  # the correct key is also asked under in float32
        float32, asking = _float32(experiment)
        begin += opening + reading + sample.factor * asking + scored.key
    if experiment.preparation:  # the plain model is also asked about speech as it was recorded
        begin += asked.plain + one_by_one
    return Calibration(
        start=start,
        prepare=opening + reading + hashing,
        again=opening + hashing + (Cost() if experiment.can_be_mapped else one_by_one),
        begin=begin,
        key=asked.key + scored.key + disk.key_cost,
        shard=asked.unchanged + scored.together + disk.shard_cost,
        end=disk.end_cost,
        memory=_memory(experiment, sample, asked, scored, other, float32),
        disk=disk,
        total=experiment.total,
        measured=len(sample.numbers),
        utterances=len(sample.stands_for),
        seconds=sample.seconds,
        summary=experiment.task.summary(),
        device=experiment.device.type,
        with_all_threads=_with_all_threads(experiment),
    )


def _with_all_threads(experiment: Experiment) -> float:
    if experiment.device.type != "cpu":
        return 1.0
    each = seconds_per_key(experiment, torch.get_num_threads())
    return seconds_per_key(experiment, threads_each(1)) / each


def _start() -> Cost:
    """Cost of a process that imports what a sweep's own does, and ends: ending takes PyTorch a third of its start."""
    before = _of_ended_processes()
    new, lived = timed(_one_life)
    return Cost(lived.clock, max(_of_ended_processes() - before, new.cpu))


def _one_life() -> Process:
    with Pool(1, available_cores(), anew=True) as pool:
        found: Process = pool.submit(_process).result()
    return found


def _of_ended_processes() -> float:
    """Seconds of CPU of the processes that this one has started and that have ended; 0 on Windows."""
    used = os.times()
    return used.children_user + used.children_system


def _process() -> Process:
    return Process.here()


def _prepared(config: SweepConfig) -> tuple[Experiment, Sample, Cost, Cost]:
    """The experiment with the sampled utterances, and the costs of opening it and of reading all utterances."""
    opened, opening = timed(lambda: Experiment(config, [0]))
    sample = sample_of(opened.task.utterances, MEASURED[config.task])
    # before the experiment of the sample reads them: what was decoded is kept
    _, reading = timed(partial(_read, opened, [opened.task.utterances[number] for number in sample.numbers]))
    return opened.among(sample.numbers), sample, opening, sample.factor * reading


def _read(experiment: Experiment, utterances: Sequence[Utterance]) -> None:
    """Read utterances as an experiment does, with all cores, and forget them."""
    waveforms = read_ahead(experiment.reader.waveform, utterances, available_cores())
    for utterance, waveform in zip(utterances, waveforms, strict=True):
        experiment.reader.segments(waveform, utterance)


def _identity(experiment: Experiment, sample: Sample) -> tuple[dict[str, Any], Cost]:
    """What the scores depend on, as far as the sample shows it, and the cost of finding that out for all utterances."""
    _, hashing = timed(replace(experiment.corpus, utterances=experiment.used).digest)
    identity, whole = timed(experiment.identity)
    return identity, whole - hashing + sample.factor * hashing


def _continued(folder: RunFolder, identity: Mapping[str, Any], sample: Sample) -> dict[str, Any] | None:
    """The manifest of the run that the sweep would continue, as it finds it; of a sample as far as its identity goes.

    Raises BadInput for a folder of another experiment.
    """
    unknown = OF_EVERY_UTTERANCE if sample.factor > 1 else ()
    return folder.continued({name: value for name, value in identity.items() if name not in unknown})


@dataclass(frozen=True)
class _Asked:
    """Answers to all utterances, each that of the one that stands for it, and what asking about all costs."""

    plain_answers: Answers
    answers: Answers
    correct: Answers | None  # of the sampled utterances
    tuning: Cost
    plain: Cost
    plain_and_correct: Cost
    unchanged: Cost
    key: Cost


def _asked(experiment: Experiment, sample: Sample, before: dict[str, Any] | None) -> _Asked:
    segments = round(sample.factor * experiment.engine.queries.segments)
    _, tuning = timed(lambda: set_batch_size(experiment, before, segments))
    plain, plainly = timed(experiment.plain)
    explicitly, correct = Cost(), None
    if experiment.encrypted is not None:
        correct, explicitly = timed(lambda: experiment.explicit(experiment.correct))
    answers, keyed = _under_some_keys(experiment)
    experiment.check_unchanged()  # the first time, it only remembers the answers
    _, unchanged = timed(experiment.check_unchanged)
    return _Asked(
        plain_answers=sample.of_all(plain),
        answers=sample.of_all(answers),
        correct=correct,
        tuning=tuning,
        plain=sample.factor * plainly,
        plain_and_correct=sample.factor * (plainly + explicitly),
        unchanged=unchanged,
        key=sample.factor / len(answers) * keyed,
    )


def _under_some_keys(experiment: Experiment) -> tuple[Answers, Cost]:
    """Answers under as many keys as take `ASKING_SECONDS`, at least one."""
    keys = 1
    while True:
        answers, cost = timed(partial(_under_keys, experiment, keys))
        if cost.cpu >= ASKING_SECONDS or keys >= min(MOST_KEYS, experiment.total):
            return answers, cost
        keys = min(2 * keys, MOST_KEYS, experiment.total)


def _under_keys(experiment: Experiment, keys: int) -> Answers:
    return experiment.answers(experiment.incorrect.batch(0, keys))


def _checked(experiment: Experiment, correct: Answers | None, say: Report) -> tuple[list[Any], Cost, Process]:
    """The self-checks, their cost in both processes, and the process that they asked."""
    before = _other_process()
    checks, here = timed(lambda: self_checks(experiment, correct, report=say))
    after = _other_process()
    return checks, here + Cost(0.0, max(after.cpu - before.cpu, 0.0)), after


def _float32(experiment: Experiment) -> tuple[int, Cost]:
    """Bytes of the sampled utterances' queries in float32, and the cost of asking about them under the correct key."""
    with in_float32(experiment) as other:
        _, asking = timed(lambda: under_the_correct_key(other))
        return _speech(other), asking


def _speech(experiment: Experiment) -> int:
    """Bytes of an experiment's queries in this machine's memory."""
    on_cpu = experiment.device.type == "cpu"
    tensors = [group.segments for group in experiment.engine.queries.groups] if on_cpu else []
    return sum(tensor.nbytes for tensor in (*tensors, *experiment.waveforms))


def _other_process() -> Process:
    with processes(1, available_cores()) as pool:
        found: Process = pool.submit(_process).result()
    return found


@dataclass(frozen=True)
class _Scored:
    """Scores under some keys and their rows; the costs of one key's, and of scoring any number of keys together."""

    scores: Tensor
    rows: list[dict[str, Any]]
    key: Cost
    together: Cost


def _scored(experiment: Experiment, asked: _Asked) -> _Scored:
    def score(keys: int | None) -> tuple[Tensor, list[dict[str, Any]]]:
        scores = experiment.task.scores(asked.answers[:keys], lambda: asked.plain_answers)
        return scores, score_rows(experiment, "incorrect", scores, 0)

    (scores, rows), all_keys = timed(lambda: score(None))
    _, one = timed(lambda: score(1))
    others = len(scores) - 1
    key = 1 / others * (all_keys - one) if others else one
    return _Scored(scores, rows, key, one - key)


def _memory(
    experiment: Experiment, sample: Sample, asked: _Asked, scored: _Scored, other: Process, float32: int
) -> Memory:
    speech = _speech(experiment)
    answered = asked.answers.nbytes if isinstance(asked.answers, Tensor) else 0
    return Memory(
        main=Process.here().peak,
        other=other.peak,
        speech_here=speech,
        speech=round(sample.factor * speech),
        key=(answered + scored.scores.nbytes) // len(scored.scores),
        keys_here=len(scored.scores),
        float32_here=float32,
        float32=round(sample.factor * float32),
        source=source_size(),
        in_each=experiment.most_in_memory,
        shared=experiment.can_be_mapped,
    )
