"""A learned matrix before a model: it undoes a key that is the same for all users.

Ciphertext `x K` read by the plain model through the map `W = Kᵀ` is plain speech again, and N² numbers are far fewer
than a model has. With the model frozen, `W` is sought as `learned-key` seeks a key
(`wrongkey.attacks.through_model.search`), with the two sides exchanged: there the model is encrypted and the speech
plain, here the speech is encrypted and the model plain. The loss is the task's own on labelled ciphertext, with the
moments that the plain model's batch norms have stored.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.attacks.base import BackgroundSpeech, Matrix, Setting
from wrongkey.attacks.keyless.settings import InformedSettings
from wrongkey.attacks.solvers.key_lists import part_of_its_group
from wrongkey.attacks.through_model.criterion import covariance, criterion_of
from wrongkey.attacks.through_model.search import plan_for, search_finite, search_orthogonal
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.models.modules import modules_of
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import encrypt_query
from wrongkey.keys.blocks import Blocks


class Adapted:
    """A copy of a model that reads its queries through a map `(N, N)` of their blocks, `x W` for a block `x`."""

    def __init__(self, model: Model, blocks: Blocks, map: Matrix) -> None:
        self.model = copy.deepcopy(model)
        self.name, self.first_layer, self.sample_rate = model.name, model.first_layer, model.sample_rate
        self.blocks, self.block_size = model.blocks, model.block_size
        self.front = FrontEnd(blocks, map)
        self.network = nn.ModuleList([self.front, *modules_of(self.model)])
        self.network.eval().requires_grad_(False)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Return the query of a waveform, as the model itself makes it."""
        return self.model.front_end(waveform)

    def segments(self, query: Tensor) -> Tensor:
        """Return the pieces of a query, as the model itself cuts it."""
        return self.model.segments(query)

    def embed(self, queries: Tensor) -> Tensor:
        """Return embeddings `(batch, dim)` of mapped queries."""
        return self.model.embed(self.front(queries))  # type: ignore[attr-defined]

    def classify(self, queries: Tensor) -> Tensor:
        """Return logits `(batch, classes)` of mapped queries."""
        return self.model.classify(self.front(queries))  # type: ignore[attr-defined]


class FrontEnd(nn.Module):
    """Every block of a query times a free matrix `map (N, N)`."""

    def __init__(self, blocks: Blocks, map: Matrix) -> None:
        super().__init__()
        self.blocks = blocks
        self.map = nn.Parameter(torch.as_tensor(map, dtype=torch.float32).clone())

    def forward(self, queries: Tensor) -> Tensor:
        """Map queries `(batch, …)`."""
        return encrypt_query(queries, self.map, blocks=self.blocks)


def check_gradients(model: Model, setting: Setting, query: Tensor) -> None:
    """Raise BadInput where a model's answers to a query carry no gradient, as of one that answers under `no_grad`."""
    adapted = Adapted(model, setting.blocks, np.eye(setting.size))
    adapted.front.requires_grad_(True)
    answers = getattr(adapted, ASKED[str(setting.task)])(model.segments(query.float())[:1])
    if not answers.requires_grad:
        raise BadInput(f"The model {model.name} answers without gradients: it cannot be trained on ciphertext.")


def learn_front_end(
    model: Model, setting: Setting, speech: BackgroundSpeech, seed: int, settings: InformedSettings
) -> Matrix:
    """Return the map `(N, N)` of least loss on labelled ciphertext before the frozen model.

    Orthogonal, since the inverse of every key is. Where the scheme is a whole finite group, the inverse is one of its
    keys, too, and the map is sought among them. The search begins at the identity and at random keys.
    """
    few = BackgroundSpeech(speech.queries[: settings.utterances], speech.labels[: settings.utterances])
    criterion = criterion_of(model, setting, few, settings)
    spread, plan = covariance(few.queries, setting), plan_for(setting.size, settings)
    if setting.scheme.monomial and not part_of_its_group(setting.scheme, setting.size):
        return search_finite(criterion, setting.scheme, spread, seed, plan).key
    return search_orthogonal(criterion, spread, seed, plan).key
