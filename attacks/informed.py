"""Informed adversaries (VoicePrivacy's ignorant, lazy-informed, semi-informed): no key, a model that reads ciphertext.

The adversary holds the public model and labelled speech. ignorant: asks the plain model about ciphertext.
lazy-informed: first trains it on other people's speech, which he encrypts himself, every query under a fresh key of the
scheme. semi-informed: trains it on ciphertext of enrolled users, whose names he knows, under the very key of the
victims. A key that is the same for everybody is only a change of basis in front of the first layer, which training
undoes.

VoicePrivacy: Tomashenko et al., "The VoicePrivacy 2022 challenge evaluation plan", section 4.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from attacks.base import Evidence, Given, OtherSpeech, Recovery, Setting, Threat
from evaluation.models.protocol import ASKED, Model
from keys import draw_keys, encrypt_query
from keys.errors import BadInput

STEPS = 600
BATCH = 16
RATE = 1e-3  # of Adam, falling to zero along half a cosine
SCALE = 20.0  # of the cosines of embeddings before the softmax over speakers
VARIANTS = ("ignorant", "lazy-informed", "semi-informed")


class Informed:
    """The public model as it is, or trained on encrypted speech; scored at the task on the victims' ciphertext."""

    name = "informed"
    family = 8
    wants_key = False
    most_trials = 1  # two trainings; it is scored on all victims at once
    threat = Threat(
        "Trains the public model on encrypted speech of people whose names he knows, and asks it about the victims'.",
        frozenset({"public model", "other speech", "labelled ciphertext"}),
    )

    def __init__(self, steps: int = STEPS) -> None:
        self.steps = steps

    def obstacle(self, setting: Setting) -> str | None:
        if setting.task not in ("asv", "asc"):
            return "It trains speaker and scene models; training a recogniser on ciphertext is not built."
        return None

    def amounts(self, setting: Setting) -> Sequence[Given]:
        return [Given(variant=variant) for variant in VARIANTS]

    def run(self, evidence: Evidence) -> Recovery:
        assert evidence.public is not None and evidence.others is not None and evidence.enrolled is not None
        variant = evidence.given.variant
        if variant == "ignorant":
            return Recovery(None, model=evidence.public)
        lazy = variant == "lazy-informed"
        training = _Training(evidence.public, evidence.others if lazy else evidence.enrolled, evidence.setting, lazy)
        loss = training.run(self.steps, evidence.seed)
        return Recovery(None, model=training.model, objective=loss, measured={"training loss": loss})


class _Training:
    """A copy of a model, trained on labelled queries.

    fresh_keys: the queries are plain, and each is encrypted with a fresh key whenever it is drawn. Speakers are told
    apart by a softmax over cosines of embeddings (CosFace without its margin, Wang et al., 2018), classes by the
    model's own logits.
    """

    def __init__(self, public: Model, speech: OtherSpeech, setting: Setting, fresh_keys: bool) -> None:
        self.model, self.setting = copy.deepcopy(public), setting
        self.speech, self.fresh_keys = speech, fresh_keys
        own = list(getattr(public, "classes", ())) if setting.task == "asc" else sorted(set(speech.labels))
        self.classes, self.labels = len(own), torch.tensor([own.index(label) for label in speech.labels])

    def run(self, steps: int, seed: int) -> float:
        """Adam on the cross entropy; returns its mean over the last tenth of the steps.

        Raises BadInput where the model's answers carry no gradient.
        """
        network = self.model.network.train().requires_grad_(True)
        rng = np.random.default_rng(seed)
        width = self._ask(self._batch(rng, seed)[0]).shape[-1]
        head = nn.Parameter(torch.randn(self.classes, width, generator=torch.Generator().manual_seed(seed)))
        optimiser = torch.optim.Adam([*network.parameters(), head], lr=RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        losses = []
        for step in range(steps):
            queries, labels = self._batch(rng, seed + 1 + step)
            answers = self._ask(queries)
            if self.setting.task == "asv":
                answers = SCALE * normalize(answers, dim=-1) @ normalize(head, dim=-1).T
            loss = cross_entropy(answers, labels)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        network.eval().requires_grad_(False)
        return float(np.mean(losses[-max(1, steps // 10) :]))

    def _ask(self, queries: Tensor) -> Tensor:
        answers: Tensor = getattr(self.model, ASKED[str(self.setting.task)])(queries)
        if not answers.requires_grad:
            raise BadInput(f"model {self.model.name} answers without gradients: it cannot be trained on ciphertext")
        return answers

    def _batch(self, rng: np.random.Generator, key_seed: int) -> tuple[Tensor, Tensor]:
        """Encrypted pieces of random queries, cut to the shortest, and their labels."""
        chosen = rng.choice(len(self.labels), min(BATCH, len(self.labels)), replace=False)
        pieces = [self._piece(self.speech.queries[i], rng) for i in chosen]
        step = 1 if self.setting.blocks == "frames" else self.setting.block_size
        length = min(piece.shape[-1] for piece in pieces) // step * step
        queries = torch.stack([piece[..., :length] for piece in pieces])
        if self.fresh_keys:
            keys = torch.from_numpy(
                draw_keys(self.setting.scheme, self.setting.size, key_seed, 0, len(queries))
            ).float()
            pairs = zip(queries, keys, strict=True)
            queries = torch.stack([encrypt_query(query, key, blocks=self.setting.blocks) for query, key in pairs])
        return queries, self.labels[chosen]

    def _piece(self, query: Tensor, rng: np.random.Generator) -> Tensor:
        """One of the pieces that the model would be asked, of the query from a random block on."""
        blocks = max(1, query.shape[-1] // self.setting.block_size // 2)
        start = int(rng.integers(blocks)) * self.setting.block_size
        pieces = self.model.segments(query[..., start:])
        return pieces[int(rng.integers(len(pieces)))]
