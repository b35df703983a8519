"""How well a model tells apart people, or classes, that it was not trained on: what decides between trainings.

An adversary sets some of his own people aside. He asks the model about them as he will ask about the victims, all under
one key, which for want of the victims' is one of his own, several in turn. The loss decides, because it is smooth;
the error (EER, or 100 - accuracy) is what a reader understands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from wrongkey.attacks.base import BackgroundSpeech, Setting
from wrongkey.attacks.through_model.answer_loss import label_numbers
from wrongkey.attacks.through_model.losses import contrast, cross_entropy
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.engine import group_queries
from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import encrypt_query

HELD_OUT = 1 / 4  # of the people, or of the clips: 17 of 67 people make some 90 pairs of one voice and 1,700 of two
ROWS = 16  # pieces of a pass


@dataclass(frozen=True)
class Judged:
    """A model on held-out speech. loss: in nats; error: EER or 100 - accuracy, in percent. Means over keys."""

    loss: float
    error: float


class HeldOut:
    """Held-out queries and their labels, asked under `keys (n, N, N)`, or as they are where there are none."""

    def __init__(self, model: Model, speech: BackgroundSpeech, setting: Setting, keys: Tensor | None = None) -> None:
        self.setting, self.keys = setting, keys
        self.labels = label_numbers(setting, speech.labels)
        pieces = [model.segments(query.float()) for query in speech.queries]
        self.groups = group_queries(pieces, setting.cut, whole=False)
        first, second = torch.triu_indices(len(self.labels), len(self.labels), 1)
        self.pairs, self.alike = (first, second), self.labels[first] == self.labels[second]

    @torch.no_grad()
    def judge(self, model: Model) -> Judged:
        """The model as it is, in eval mode."""
        under = [None] if self.keys is None else list(self.keys)
        found = [self._judge(self._answers(model, key)) for key in under]
        return Judged(float(np.mean([one.loss for one in found])), float(np.mean([one.error for one in found])))

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
        return Judged(float(contrast(answers[None], self.labels)[0]), float(eer(scores, self.alike)))


def parted(speech: BackgroundSpeech, setting: Setting, seed: int) -> tuple[BackgroundSpeech, BackgroundSpeech]:
    """What is trained on and what is held out: other people with two utterances or more, or other clips.

    Raises BadInput where they are too few.
    """
    rng, count = np.random.default_rng(seed), len(speech.labels)
    hands: list[list[int]]
    if setting.task == "asv":
        found: dict[str, list[int]] = {}
        for i, name in enumerate(speech.labels):
            found.setdefault(name, []).append(i)
        hands = [members for members in found.values() if len(members) > 1]
    else:
        hands = [[i] for i in range(count)]
    held = max(2, round(HELD_OUT * len(hands)))
    if len(hands) - held < 2:
        what = "people with two utterances" if setting.task == "asv" else "clips"
        raise BadInput(f"{len(hands)} {what} are too few to train on and to hold out: give other speech of 4 or more")
    mixed = [hands[int(i)] for i in rng.permutation(len(hands))]
    return _some(speech, mixed[held:]), _some(speech, mixed[:held])


def _some(speech: BackgroundSpeech, hands: Sequence[Sequence[int]]) -> BackgroundSpeech:
    numbers = sorted(i for hand in hands for i in hand)
    return BackgroundSpeech(tuple(speech.queries[i] for i in numbers), tuple(speech.labels[i] for i in numbers))
