"""Linkability: are two ciphertexts of one speaker linkable without the key?

An orthogonal key is a change of basis. Under one key for everybody, covariances of ciphertext, and their matrix
logarithms, are those of plain speech in that basis: `log(Kᵀ S K) = Kᵀ log(S) K`, so all distances between them are what
they are for plain speech, and speakers can be compared as well as by their plain long-term covariances. Across keys the
eigenvalues stay. Both are features of ciphertext alone; cosines of the centred features are the scores of the task's
trials (Arsigny et al., 2006, for the log-Euclidean metric).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from wrongkey.attacks.base import Case, Evidence, Recovery, Setting, Threat
from wrongkey.attacks.solvers.stable_linalg import eigh
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import draw_keys, encrypt_query, to_blocks
from wrongkey.keys.blocks import Blocks

SPAN = 32  # elements of the successive blocks whose joint covariance is taken
FLOOR = 1e-4  # of the mean eigenvalue, added to all of them


class Linkability:
    """Speaker verification on ciphertext by its covariances, under one key and across keys."""

    name = "linkability"
    family = 8
    wants_key = False
    most_trials = 3  # each is scored on all victims at once
    threat = Threat(
        "Collects ciphertext of many people, knows nothing else, and compares covariances to tell who is who.",
        frozenset({"ciphertext", "ciphertext of many"}),
    )

    def inapplicable(self, setting: Setting) -> str | None:
        return None if setting.task == "asv" else "It links speakers: the trials of --task asv are needed."

    def cases(self, setting: Setting) -> Sequence[Case]:
        return [Case(variant="one key"), Case(variant="across keys")]

    def run(self, evidence: Evidence) -> Recovery:
        """A model that embeds ciphertext; `error` of the row is its EER."""
        if evidence.enrolled is None or evidence.setting.model is None:
            raise BadInput("linkability was given no ciphertext of other people, or no model that cuts it.")
        across = evidence.case.variant == "across keys"
        model = CovarianceEmbedding(evidence.setting, across, evidence.seed)
        pieces = [evidence.setting.model.segments(query)[:1] for query in evidence.enrolled.queries]
        model.centre_on([piece.double() for piece in pieces])
        return Recovery(None, model=cast(Model, model))


class CovarianceEmbedding:
    """Queries to the logarithm of the covariance of their blocks, centred; `across` keys its eigenvalues.

    across: every query is put under a fresh key of the scheme first, as if each had a key of its own.
    """

    def __init__(self, setting: Setting, across: bool, seed: int) -> None:
        assert setting.model is not None
        self.network: nn.Module = nn.Identity()
        self.setting, self.across, self.seed = setting, across, seed
        self.asked = 0
        self.mean, self.scale = torch.zeros(()), torch.ones(())

    def centre_on(self, pieces: Sequence[Tensor]) -> None:
        """Takes mean and, for eigenvalues, deviation from other ciphertext; a piece is `(1, …)`."""
        features = torch.cat([self._features(piece) for piece in pieces])
        self.mean = features.mean(0)
        self.scale = features.std(0).clamp(min=1e-9) if self.across else torch.ones(())

    def embed(self, queries: Tensor) -> Tensor:
        """Queries `(batch, …)` to features `(batch, dim)`."""
        return ((self._features(queries.double()) - self.mean) / self.scale).to(queries.dtype)

    def _features(self, queries: Tensor) -> Tensor:
        blocks, size = self.setting.blocks, self.setting.block_size
        if self.across:
            keys = torch.from_numpy(
                draw_keys(self.setting.scheme, self.setting.size, self.seed, self.asked, len(queries))
            )
            pairs = zip(queries, keys, strict=True)
            queries = torch.stack([encrypt_query(query, key, blocks=blocks) for query, key in pairs])
            self.asked += len(queries)
        values, vectors = eigh(joint_covariance(queries, size, blocks))
        levels: Tensor = (values + FLOOR * values.mean(-1, keepdim=True)).log()
        return levels if self.across else ((vectors * levels[:, None]) @ vectors.mT).flatten(1)


def joint_covariance(queries: Tensor, block_size: int, blocks: Blocks) -> Tensor:
    """Covariance `(batch, L·N, L·N)` of L successive blocks, about `SPAN` elements, of queries `(batch, …)`.

    Successive in time; rows of tiles, and the blocks of a frame, are pooled. Traces are one.
    """
    rows = to_blocks(queries, block_size, blocks)
    if blocks == "samples":
        rows = rows[:, None]
    elif blocks == "frames":
        rows = rows.transpose(1, 2)
    rows = rows - rows.mean(dim=2, keepdim=True)  # (batch, bands, time, N)
    span = max(1, min(SPAN // rows.shape[-1], rows.shape[2]))
    joined = rows.unfold(2, span, 1).movedim(-1, -2).flatten(-2).flatten(1, 2)
    covariance: Tensor = joined.mT @ joined
    normalised: Tensor = covariance / torch.einsum("bii->b", covariance)[:, None, None]
    return normalised
