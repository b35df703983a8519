"""The error of the task in percent, for every task: an EER, WER or CER as it is, and 100 - accuracy."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.evaluation.run_folder.vocabulary import error_percent
from wrongkey.evaluation.tasks.base import Task


def error_rates(task: Task, scores: Tensor) -> Matrix:
    """Errors in percent with the ends of their intervals, `(n, 3)`, of scores `(n, …)` as the task makes them.

    The ends are NaN where the task has no intervals.
    """
    metric = task.metric
    rows = [row for row in task.measure(scores) if row["metric"] == metric]
    rates = np.array([[row["value"], row["ci_low"], row["ci_high"]] for row in rows])
    if metric == "accuracy":
        rates = rates[:, [0, 2, 1]]  # the upper end of an accuracy is the lower end of its error
    return error_percent(metric, rates)
