"""How badly the encrypted model's answers fit the labels of the speech that it was asked about.

From the losses of other keys follows whether the key of the queries works.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Matrix, Setting
from wrongkey.attacks.through_model.losses import contrast, cross_entropy
from wrongkey.attacks.through_model.settings import LossSettings, VerdictSettings
from wrongkey.errors import BadInput
from wrongkey.evaluation.tasks.asr import counted, edits, error_rate_of
from wrongkey.evaluation.tasks.text import DEFAULT, normaliser

Loss = Callable[[object, Tensor], Matrix]  # answers of n keys, index of some utterances -> (n,)


def answer_loss(setting: Setting, labels: Sequence[str], settings: LossSettings) -> Loss:
    """Return the loss of answers to utterances with these labels.

    It is a contrast of speakers, the cross-entropy of classes, or the share of wrong words (of characters where spaces
    do not mark words). The function raises BadInput where the number of answers is not that of the labels.
    """
    if setting.task == "asr":
        return _word_errors(labels)
    numbers = label_numbers(setting, labels)

    def of_numbers(answers: object, chosen: Tensor) -> Matrix:
        if not isinstance(answers, Tensor) or answers.ndim != 3 or answers.shape[1] != len(labels):
            raise BadInput(f"The model answered {_shape(answers)}, and {len(labels)} labelled queries were asked.")
        some = answers[:, chosen].double()
        if setting.task == "asv":
            return contrast(some, numbers[chosen], settings.contrast_scale).numpy()
        return cross_entropy(some, numbers[chosen]).numpy()

    return of_numbers


def _word_errors(transcripts: Sequence[str]) -> Loss:
    normal = normaliser(DEFAULT)
    references = [normal(text) for text in transcripts]
    metric = error_rate_of(references)
    said = [counted(text, metric) for text in references]

    def of_texts(answers: object, chosen: Tensor) -> Matrix:
        if not isinstance(answers, list) or any(len(heard) != len(said) for heard in answers):
            raise BadInput(f"The model answered {_shape(answers)}, and {len(said)} labelled queries were asked.")
        some = chosen.tolist()
        words = sum(len(said[i]) for i in some)
        wrong = [
            sum(sum(edits(said[i], counted(normal(heard[i].text), metric))[:3]) for i in some) for heard in answers
        ]
        return np.array(wrong) / max(words, 1)

    return of_texts


def works(
    setting: Setting,
    labels: Sequence[str],
    answers: object,
    held: Tensor,
    random: Matrix,
    seed: int,
    settings: VerdictSettings,
) -> bool:
    """Whether a key works, from one key's `answers` to the utterances of index `held`, not used to find it.

    Two things must hold there. The answers say something about the labels: their loss is lower than with the labels
    shuffled, each of several times (without it, any key that makes a model indecisive would pass). And no random key
    has a lower loss, and half of them have a higher one; `random (n,)` are their losses. A worthless key passes about
    once in n.
    """
    loss = float(answer_loss(setting, labels, settings)(answers, held)[0])
    rounding = settings.margin * float(np.abs(random).max(initial=0.0))
    if len(random) < 2 or loss > random.min() + rounding or loss >= np.median(random) - rounding:
        return False
    rng, places = np.random.default_rng(seed), held.numpy()
    for _ in range(settings.shuffles):
        mixed = list(labels)
        for place, other in zip(places, rng.permutation(places), strict=True):
            mixed[place] = labels[other]
        if loss >= float(answer_loss(setting, mixed, settings)(answers, held)[0]) - rounding:
            return False
    return True


def only(answers: object, key: int) -> object:
    """Return the answers under one key of several."""
    several: Any = answers
    return several[key : key + 1]


def label_numbers(setting: Setting, names: Sequence[str]) -> Tensor:
    """Return labels as numbers: speakers in the order in which they come, sounds by their place in the model's classes.

    Raises BadInput for a class that the model does not have.
    """
    order = list(dict.fromkeys(names)) if setting.task == "asv" else list(getattr(setting.model, "classes", ()))
    if unknown := sorted(set(names) - set(order)):
        raise BadInput(f"The model does not know the label {unknown[0]!r}: give speech with labels of its own.")
    place = {name: i for i, name in enumerate(order)}
    return torch.tensor([place[name] for name in names])


def _shape(answers: object) -> str:
    return f"a tensor of {tuple(answers.shape)}" if isinstance(answers, Tensor) else f"a {type(answers).__name__}"
