"""A loss of keys that the right one makes small: how well the encrypted model works on known speech encrypted by them.

Where labels are known, it is the task's own loss: a contrast between speakers, the cross-entropy of classes. Without
them, two pieces of one utterance stand for one speaker, and a classifier or recogniser should be decided but varied
(information maximisation). Where the network stored the moments before its batch norms, they are matched too: right
keys give what training gave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import BackgroundSpeech, Setting
from wrongkey.attacks.through_model.answer_loss import label_numbers
from wrongkey.attacks.through_model.keyed_answers import KeyedAnswers
from wrongkey.attacks.through_model.losses import contrast, cross_entropy, indecision, norm_mismatch
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys.cutting import to_blocks

UTTERANCES, EACH = 192, 4  # that are asked about at most, and of one speaker
HELD_OUT = 1 / 3  # of the speakers, or utterances
NORM_WEIGHT = 10.0  # of the batch norms' divergence in nats beside the task's loss
SHRINK = 0.5  # weight of a batch norm beside the one before it: late layers store much of what was trained on


@dataclass(frozen=True)
class KeyCriterion:
    """The loss `(n,)` of keys `(n, N, N)` on some utterances.

    asked: the encrypted model and its queries. labels: a number per utterance, or None where none is known.
    norms: whether stored moments are matched.
    """

    asked: KeyedAnswers
    task: str
    labels: Tensor | None
    norms: bool

    @property
    def size(self) -> int:
        return self.asked.utterances

    def __call__(self, keys: Tensor, chosen: Tensor | None = None) -> Tensor:
        """On the utterances of index `chosen`, ascending, or on all."""
        answered = self.asked(keys, chosen, watch=self.norms)
        labels = self.labels if chosen is None or self.labels is None else self.labels[chosen]
        if self.task == "asv":
            assert labels is not None
            loss = contrast(answered.answers, labels)
        elif labels is not None:
            loss = cross_entropy(answered.answers, labels)
        else:
            loss = indecision(answered.answers)
        return loss + NORM_WEIGHT * norm_mismatch(answered.moments, self.asked.stored, SHRINK) if self.norms else loss

    def gradient(self, keys: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Losses `(n,)` and their gradients `(n, N, N)`."""
        moving = keys.detach().clone().requires_grad_()
        losses = self(moving, chosen)
        (gradient,) = torch.autograd.grad(losses.sum(), moving)
        return losses.detach(), gradient

    @torch.no_grad()
    def losses(self, keys: Tensor, chosen: Tensor | None = None) -> Tensor:
        """The losses without gradients, key by key."""
        return torch.cat([self(key[None], chosen) for key in keys])

    def batch(self, generator: torch.Generator, count: int) -> Tensor:
        """Index of about `count` random utterances, ascending; whole speakers where there are speakers."""
        if self.task != "asv" or self.labels is None:
            return torch.randperm(self.size, generator=generator)[:count].sort().values
        speakers = torch.unique(self.labels)
        some = max(3, round(count * len(speakers) / self.size))
        chosen = speakers[torch.randperm(len(speakers), generator=generator)[:some]]
        return torch.isin(self.labels, chosen).nonzero()[:, 0]


def criterion_of(
    encrypted: Model, setting: Setting, speech: BackgroundSpeech, labelled: bool = True, norms: bool = True
) -> KeyCriterion:
    """The loss of keys on all of the speech. Without labels, that of speakers needs `halves` of utterances.

    Raises BadInput for labels that are not the model's.
    """
    asked = KeyedAnswers(encrypted, setting.task or "asv", speech.queries, setting.cut)
    known = setting.task == "asv" or (setting.task == "asc" and labelled)
    numbers = label_numbers(setting, speech.labels) if known else None
    return KeyCriterion(asked, setting.task or "asv", numbers, norms and bool(asked.stored))


def parted(background: BackgroundSpeech, setting: Setting, seed: int) -> tuple[BackgroundSpeech, BackgroundSpeech]:
    """What is learned from, and what is held out: other speakers, or other utterances."""
    parts = split(background.labels if setting.task == "asv" else None, len(background.labels), seed)
    learned, held = (
        BackgroundSpeech(tuple(background.queries[i] for i in part), tuple(background.labels[i] for i in part))
        for part in parts
    )
    return learned, held


def split(speakers: Sequence[str] | None, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Index of the utterances to learn from and of those held out, at most `UTTERANCES` in all.

    `speakers` of the `count` utterances: at most `EACH` of everybody, and nobody in both; None where utterances have
    none. Raises BadInput where no speaker, or fewer than two utterances, would be left for either.
    """
    rng = np.random.default_rng(seed)
    hands: list[list[int]]
    if speakers is None:
        hands = [[int(i)] for i in rng.permutation(count)[:UTTERANCES]]
    else:
        found: dict[str, list[int]] = {}
        for i, name in enumerate(speakers):
            found.setdefault(name, []).append(i)
        hands = [members[:EACH] for members in found.values() if len(members) > 1]
        hands = [hands[int(i)] for i in rng.permutation(len(hands))[: UTTERANCES // EACH]]
    held = max(2, round(HELD_OUT * len(hands)))
    if len(hands) - held < 2:
        what = "speakers with two utterances" if speakers is not None else "utterances"
        raise BadInput(f"{len(hands)} {what} are too few to learn a key from and to test it: give 4 or more")
    return sorted(i for hand in hands[held:] for i in hand), sorted(i for hand in hands[:held] for i in hand)


def halves(speech: BackgroundSpeech, setting: Setting) -> BackgroundSpeech:
    """The two halves of every query, cut at a whole block, under the number of the query."""
    pieces, labels = [], []
    for number, query in enumerate(speech.queries):
        middle = query.shape[-1] // 2 // setting.block_size * setting.block_size
        if middle:
            pieces += [query[..., :middle], query[..., middle:]]
            labels += [str(number)] * 2
    return BackgroundSpeech(tuple(pieces), tuple(labels))


def covariance(queries: Sequence[Tensor], setting: Setting) -> Tensor:
    """Second moments `(N, N)` of the blocks of plain queries."""
    cut = [to_blocks(query.double(), setting.block_size, setting.blocks).flatten(0, -2) for query in queries]
    rows = torch.cat(cut)
    return rows.mT @ rows / len(rows)
