"""The plain model asked about a few utterances, in this process and in another one that opens everything for itself."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from wrongkey.evaluation.answers import Answers, difference_of
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import release_unused, threads_each
from wrongkey.evaluation.processes.dispatch import Call, collect
from wrongkey.evaluation.processes.late import Late
from wrongkey.evaluation.processes.pool import processes
from wrongkey.evaluation.processes.watch import Report, Watch


@dataclass(frozen=True)
class Asked:
    """What was asked and answered, by group of queries of one shape; tensors on the CPU.

    weights: hash of the network's tensors. queries: segments and whose they are. answers: of the plain model.
    """

    weights: str
    queries: list[tuple[Tensor, Tensor]]
    answers: list[Answers]

    def cut_difference(self, other: Asked) -> float:
        """Largest difference of the queries, relative to their largest entry; infinite where they are other pieces."""
        if [_shapes(pair) for pair in self.queries] != [_shapes(pair) for pair in other.queries]:
            return float("inf")
        pairs = zip(self.queries, other.queries, strict=True)
        return _worst(difference_of(mine, theirs) for (mine, _), (theirs, _) in pairs)

    def difference(self, other: Asked) -> float:
        """Largest difference of the answers, as `wrongkey.evaluation.answers.difference_of` gives it."""
        return _worst(difference_of(mine, theirs) for mine, theirs in zip(self.answers, other.answers, strict=True))


def asked_here(experiment: Experiment, numbers: Sequence[int], anew: bool = False) -> Asked:
    """Queries and plain answers of utterances by number; ``anew`` makes the queries from the recordings again."""
    asked = experiment.cut_again(numbers) if anew else experiment.engine.queries.among(numbers)
    few = experiment.engine.on(asked, experiment.asked_in_checks)
    queries = [(group.segments.cpu(), group.utterance.cpu()) for group in few.queries.groups]
    answers = [one.cpu() if isinstance(one, Tensor) else one for one in few.plain_by_group()]
    return Asked(experiment.weights, queries, answers)


def ask_elsewhere(
    experiment: Experiment, numbers: Sequence[int], *, workers: int, timeout: float | None, report: Report | None
) -> Asked:
    """The same in one of the processes of a sweep with ``workers``; raises BadInput where it cannot be asked there."""
    threads = threads_each(workers)
    places = [experiment.numbers[number] for number in numbers]
    batch = experiment.engine.batch
    passes = batch.rows, batch.elements
    asked = (experiment.config, places, passes, threads, _of_notebook(experiment.config))
    call = Call("the questions of the self-checks, in another process", asked)
    on_gpu = experiment.device.type == "cuda"
    keep = not on_gpu or workers > 1  # else it would hold its share of the GPU's memory for nothing
    with processes(workers, threads, keep) as pool, Watch("answer", report, lambda: "no key") as watch:
        late = Late(watch, worked=True)  # given to another process once
        release_unused(experiment.device)  # what finding the batch size left would be missing there
        (found,) = collect(pool, _asked_there, [call], 1, watch, timeout=timeout, again=late.again)
    return cast(Asked, found)


def _of_notebook(config: SweepConfig) -> dict[str, Any]:
    """Factories and schemes that only this process knows: those of ``__main__``, a notebook's. They travel as code."""
    specs = (config.model, config.corpus, config.scheme)
    names = [spec.removeprefix("__main__:") for spec in specs if spec.startswith("__main__:")]
    return {name: getattr(sys.modules["__main__"], name) for name in names}


def _asked_there(
    config: SweepConfig,
    numbers: Sequence[int],
    passes: tuple[int, int | None],
    threads: int,
    of_notebook: Mapping[str, Any],
) -> Asked:
    """``passes``: the caller's rows, and elements of the segments that they were measured with, of all utterances."""
    torch.set_num_threads(threads)
    vars(sys.modules["__main__"]).update(of_notebook)
    experiment = Experiment(config, numbers)
    experiment.engine.batch.take(*passes)
    return asked_here(experiment, range(len(numbers)))


def _shapes(pair: tuple[Tensor, Tensor]) -> tuple[torch.Size, list[int]]:
    return pair[0].shape, pair[1].tolist()


def _worst(differences: Iterable[float]) -> float:
    """The largest, NaN being larger than any number."""
    found = list(differences)
    return next((one for one in found if one != one), max(found))
