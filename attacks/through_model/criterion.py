"""A loss of keys that is small for the right one: how well the encrypted model works on speech encrypted with a key.

Where labels are known, it is the task's own loss: a contrast between speakers, the cross-entropy of classes. Without
them, two pieces of one utterance stand for one speaker, and the answers of a classifier or recogniser should each be
decided and vary from one to the next (information maximisation). Where the network stored the moments before its batch
norms, these are matched too: under the right key they are what they were in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import BackgroundSpeech, Setting
from wrongkey.attacks.through_model.answer_loss import label_numbers
from wrongkey.attacks.through_model.keyed_answers import KeyedAnswers
from wrongkey.attacks.through_model.losses import contrast, cross_entropy, indecision, norm_mismatch
from wrongkey.attacks.through_model.settings import LearnedKeySettings, SearchSettings
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys.cutting import to_blocks


@dataclass(frozen=True)
class KeyCriterion:
    """The loss `(n,)` of keys `(n, N, N)` on some utterances.

    Attributes
    ----------
    asked : KeyedAnswers
        The encrypted model and its queries.
    task : str
        "asv", "asc" or "asr".
    labels : Tensor or None
        A number per utterance, or None where none is known.
    norms : bool
        Whether stored moments are matched.
    settings : SearchSettings
        Weights of the parts of the loss.
    """

    asked: KeyedAnswers
    task: str
    labels: Tensor | None
    norms: bool
    settings: SearchSettings

    @property
    def size(self) -> int:
        """Number of utterances."""
        return self.asked.utterances

    def __call__(self, keys: Tensor, chosen: Tensor | None = None) -> Tensor:
        """Return the losses on the utterances of index `chosen`, ascending, or on all."""
        answered = self.asked(keys, chosen, watch=self.norms)
        labels = self.labels if chosen is None or self.labels is None else self.labels[chosen]
        if self.task == "asv":
            assert labels is not None
            loss = contrast(answered.answers, labels, self.settings.contrast_scale)
        elif labels is not None:
            loss = cross_entropy(answered.answers, labels)
        else:
            loss = indecision(answered.answers)
        if not self.norms:
            return loss
        mismatch = norm_mismatch(answered.moments, self.asked.stored, self.settings.norm_shrink)
        return loss + self.settings.norm_weight * mismatch

    def gradient(self, keys: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses `(n,)` and their gradients `(n, N, N)`."""
        moving = keys.detach().clone().requires_grad_()
        losses = self(moving, chosen)
        (gradient,) = torch.autograd.grad(losses.sum(), moving)
        return losses.detach(), gradient

    @torch.no_grad()
    def losses(self, keys: Tensor, chosen: Tensor | None = None) -> Tensor:
        """Return the losses without gradients, key by key."""
        return torch.cat([self(key[None], chosen) for key in keys])

    def batch(self, generator: torch.Generator, count: int) -> Tensor:
        """Return the index of about `count` random utterances, ascending; whole speakers where there are speakers."""
        if self.task != "asv" or self.labels is None:
            return torch.randperm(self.size, generator=generator)[:count].sort().values
        speakers = torch.unique(self.labels)
        some = max(3, round(count * len(speakers) / self.size))
        chosen = speakers[torch.randperm(len(speakers), generator=generator)[:some]]
        return torch.isin(self.labels, chosen).nonzero()[:, 0]


def criterion_of(
    encrypted: Model,
    setting: Setting,
    speech: BackgroundSpeech,
    settings: SearchSettings,
    labelled: bool = True,
    norms: bool = True,
) -> KeyCriterion:
    """Return the loss of keys on all of the speech. Without labels, that of speakers needs `halves` of utterances.

    Raises BadInput for labels that are not the model's.
    """
    asked = KeyedAnswers(encrypted, setting.task or "asv", speech.queries, setting.cut)
    known = setting.task == "asv" or (setting.task == "asc" and labelled)
    numbers = label_numbers(setting, speech.labels) if known else None
    return KeyCriterion(asked, setting.task or "asv", numbers, norms and bool(asked.stored), settings)


def probe_sets(
    background: BackgroundSpeech, setting: Setting, seed: int, settings: LearnedKeySettings
) -> tuple[BackgroundSpeech, BackgroundSpeech]:
    """Return what a key is learned from, and what is held out to test it: other speakers, or other utterances."""
    parts = split(background.labels if setting.task == "asv" else None, len(background.labels), seed, settings)
    learned, held = (
        BackgroundSpeech(tuple(background.queries[i] for i in part), tuple(background.labels[i] for i in part))
        for part in parts
    )
    return learned, held


def split(
    speakers: Sequence[str] | None, count: int, seed: int, settings: LearnedKeySettings
) -> tuple[list[int], list[int]]:
    """Return the index of the utterances to learn from and of those held out, at most `settings.utterances` in all.

    `speakers` of the `count` utterances: at most `settings.of_a_speaker` of each, and no speaker in both; None where
    utterances have none. Raises BadInput where no speaker, or fewer than two utterances, would be left for either.
    """
    rng, most, each = np.random.default_rng(seed), settings.utterances, settings.of_a_speaker
    groups: list[list[int]]
    if speakers is None:
        groups = [[int(i)] for i in rng.permutation(count)[:most]]
    else:
        several = [places[:each] for places in by_name(speakers).values() if len(places) > 1]
        groups = [several[int(i)] for i in rng.permutation(len(several))[: most // each]]
    held = max(2, round(settings.held_out * len(groups)))
    if len(groups) - held < 2:
        what = "speakers with two utterances" if speakers is not None else "utterances"
        raise BadInput(f"{len(groups)} {what} are too few to learn a key from and to test it: give 4 or more.")
    return sorted(chain(*groups[held:])), sorted(chain(*groups[:held]))


def by_name(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the places of every name, in the order in which names first come."""
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        places.setdefault(name, []).append(i)
    return places


def halves(speech: BackgroundSpeech, setting: Setting) -> BackgroundSpeech:
    """Return the two halves of every query, cut at a whole block, under the number of the query."""
    pieces, labels = [], []
    for number, query in enumerate(speech.queries):
        middle = query.shape[-1] // 2 // setting.block_size * setting.block_size
        if middle:
            pieces += [query[..., :middle], query[..., middle:]]
            labels += [str(number)] * 2
    return BackgroundSpeech(tuple(pieces), tuple(labels))


def covariance(queries: Sequence[Tensor], setting: Setting) -> Tensor:
    """Return the second moments `(N, N)` of the blocks of plain queries."""
    cut = [to_blocks(query.double(), setting.block_size, setting.blocks).flatten(0, -2) for query in queries]
    rows = torch.cat(cut)
    return rows.mT @ rows / len(rows)
