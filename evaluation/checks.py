"""Self-checks before a sweep: the engine and the model are tested before any score is taken from them.

Everything a model does between waveform and answer (front end, cut into segments, network) is computed twice, here and
in another process: anything random in it would give every worker, and every session of a run, different speech.

Each check compares what the model answers: embeddings, logits, or what a recogniser decodes (texts where it does not
offer that). A difference is given relative to the largest entry of the plain answers. A failed check stops the run,
because every score after it would be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.answers import difference_of as _difference
from wrongkey.evaluation.engine import BatchSize, Engine
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import REDUCED, TOLERANCE
from wrongkey.evaluation.models.modules import in_training
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.preparation import Preparation
from wrongkey.evaluation.processes.elsewhere import Asked, ask_elsewhere, asked_here
from wrongkey.evaluation.processes.watch import Report
from wrongkey.evaluation.queries import QueryGroup, group_queries
from wrongkey.evaluation.run_folder.vocabulary import SelfCheck
from wrongkey.evaluation.spacing import evenly_spaced
from wrongkey.evaluation.windows import windows_of
from wrongkey.keys.key_cut import KeyCut

# utterances that go through the front end again, here and in another process
CUT_TWICE = {"asv": 8, "asr": 4, "asc": 8}
SAME_TEXTS = 0.5  # share of texts under an incorrect key that rounding may change, where a model offers nothing else


def self_checks(
    experiment: Experiment,
    correct: Answers | None,
    workers: int = 1,
    timeout: float | None = None,
    report: Report | None = None,
) -> list[SelfCheck]:
    """Run all checks; raises BadInput at the first one that fails.

    Parameters
    ----------
    experiment
        What the sweep will ask.
    correct
        Answers under the correct key, by the explicit path; None for a plain model.
    workers
        Processes that the sweep will use, one of which is asked.
    timeout
        Seconds that it may take; None waits indefinitely.
    report
        Called with a line of text while no answer arrives.
    """
    elsewhere = partial(ask_elsewhere, experiment, workers=workers, timeout=timeout, report=report)
    return passed(experiment, _checks(experiment, correct, elsewhere))


def passed(experiment: Experiment, checks: Iterable[SelfCheck]) -> list[SelfCheck]:
    """Return the checks, as they are made; raises BadInput at the first one that fails."""
    done, config = [], experiment.config
    for check in checks:
        if not check.passed:
            raise BadInput(
                f"The self-check '{check.name}' failed for model {experiment.model.name}: {check.text} "
                f"({check.value:.2e}, allowed {check.limit:.0e}); no score of this model can be trusted at "
                f"--precision {config.precision}{': leave it out' if config.precision in REDUCED else ''}."
            )
        done.append(check)
    return done


def _checks(
    experiment: Experiment, correct: Answers | None, elsewhere: Callable[[list[int]], Asked]
) -> Iterator[SelfCheck]:
    engine, limit = experiment.check_engine, TOLERANCE[experiment.config.precision]
    plain = engine.plain()

    training = float(len(in_training(experiment.model)))
    yield SelfCheck.within("eval mode", training, 0.0, "normalisation, dropout or recurrent layers in training mode")

    numbers = evenly_spaced(range(len(experiment.used)), CUT_TWICE[experiment.config.task], begin="first")
    here = asked_here(experiment, numbers)
    again = asked_here(experiment, numbers, anew=True)
    yield SelfCheck.within(
        "front end", here.cut_difference(again), _same_queries(experiment),
        "difference of the queries that front end and cut into segments make of the same recording twice (switch "
        "dithering, random crops and augmentation off)",
    )  # fmt: skip

    yield SelfCheck.within("deterministic", _difference(engine.plain(), plain), 0.0, "difference of two equal passes")
    yield SelfCheck.within(
        "asked again", here.difference(again), _same_answers(experiment, here, again),
        "difference of the answers to the same recordings, read and cut twice (switch dithering off)",
    )  # fmt: skip

    yield from _elsewhere(experiment, here, elsewhere(numbers))

    if windows_of(experiment.model) is not None:
        yield SelfCheck.within(
            "windows", _windows_difference(experiment, numbers), limit if isinstance(plain, Tensor) else SAME_TEXTS,
            "largest difference between the plain model on plain speech and the windowed model on windows of it",
        )  # fmt: skip

    if experiment.encrypted is not None:
        yield from _key_checks(experiment, engine, plain, correct)

    asked, difference = _batch_difference(engine, plain)
    yield SelfCheck.within("batch size", difference, limit, f"difference between batches of {asked} and another")


def _same_queries(experiment: Experiment) -> float:
    """Largest difference of equal queries, relative to their largest entry.

    Transforms round by where a recording lies in memory and by the number of threads, and a logarithm makes more of
    that; dither is above both limits: Kaldi's is 3e-5 of full scale, and changes silent log-mel frames as a whole.
    """
    waveforms = experiment.bins is None
    return max(1e-6 if waveforms else 1e-3, torch.finfo(experiment.dtype).eps)


def _same_answers(experiment: Experiment, one: Asked, other: Asked) -> float:
    """Largest difference of equal answers; of texts, none may differ but where rounding changed the queries."""
    if isinstance(one.answers[0], Tensor):
        return TOLERANCE[experiment.config.precision]
    return SAME_TEXTS if one.cut_difference(other) else 0.0


def _windows_difference(experiment: Experiment, numbers: Sequence[int]) -> float:
    """Largest difference of the answers that the plain model gives to speech and the windowed one to its windows."""
    models = experiment.plain_model(), experiment.model
    spoken, windows = (_one_by_one(experiment, model, numbers) for model in models)
    differences = [_difference(found, plain) for found, plain in zip(windows, spoken, strict=True)]
    return next((one for one in differences if one != one), max(differences))  # NaN is larger than any


def _one_by_one(experiment: Experiment, model: Model, numbers: Sequence[int]) -> list[Answers]:
    """A model's answers to single utterances; no segments are padded to whole blocks, as the engine's are."""
    reader = replace(experiment.reader, model=model, preparation=Preparation())  # noise would differ between the two
    used = [experiment.used[number] for number in numbers]
    single = KeyCut("samples", 1)
    queries = [group_queries([reader.segments(reader.waveform(one), one)], single, whole=False) for one in used]
    device, dtype = experiment.device, experiment.dtype
    engine = Engine.of(
        model, experiment.asked_in_checks, queries[0], np.eye(1), single, kernels=False, device=device, dtype=dtype
    )
    return [engine.on(one).plain() for one in queries]


def _elsewhere(experiment: Experiment, here: Asked, there: Asked) -> Iterator[SelfCheck]:
    """The same questions in a process of their own, which opens the model for itself."""
    yield SelfCheck.within(
        "weights in a second process", float(here.weights != there.weights), 0.0,
        "weights that differ when the model is opened again (load a checkpoint, or draw them from a seed)",
    )  # fmt: skip
    yield SelfCheck.within(
        "queries in a second process", here.cut_difference(there), _same_queries(experiment),
        "largest difference of the queries that front end and cut into segments make in two processes",
    )  # fmt: skip
    yield SelfCheck.within(
        "answers in a second process", here.difference(there), _same_answers(experiment, here, there),
        "largest difference of the plain model's answers in two processes",
    )  # fmt: skip


def _key_checks(experiment: Experiment, engine: Engine, plain: Answers, correct: Answers | None) -> Iterator[SelfCheck]:
    """What an encrypted model must do under correct and incorrect keys."""
    assert experiment.encrypted is not None
    limit = TOLERANCE[experiment.config.precision]
    typical = limit if isinstance(plain, Tensor) else SAME_TEXTS
    if isinstance(correct, Tensor):  # numbers of every utterance, not of some segments
        exact = _difference(correct, experiment.plain())
    else:
        exact = _difference(engine.explicit(experiment.encrypted, experiment.correct), plain)
    yield SelfCheck.within(
        "correct key", exact, limit,
        "largest difference between encrypted model with encrypted queries and plain model with plain queries",
    )  # fmt: skip

    engine, keys = experiment.haar_keys(engine)
    relative, explicit = engine.answers(keys[:1]), engine.explicit(experiment.encrypted, keys[0])
    yield SelfCheck.within(
        "relative key", _typical_difference(relative, explicit), typical,
        "median over utterances of the difference between relative-key engine and explicitly encrypted queries, one "
        "incorrect key",
    )  # fmt: skip

    # A value of 1 or more means that the key changed the answers by no more than rounding.
    moved = _difference(relative, plain)
    yield SelfCheck.within(
        "an incorrect key changes the answers", limit / moved if moved else float("inf"), 1.0,
        "rounding limit over the change that an incorrect key makes (texts are too coarse for this check: offer encode)"
        if isinstance(plain, list)
        else "rounding limit over the change that an incorrect key makes",
    )  # fmt: skip

    few = engine.on(engine.queries.first(4))
    alone, together = few.answers(keys, rows=1), few.answers(keys, rows=3 * few.queries.segments)
    yield SelfCheck.within(
        "stacked keys", _typical_difference(together, alone), typical,
        "median over utterances of the difference between three keys asked together and one by one",
    )  # fmt: skip


def _batch_difference(engine: Engine, plain: Answers) -> tuple[int, float]:
    """Rows of the largest pass of an engine, and how its plain answers differ from those to other passes.

    Segments of one length at least are asked with half the rows, or two instead of one; longer ones with fewer.
    """

    def rows_of(group: QueryGroup) -> int:
        return min(engine.batch.of(group), len(group))

    tested = max(engine.queries.groups, key=lambda group: (rows_of(group), len(group) > 1, -group.elements))
    asked = rows_of(tested)
    other = BatchSize(asked // 2 if asked > 1 else 2, elements=tested.elements)
    if len(tested) == 1:  # so are all groups: a lone segment is asked beside a copy of itself
        alone = min(engine.queries.by_group(), key=lambda queries: queries.elements)
        engine, plain = engine.on(alone.doubled()), _twice(engine.on(alone).plain())
    return asked, _difference(replace(engine, batch=other).plain(), plain)


def _twice(answers: Answers) -> Answers:
    """One utterance's answers as those of the same utterance asked twice."""
    if isinstance(answers, Tensor):
        return answers.repeat(1, 2, 1)
    return [texts * 2 for texts in answers]


def _typical_difference(a: Answers, b: Answers) -> float:
    """``_difference``, but for numbers the median over keys and utterances of each one's largest difference.

    Under an incorrect key a network may answer to some queries unstably: for some utterances GE2E turns rounding in
    float32 into 2 % of the largest entry, and in float64 into 1e-12. A wrong engine is wrong for most utterances.
    """
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        largest = (a - b).abs().amax(-1).flatten().median()
        return float(largest / b.abs().max().clamp_min(torch.finfo(b.dtype).tiny))
    return _difference(a, b)
