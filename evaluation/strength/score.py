"""The score of a key: the task's error, and a continuous number that tells keys of one error apart.

The error is that of the run's own metric, in percent, 100 minus the accuracy of a classifier. An error rate takes few
values (an EER of 28 pairs of a kind moves in steps of 3.6 points), and a quantile of many equal values is no level. The
tie breaker is what the same answers also say, and is the smaller the better:

==== ===================================================================================================================
asv  Cllr in bits of the trials, after the best rising affine map of their cosines, fitted to them (logistic regression;
     where the best map falls, 2 minus its Cllr): how much the scores tell, of which EER reads one point
asr  the characters' error rate, or the words' where the metric is that of the characters
asc  the mean cross-entropy of the right classes, in nats
==== ===================================================================================================================

It decides only between keys of one error, so that a goal {error ≤ g} is the same set whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor

from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.metrics.affine import fit
from wrongkey.evaluation.metrics.bootstrap import pooled_percent
from wrongkey.evaluation.metrics.calibration import cllr
from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.strength.moves import Array
from wrongkey.evaluation.strength.splitting import Score
from wrongkey.evaluation.tasks.asc import SceneClassification
from wrongkey.evaluation.tasks.asr import COUNTS, SpeechRecognition
from wrongkey.evaluation.tasks.asv import SpeakerVerification

Measure = Callable[[Experiment, Answers], tuple[Array, Array]]


def score_of(experiment: Experiment) -> Score:
    """The function from keys `(n, N, N)` to their errors and tie breakers, both `(n,)`.

    It raises BadInput where the model answers what is not finite.
    """
    measure = MEASURES[experiment.config.task]
    return lambda keys: measure(experiment, experiment.answers(keys))


def plain_error(experiment: Experiment) -> float:
    """The plain model's error in percent on speech as it was recorded, as the condition "plain" of a sweep has it."""
    task = experiment.task
    rows = task.measure(task.scores(experiment.clean(), experiment.clean))
    value = next(float(row["value"]) for row in rows if row["metric"] == task.metric)
    return 100 - value if task.metric == "accuracy" else value


def error_name(experiment: Experiment) -> str:
    """What the error is called: the task's metric, and "error" for 100 minus the accuracy."""
    metric = experiment.task.metric
    return "error" if metric == "accuracy" else metric


def _of_trials(experiment: Experiment, answers: Answers) -> tuple[Array, Array]:
    task = cast(SpeakerVerification, experiment.task)
    scores = experiment.scores(answers)
    target = task.target.numpy()
    rows = scores.double().cpu().numpy()
    return _array(eer(scores, task.target.to(scores.device))), np.array([_rising_cllr(row, target) for row in rows])


def _rising_cllr(scores: Array, target: np.ndarray) -> float:
    slope, offset = fit(scores, target)
    llr = slope * scores + offset
    cost = cllr(llr[target], llr[~target])
    return cost if slope >= 0 else 2 - cost


def _of_words(experiment: Experiment, answers: Answers) -> tuple[Array, Array]:
    task = cast(SpeechRecognition, experiment.task)
    counts = experiment.scores(answers).cpu()
    words, _, _ = pooled_percent(counts[..., :3].sum(-1), task.words)
    characters, _, _ = pooled_percent(counts[..., COUNTS.index("character_errors")], task.reference_characters)
    found = np.array(words), np.array(characters)
    return found if task.metric == "wer" else found[::-1]


def _of_classes(experiment: Experiment, answers: Answers) -> tuple[Array, Array]:
    task = cast(SceneClassification, experiment.task)
    right = experiment.scores(answers).cpu() == task.labels
    logits = cast(Tensor, answers).double().cpu()
    chosen = task.labels.expand(logits.shape[:-1])[..., None]
    entropy = -torch.log_softmax(logits, -1).gather(-1, chosen).mean((1, 2))
    return _array(100 - 100 * right.double().mean(-1)), _array(entropy)


def _array(numbers: Tensor) -> Array:
    return np.asarray(numbers.double().cpu().numpy())


MEASURES: Mapping[str, Measure] = {"asv": _of_trials, "asr": _of_words, "asc": _of_classes}
