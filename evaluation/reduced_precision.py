"""Whether a precision below float32 leaves the error rate under the correct key where float32 has it.

Rounding that no single answer shows can still move an error rate. The rate must not move by more than a tenth of its
bootstrap interval: then it changes what a run says less than other speakers, or other utterances, would.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, cast

from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import REDUCED, choose_precision
from wrongkey.evaluation.run_folder.vocabulary import SelfCheck
from wrongkey.evaluation.tasks.base import Task

SHARE = 0.1  # of the interval's width, by which the rate may move
REPLICATES = 200  # at least, also of runs with fewer: an interval of few is too rough to be a yardstick


class Rate(NamedTuple):
    """An error rate, or an accuracy, and its interval, in percent."""

    value: float
    low: float
    high: float


def against_float32(experiment: Experiment, correct: Answers | None) -> Iterator[SelfCheck]:
    """Check that the error rate under the correct key is float32's, where the precision is a lower one.

    Parameters
    ----------
    experiment
        What a sweep will ask, with all utterances of its task.
    correct
        Answers under the correct key in the experiment's precision, by the explicit path; None for a plain model, of
        which the plain answers are compared.
    """
    if experiment.config.precision not in REDUCED:
        return
    if experiment.against_float32 is None:
        found = _check(experiment, experiment.plain() if correct is None else correct)
        if experiment.encrypted is not None:
            yield found
            return
        experiment.against_float32 = found  # a plain model has the same speech and answers beside every key
    yield experiment.against_float32


@contextmanager
def in_float32(experiment: Experiment) -> Iterator[Experiment]:
    """The same model, utterances and keys in float32, read and opened anew; asked in as large passes."""
    try:
        other = Experiment(replace(experiment.config, precision="float32"), experiment.numbers)
        other.engine.batch.choose(experiment.engine.batch.rows, "those of the sweep")
        yield other
    finally:
        choose_precision(experiment.config.precision)  # float32 has switched the products of a GPU


def under_the_correct_key(experiment: Experiment) -> Answers:
    """Answers under the correct key, by the explicit path; of a plain model its own."""
    return experiment.plain() if experiment.encrypted is None else experiment.explicit(experiment.correct)


def _check(experiment: Experiment, answers: Answers) -> SelfCheck:
    reduced = rate(experiment, answers)
    with in_float32(experiment) as other:
        whole = rate(other, under_the_correct_key(other))
    return compared(experiment.task.metric, experiment.config.precision, reduced, whole)


def rate(experiment: Experiment, answers: Answers) -> Rate:
    """The metric to read of one key's answers; raises BadInput where there are too few speakers for an interval."""
    task: Any = experiment.task
    resampled = cast(Task, replace(task, replicates=max(task.replicates, REPLICATES)))
    try:
        resampled.prepare()
    except BadInput as error:  # of a run without intervals, whose speakers or utterances are too few for one
        raise BadInput(
            f"--precision {experiment.config.precision} is compared with float32 by a bootstrap interval, for which "
            "there are too few speakers or utterances here: leave it out."
        ) from error
    rows = resampled.measure(resampled.scores(answers, experiment.plain))
    row = next(one for one in rows if one["metric"] == task.metric)
    return Rate(row["value"], row["ci_low"], row["ci_high"])


def compared(metric: str, precision: str, reduced: Rate, whole: Rate) -> SelfCheck:
    """The check, whose value is the share of what is allowed by which the rate moves, and whose text has both rates.

    Where the interval has no width (no error at all), the rate may not move.
    """
    moved, allowed = abs(reduced.value - whole.value), SHARE * (whole.high - whole.low)
    share = moved / allowed if allowed else float("inf") if moved else 0.0
    name = metric if metric == "accuracy" else metric.upper()
    rates = f"{reduced.value:.2f} % at {precision} and {whole.value:.2f} % at float32"
    return SelfCheck.within(
        f"{name} in float32", share, 1.0,
        f"{name} under the correct key, {rates} (interval {whole.low:.2f} to {whole.high:.2f} %): how far it moves, "
        "over a tenth of the interval's width",
    )  # fmt: skip
