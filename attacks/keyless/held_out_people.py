"""How well a model distinguishes people, or classes, that it was not trained on: this decides between trainings.

Adversaries set some of the people that they know aside. They ask the model about these as they will ask about the
victims, all under one key; without the victims' key, that is one of their own, several in turn. The loss decides,
because it is smooth; the error (EER, or 100 - accuracy) is what a reader understands.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from wrongkey.attacks.base import BackgroundSpeech, Setting
from wrongkey.attacks.through_model.answer_loss import label_numbers
from wrongkey.attacks.through_model.criterion import by_name
from wrongkey.attacks.through_model.losses import contrast, cross_entropy
from wrongkey.attacks.through_model.settings import LossSettings
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.queries import group_queries
from wrongkey.keys import encrypt_query

ROWS = 16  # pieces of a pass


@dataclass(frozen=True)
class Judged:
    """Loss (in nats) and error (EER or 100 - accuracy, in percent) of a model on held-out speech, means over keys."""

    loss: float
    error: float


class HeldOut:
    """Held-out queries and their labels, asked under `keys (n, N, N)`, or as they are where there are none."""

    def __init__(
        self,
        model: Model,
        speech: BackgroundSpeech,
        setting: Setting,
        settings: LossSettings,
        keys: Tensor | None = None,
    ) -> None:
        self.setting, self.settings, self.keys = setting, settings, keys
        self.labels = label_numbers(setting, speech.labels)
        pieces = [model.segments(query.float()) for query in speech.queries]
        self.groups = group_queries(pieces, setting.cut, whole=False).groups
        first, second = torch.triu_indices(len(self.labels), len(self.labels), 1)
        self.pairs, self.alike = (first, second), self.labels[first] == self.labels[second]

    @torch.no_grad()
    def judge(self, model: Model) -> Judged:
        """Judge the model as it is, in eval mode."""
        under = [None] if self.keys is None else list(self.keys)
        each = [self._judge(self._answers(model, key)) for key in under]
        return Judged(float(np.mean([one.loss for one in each])), float(np.mean([one.error for one in each])))

    def _answers(self, model: Model, key: Tensor | None) -> Tensor:
        """Means over an utterance's pieces, `(utterances, dim)`."""
        ask = getattr(model, ASKED[str(self.setting.task)])
        means: list[Tensor] = []
        for group in self.groups:
            x = group.segments if key is None else encrypt_query(group.segments, key, blocks=self.setting.blocks)
            answers = torch.cat([ask(x[i : i + ROWS]) for i in range(0, len(x), ROWS)])
            means.append(answers.reshape(len(group.utterance), group.pieces, -1).mean(1))
        order = torch.cat([group.utterance for group in self.groups]).argsort()
        return torch.cat(means)[order]

    def _judge(self, answers: Tensor) -> Judged:
        if self.setting.task == "asc":
            wrong = (answers.argmax(-1) != self.labels).double().mean()
            return Judged(float(cross_entropy(answers[None], self.labels)[0]), 100 * float(wrong))
        unit = normalize(answers, dim=-1)
        scores = (unit @ unit.mT)[self.pairs]
        loss = contrast(answers[None], self.labels, self.settings.contrast_scale)
        return Judged(float(loss[0]), float(eer(scores, self.alike)))


def training_sets(
    speech: BackgroundSpeech, setting: Setting, seed: int, share: float
) -> tuple[BackgroundSpeech, BackgroundSpeech]:
    """Return what is trained on and what is held out: other people with two utterances or more, or other clips.

    share: of the people, or of the clips, that is held out. Raises BadInput where they are too few.
    """
    speakers = setting.task == "asv"
    if speakers:
        groups = [members for members in by_name(speech.labels).values() if len(members) > 1]
    else:
        groups = [[i] for i in range(len(speech.labels))]
    held = max(2, round(share * len(groups)))
    if len(groups) - held < 2:
        what = "people with two utterances" if speakers else "clips"
        raise BadInput(f"{len(groups)} {what} are too few to train on and to hold out: give other speech of 4 or more.")
    mixed = [groups[int(i)] for i in np.random.default_rng(seed).permutation(len(groups))]
    return _some(speech, sorted(chain(*mixed[held:]))), _some(speech, sorted(chain(*mixed[:held])))


def _some(speech: BackgroundSpeech, numbers: list[int]) -> BackgroundSpeech:
    return BackgroundSpeech(tuple(speech.queries[i] for i in numbers), tuple(speech.labels[i] for i in numbers))
