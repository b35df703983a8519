"""Trains a speaker or scene model further on labelled ciphertext, a part of it at a time, and stops by held-out people.

Every batch is under one key, as the victims all are: the victims' own where the ciphertext is theirs, else a fresh one
that the adversary draws. They want the model to distinguish people *under one key*, whichever it is. A fresh key for
every query asks for more, embeddings that no key changes, and trains a weaker attacker (docs/attacks.md).

The weights that were best on the held-out people are kept, which may be the first ones.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.attacks.base import BackgroundSpeech, Setting
from wrongkey.attacks.keyless.held_out_people import HeldOut, Judged
from wrongkey.attacks.keyless.settings import InformedSettings
from wrongkey.attacks.through_model.answer_loss import label_numbers
from wrongkey.attacks.through_model.losses import contrast, cross_entropy
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import draw_keys, encrypt_query


@dataclass(frozen=True)
class Stage:
    """What is trained together, and how long.

    Attributes
    ----------
    parameters : sequence of Parameter
        The weights that change.
    rate : float
        Of Adam; after the warm-up it falls to zero along half a cosine.
    steps : int
        At most.
    training : bool
        Whether batch norms learn the statistics of ciphertext, and dropout drops, as in training mode.
    """

    parameters: Sequence[nn.Parameter]
    rate: float
    steps: int
    training: bool = False


@dataclass(frozen=True)
class Trained:
    """How a training went: the steps that were taken, and the best, whose weights were kept (0: the first ones)."""

    before: Judged
    after: Judged
    steps: int
    best: int


class Retraining:
    """Trains a model in place.

    Parameters
    ----------
    model : Model
        The model.
    setting : Setting
        What is public.
    speech : BackgroundSpeech
        Labelled queries.
    held : HeldOut
        Decides what is kept.
    own_keys : bool
        Whether the speech is plain, so that every batch is encrypted with a fresh key of the scheme.
    settings : InformedSettings
        Batches, warm-up, decay and patience.
    """

    def __init__(
        self,
        model: Model,
        setting: Setting,
        speech: BackgroundSpeech,
        held: HeldOut,
        own_keys: bool,
        settings: InformedSettings,
    ) -> None:
        self.model, self.setting, self.speech, self.held, self.own_keys = model, setting, speech, held, own_keys
        self.settings = settings
        self.labels = label_numbers(setting, speech.labels)
        self.people = [(self.labels == label).nonzero()[:, 0].numpy() for label in torch.unique(self.labels)]

    def run(self, stages: Sequence[Stage], seed: int) -> Trained:
        """Train one stage after the other, each from the best weights so far, which are kept at the end."""
        before = best = self._judged()
        kept, at, steps = self._weights(), 0, 0
        rng = np.random.default_rng(seed)
        for stage in stages:
            optimiser = self._begin(stage)
            looked = 0
            for step in range(stage.steps):
                self._step(optimiser, stage, step, rng, seed + steps)
                steps += 1
                if (step + 1) % self.settings.check and step + 1 < stage.steps:
                    continue
                judged, looked = self._judged(), looked + 1
                if judged.loss < best.loss:
                    best, kept, at, looked = judged, self._weights(), steps, 0
                if looked == self.settings.patience:
                    break
            self.model.network.load_state_dict(kept)
        self.model.network.eval().requires_grad_(False)
        return Trained(before, best, steps, at)

    def _judged(self) -> Judged:
        self.model.network.eval()
        return self.held.judge(self.model)

    def _weights(self) -> dict[str, Tensor]:
        return copy.deepcopy(self.model.network.state_dict())

    def _begin(self, stage: Stage) -> torch.optim.Optimizer:
        self.model.network.requires_grad_(False)
        for parameter in stage.parameters:
            parameter.requires_grad_(True)
        return torch.optim.AdamW(stage.parameters, stage.rate, weight_decay=self.settings.decay)

    def _step(
        self, optimiser: torch.optim.Optimizer, stage: Stage, step: int, rng: np.random.Generator, key_seed: int
    ) -> None:
        self.model.network.train(stage.training)
        falling = (1 + float(np.cos(np.pi * step / stage.steps))) / 2
        for group in optimiser.param_groups:
            group["lr"] = stage.rate * min(1.0, (step + 1) / self.settings.warm_up) * falling
        queries, labels = self._batch(rng, key_seed)
        answers = getattr(self.model, ASKED[str(self.setting.task)])(queries)
        optimiser.zero_grad()
        self._loss(answers[None], labels)[0].backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    def _loss(self, answers: Tensor, labels: Tensor) -> Tensor:
        if self.setting.task == "asv":
            return contrast(answers, labels, self.settings.contrast_scale)
        return cross_entropy(answers, labels)

    def _batch(self, rng: np.random.Generator, key_seed: int) -> tuple[Tensor, Tensor]:
        """Pieces of random queries under one key, cut to the shortest, and their labels."""
        chosen = self._chosen(rng)
        pieces = [self._piece(self.speech.queries[i], rng) for i in chosen]
        step = self.setting.cut.steps
        length = min(piece.shape[-1] for piece in pieces) // step * step
        queries = torch.stack([piece[..., :length] for piece in pieces])
        if self.own_keys:
            (key,) = draw_keys(self.setting.scheme, self.setting.size, key_seed, 0, 1)
            queries = encrypt_query(queries, torch.from_numpy(key), blocks=self.setting.blocks)
        return queries, self.labels[chosen]

    def _chosen(self, rng: np.random.Generator) -> list[int]:
        """Numbers of some utterances: a few of each of several people, or any clips."""
        people, each = self.settings.people, self.settings.of_a_person
        if self.setting.task == "asc":
            return [int(i) for i in rng.permutation(len(self.labels))[: people * each]]
        chosen = rng.permutation(len(self.people))[:people]
        return [int(i) for person in chosen for i in rng.permutation(self.people[int(person)])[:each]]

    def _piece(self, query: Tensor, rng: np.random.Generator) -> Tensor:
        """One of the pieces that the model would be asked, of the query from a random block on."""
        blocks = max(1, query.shape[-1] // self.setting.block_size // 2)
        start = int(rng.integers(blocks)) * self.setting.block_size
        pieces = self.model.segments(query[..., start:].float())
        return pieces[int(rng.integers(len(pieces)))]
