"""Where shards are computed: this process, others of this machine, or a Dask cluster, which schedules its machines.

A worker prepares the experiment from the configuration, once, and answers with rows; the calling process writes them.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.cautions import tied
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import (
    describe_device,
    kind_of,
    release_unused,
    threads_each,
)
from wrongkey.evaluation.processes.dispatch import Call, accepted, described, sheltered
from wrongkey.evaluation.processes.failures import Failure
from wrongkey.evaluation.processes.late import Late
from wrongkey.evaluation.processes.lists import Lists, lists_of
from wrongkey.evaluation.processes.spread import alone, held, spread
from wrongkey.evaluation.processes.watch import Watch
from wrongkey.evaluation.run_folder.sameness import same

if TYPE_CHECKING:
    import pandas as pd

IN_MEMORY = "999TB"  # of --memory: segments lie in no file
Identity = tuple[tuple[str, Any], ...]
Ask = Callable[..., Any]  # of an experiment, and of what a shard is


@dataclass(frozen=True)
class Shard:
    """Score rows and, where kept, raw outputs of the incorrect keys ``[start, stop)``.

    ``tied``: the keys under which everything is answered alike.
    """

    start: int
    stop: int
    rows: list[dict[str, Any]]
    outputs: pd.DataFrame | None
    tied: Sequence[int] = ()


@dataclass(frozen=True)
class Answered:
    """Results of the keys that were asked together: one shard, or those around the keys that failed.

    ``rows``: of a pass of that process by then, where memory ran out with those that it began with; else None.
    """

    shards: Sequence[Shard]
    failures: Sequence[Failure] = ()
    rows: int | None = None


def answer(experiment: Experiment, start: int, stop: int) -> Answered:
    """Incorrect keys ``start … stop - 1`` through the encrypted model: together, or by halves where that fails.

    Raises BadInput where the plain model has changed since the sweep began: nothing of these keys can be kept then.
    """
    found = _tried(experiment, start, stop)
    experiment.check_unchanged()
    parts = [found]
    if isinstance(found, Failure) and stop - start > 1:
        parts = _by_halves(experiment, start, stop)
        experiment.check_unchanged()
    runs = groupby(parts, key=lambda one: isinstance(one, Shard))
    shards = [_joined([one for one in run if isinstance(one, Shard)]) for good, run in runs if good]
    batch = experiment.engine.batch
    fewer = batch.rows if batch.ran_out else None  # on another device than its caller's a worker may begin with fewer
    return Answered(shards, [one for one in parts if isinstance(one, Failure)], fewer)


def _by_halves(experiment: Experiment, start: int, stop: int) -> list[Shard | Failure]:
    """Results of two or more keys that failed together: shards around those that fail by themselves."""
    middle = (start + stop) // 2
    found: list[Shard | Failure] = []
    for first, last in ((start, middle), (middle, stop)):
        one = _tried(experiment, first, last)
        alone = isinstance(one, Shard) or last - first == 1
        found += [one] if alone else _by_halves(experiment, first, last)
    return found


def _tried(experiment: Experiment, start: int, stop: int) -> Shard | Failure:
    try:
        return _shard(experiment, start, stop)
    except Exception as error:  # a user's model may fail in any way, and under some keys alone
        return Failure(start, f"number {start:,}", described(error))


def _shard(experiment: Experiment, start: int, stop: int) -> Shard:
    answers = experiment.answers(experiment.incorrect.batch(start, stop - start))
    scores = experiment.scores(answers)
    outputs = experiment.task.outputs(answers, scores, start) if experiment.config.keep_outputs else None
    alike = tied(experiment.config.task, answers, scores)
    keys = [start + position for position, equal in enumerate(alike) if equal]
    return Shard(start, stop, score_rows(experiment, "incorrect", scores, start), outputs, keys)


def _joined(shards: Sequence[Shard]) -> Shard:
    """Shards that follow each other, as one."""
    outputs = [shard.outputs for shard in shards if shard.outputs is not None]
    if outputs:
        import pandas as pd  # half a second that a worker does without whose outputs nobody keeps
    return Shard(
        shards[0].start,
        shards[-1].stop,
        [row for shard in shards for row in shard.rows],
        pd.concat(outputs, ignore_index=True) if outputs else None,
        [key for shard in shards for key in shard.tied],
    )


def score_rows(experiment: Experiment, condition: str, scores: Tensor, start: int | None) -> list[dict[str, Any]]:
    """Rows of the score file for ``scores (keys, …)``.

    ``start`` is the number of the first key, None where the condition has no key of its own.
    """
    config = experiment.config
    shared = {
        "task": config.task,
        "model": experiment.model.name,
        "corpus": experiment.corpus.name,
        "scheme": experiment.scheme.name,
        "block_size": experiment.cut.block_size,
        "dims": experiment.cut.dims,
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
    scheduler: str | None,
    watch: Watch,
    timeout: float | None = None,
    worked: bool = False,
) -> Generator[Answered, None, None]:
    """Every shard, as it is done; ``worked`` says whether any was before.

    A shard that takes longer than ``timeout`` seconds is given to another worker (`Late`). Raises BadInput for a
    cluster that cannot be reached, a worker that dies, and where every shard takes longer. Only another process can be
    timed out, so with a time-out one worker is another process too.
    """
    calls = [Call(_keys(start, stop), (start, stop)) for start, stop in shards]
    late = Late(watch, worked, _given_up, _halves)
    yield from asked(answer, experiment, identity, calls, workers, scheduler, watch, timeout, late)


def asked(
    ask: Ask,
    experiment: Experiment,
    identity: dict[str, Any],
    calls: Sequence[Call],
    workers: int,
    scheduler: str | None,
    watch: Watch,
    timeout: float | None = None,
    late: Late | None = None,
) -> Generator[Any, None, None]:
    """What ``ask(experiment, *call.arguments)`` answers to every call, as it is done.

    ``ask`` must be importable in another process. ``scheduler`` is that of a Dask cluster, None for this machine.
    ``late`` says what becomes of a call that takes longer than ``timeout`` seconds; by default it is an error. Raises
    BadInput as ``answers``, and for a call that takes longer where that is an error.
    """
    if workers == 1 and scheduler is None and timeout is None:
        for call in calls:
            watch.busy = [call.name]
            found = accepted(sheltered(ask, experiment, *call.arguments))
            watch.heard()
            yield found
        return
    files = experiment.files_for_others if scheduler is None else experiment.files
    folder, config = files and files.folder, experiment.config
    if folder is None and scheduler is None:  # what is free by now, beside the caller's segments, decides nothing
        config = replace(config, memory=IN_MEMORY)
    here = (Lists(), threads_each(workers), folder and str(folder))
    lists, packed = (Lists(), {}) if scheduler is None else lists_of(experiment.config)
    there = (lists, None, folder and folder.name)  # of a folder beside the other temporary files of each machine
    shared: tuple[Any, ...] = (ask, config, tuple(identity.items()), Batch.of(experiment))
    shared += here if scheduler is None else there
    calls = [replace(call, arguments=(*shared, *call.arguments)) for call in calls]
    release_unused(experiment.device)  # what the self-checks left would be missing in the process that shares the GPU
    yield from spread(run_shard, calls, workers, scheduler, watch, timeout, packed, late=late)


def _halves(call: Call) -> list[Call]:
    """A shard of several keys as two; nothing for a single key."""
    start, stop = call.arguments[-2:]
    middle = (start + stop) // 2
    halves = [(start, middle), (middle, stop)] if stop - start > 1 else []
    return [Call(_keys(*keys), (*call.arguments[:-2], *keys)) for keys in halves]


def _given_up(call: Call, reason: str) -> Answered:
    start = call.arguments[-2]
    return Answered([], [Failure(start, f"number {start:,}", reason)])


def _keys(start: int, stop: int) -> str:
    return f"key {start:,}" if stop == start + 1 else f"keys {start:,} … {stop - 1:,}"


@dataclass(frozen=True)
class Batch:
    """Rows of a pass, as they were measured on a kind of device: ``cpu``, or the name of a GPU.

    ``elements``: of the segments that they were measured with.
    """

    rows: int
    kind: str
    elements: int | None = None

    @classmethod
    def of(cls, experiment: Experiment) -> Batch:
        """The batch size of an experiment."""
        batch = experiment.engine.batch
        return cls(batch.rows, kind_of(describe_device(experiment.device)), batch.elements)


def run_shard(
    ask: Ask,
    config: SweepConfig,
    identity: Identity,
    batch: Batch,
    lists: Lists,
    threads: int | None,
    segments: str | None,
    *arguments: Any,
) -> Any:
    """``ask(experiment, *arguments)`` in a worker.

    ``lists`` are those of the configuration where its files are another machine's. ``threads`` are those of PyTorch;
    None takes those of the Dask worker, which take turns here. ``segments`` is where processes of this machine share
    those of the corpus (``machine_folder``); None reads the corpus.
    """
    shared = config, identity, batch, lists, segments
    return alone(threads, lambda: ask(held(shared, lambda: _prepare(*shared)), *arguments))


def _prepare(config: SweepConfig, identity: Identity, batch: Batch, lists: Lists, segments: str | None) -> Experiment:
    """With the caller's rows per pass or, on another kind of device, the fastest ones.

    Raises BadInput where the worker finds another model or other speech than the caller, as on a cluster whose
    machines hold different files.
    """
    with lists.in_files(config) as written, same_files_expected():
        experiment = Experiment(written, mapped=segments)
        found = experiment.identity()
    check_same_files(identity, found)
    if kind_of(describe_device(experiment.device)) == batch.kind:
        experiment.engine.batch.take(batch.rows, batch.elements)
    else:
        experiment.tune()
    experiment.check_unchanged()
    return experiment


@contextmanager
def same_files_expected() -> Iterator[None]:
    """Name the machine in what it cannot open: its caller could."""
    try:
        yield
    except BadInput as error:
        worker = f"The worker {platform.node()}"
        raise BadInput(f"{worker} refused its work ({described(error)}): give every worker the same files.") from error


def check_same_files(expected: Identity, found: Mapping[str, Any]) -> None:
    """Raise BadInput where a worker found another model or other speech than its caller."""
    stated = dict(expected)
    if differing := [name for name, value in found.items() if not same(stated[name], value)]:
        raise BadInput(f"The worker {platform.node()} sees another {differing[0]}: give every worker the same files.")
