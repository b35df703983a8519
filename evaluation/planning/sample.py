"""Some utterances that stand for all: as many short ones and long ones, in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.corpora import Utterance
from wrongkey.evaluation.corpora.audio import duration

MEASURED = {"asv": 64, "asr": 16, "asc": 64}  # utterances, by task: as many as the self-checks ask, or more


@dataclass(frozen=True)
class Sample:
    """Utterances to measure.

    Attributes
    ----------
    numbers : list of int
        Their places in the task's list, in order.
    stands_for : ndarray of int
        Of every utterance of the list, the place in `numbers` of the one that stands for it.
    seconds : float
        Length of all utterances of the list.
    """

    numbers: list[int]
    stands_for: NDArray[np.intp]
    seconds: float

    @property
    def factor(self) -> float:
        """How many utterances each measured one stands for."""
        return len(self.stands_for) / len(self.numbers)

    def of_all(self, answers: Answers) -> Answers:
        """Return answers to all utterances `(keys, utterances, …)`, each that of the one that stands for it."""
        if isinstance(answers, Tensor):
            return answers[:, torch.from_numpy(self.stands_for).to(answers.device)]
        return [[texts[place] for place in self.stands_for] for texts in answers]


def sample_of(utterances: Sequence[Utterance], most: int) -> Sample:
    """Choose at most `most` utterances: sorted by length, one from the middle of each of `most` equal parts."""
    lengths = np.array([duration(utterance) for utterance in utterances])
    count = min(len(lengths), most)
    by_length = np.argsort(lengths, kind="stable")
    part = np.arange(len(lengths)) * count // len(lengths)  # of each utterance, by its rank
    chosen = [int(ranks[len(ranks) // 2]) for ranks in np.split(by_length, np.flatnonzero(np.diff(part)) + 1)]
    order = np.argsort(chosen)  # the k-th part is measured at the place where its utterance comes in the list
    place_of_part = np.argsort(order)
    stands_for = np.empty(len(lengths), dtype=np.intp)
    stands_for[by_length] = place_of_part[part]
    return Sample([chosen[k] for k in order], stands_for, float(lengths.sum()))
