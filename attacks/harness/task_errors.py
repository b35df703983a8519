"""The error of the task in percent, for every task: an EER, WER or CER as it is, and 100 - accuracy."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.processes.workers import score_rows
from wrongkey.evaluation.run_folder.vocabulary import error_percent


def error_rates(experiment: Experiment, scores: Tensor) -> Matrix:
    """Errors in percent with the ends of their intervals, `(n, 3)`, of scores `(n, …)` as the task makes them.

    The ends are NaN where the experiment has no intervals.
    """
    metric = experiment.task.metric
    rows = [row for row in score_rows(experiment, "incorrect", scores, 0) if row["metric"] == metric]
    rates = np.array([[row["value"], row["ci_low"], row["ci_high"]] for row in rows])
    if metric == "accuracy":
        rates = rates[:, [0, 2, 1]]  # the upper end of an accuracy is the lower end of its error
    return error_percent(metric, rates)
