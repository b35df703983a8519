"""Trains a speaker or scene model further on labelled ciphertext, a part of it at a time, and stops by held-out people.

Every batch is under one key, as the victims all are: the victims' own where the ciphertext is theirs, else a fresh one
that the adversary draws. What he wants of the model is that it tells people apart *under one key*, whichever it is. A
fresh key for every query asks for more, embeddings that no key changes, and trains a weaker attacker (docs/attacks.md).

The weights of the best look at the held-out people are kept, or none but the first.
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
from wrongkey.attacks.through_model.answer_loss import label_numbers
from wrongkey.attacks.through_model.losses import contrast, cross_entropy
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import draw_keys, encrypt_query

PEOPLE, EACH = 12, 3  # of a batch: 36 pieces of 2 s take asv-raw3 0.1 s of a CPU core, forth and back
WARM = 20  # steps until Adam's rate is whole: its second moments are unknown at first
CHECK = 25  # steps between two looks at the held-out people, which take about as long as five steps
PATIENCE = 6  # looks without a new best before a stage ends
DECAY = 0.02  # of the weights, as the bundled models were trained


@dataclass(frozen=True)
class Stage:
    """What is trained together. rate: of Adam, after the warm-up down along half a cosine; steps: at most.

    training: whether batch norms learn the statistics of ciphertext, and dropout drops, as in training mode.
    """

    parameters: Sequence[nn.Parameter]
    rate: float
    steps: int
    training: bool = False


@dataclass(frozen=True)
class Trained:
    """How a training went. steps: that were taken; best: the step whose weights were kept, 0 for none."""

    before: Judged
    after: Judged
    steps: int
    best: int


class Retraining:
    """Trains a model in place.

    speech: labelled queries; where `own_keys`, plain ones, and every batch is encrypted with a fresh key of the scheme.
    held: decides what is kept.
    """

    def __init__(self, model: Model, setting: Setting, speech: BackgroundSpeech, held: HeldOut, own_keys: bool) -> None:
        self.model, self.setting, self.speech, self.held, self.own_keys = model, setting, speech, held, own_keys
        self.labels = label_numbers(setting, speech.labels)
        self.people = [(self.labels == label).nonzero()[:, 0].numpy() for label in torch.unique(self.labels)]

    def run(self, stages: Sequence[Stage], seed: int) -> Trained:
        """One stage after the other, each from the best weights so far, which are kept at the end."""
        before = best = self._judged()
        kept, at, steps = self._weights(), 0, 0
        rng = np.random.default_rng(seed)
        for stage in stages:
            optimiser = self._begin(stage)
            looked = 0
            for step in range(stage.steps):
                self._step(optimiser, stage, step, rng, seed + steps)
                steps += 1
                if (step + 1) % CHECK and step + 1 < stage.steps:
                    continue
                judged, looked = self._judged(), looked + 1
                if judged.loss < best.loss:
                    best, kept, at, looked = judged, self._weights(), steps, 0
                if looked == PATIENCE:
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
        return torch.optim.AdamW(stage.parameters, stage.rate, weight_decay=DECAY)

    def _step(
        self, optimiser: torch.optim.Optimizer, stage: Stage, step: int, rng: np.random.Generator, key_seed: int
    ) -> None:
        self.model.network.train(stage.training)
        falling = (1 + float(np.cos(np.pi * step / stage.steps))) / 2
        for group in optimiser.param_groups:
            group["lr"] = stage.rate * min(1.0, (step + 1) / WARM) * falling
        queries, labels = self._batch(rng, key_seed)
        answers = getattr(self.model, ASKED[str(self.setting.task)])(queries)
        losses = contrast if self.setting.task == "asv" else cross_entropy
        optimiser.zero_grad()
        losses(answers[None], labels)[0].backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    def _batch(self, rng: np.random.Generator, key_seed: int) -> tuple[Tensor, Tensor]:
        """Pieces of random queries under one key, cut to the shortest, and their labels."""
        chosen = self._chosen(rng)
        pieces = [self._piece(self.speech.queries[i], rng) for i in chosen]
        step = 1 if self.setting.blocks == "frames" else self.setting.block_size
        length = min(piece.shape[-1] for piece in pieces) // step * step
        queries = torch.stack([piece[..., :length] for piece in pieces])
        if self.own_keys:
            (key,) = draw_keys(self.setting.scheme, self.setting.size, key_seed, 0, 1)
            queries = encrypt_query(queries, torch.from_numpy(key), blocks=self.setting.blocks)
        return queries, self.labels[chosen]

    def _chosen(self, rng: np.random.Generator) -> list[int]:
        """Index of some utterances: a few of each of several people, or any clips."""
        if self.setting.task == "asc":
            return [int(i) for i in rng.permutation(len(self.labels))[: PEOPLE * EACH]]
        hands = rng.permutation(len(self.people))[:PEOPLE]
        return [int(i) for hand in hands for i in rng.permutation(self.people[int(hand)])[:EACH]]

    def _piece(self, query: Tensor, rng: np.random.Generator) -> Tensor:
        """One of the pieces that the model would be asked, of the query from a random block on."""
        blocks = max(1, query.shape[-1] // self.setting.block_size // 2)
        start = int(rng.integers(blocks)) * self.setting.block_size
        pieces = self.model.segments(query[..., start:].float())
        return pieces[int(rng.integers(len(pieces)))]
