"""Linkability: whether two ciphertexts of one speaker can be linked without the key.

An orthogonal key is a change of basis. Under one key for all users, covariances of ciphertext, and their matrix
logarithms, are those of plain speech in that basis: `log(Kᵀ S K) = Kᵀ log(S) K`. All distances between them are then
what they are for plain speech, and speakers can be compared as well as by their plain long-term covariances [1]_.
Across keys the eigenvalues stay. Both are features of ciphertext alone; cosines of the centred features are the scores
of the task's trials.

References
----------
.. [1] V. Arsigny et al., "Log-Euclidean metrics for fast and simple calculus on diffusion tensors", Magnetic Resonance
   in Medicine 56, 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Recovery, Setting, Threat
from wrongkey.attacks.solvers.stable_linalg import eigh
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import draw_keys, encrypt_query, to_blocks
from wrongkey.keys.blocks import Blocks

ONE_KEY, ACROSS_KEYS = "one key", "across keys"  # variants


@dataclass(frozen=True)
class LinkabilitySettings:
    """What the covariances are taken of.

    Attributes
    ----------
    span : int
        Elements, about, of the successive blocks whose joint covariance is taken.
    floor : float
        Share of the mean eigenvalue that is added to all eigenvalues before their logarithm.
    """

    span: int = 32
    floor: float = 1e-4


class Linkability(AttackDefaults):
    """Speaker verification on ciphertext by its covariances, under one key and across keys."""

    name = "linkability"
    family = 8
    wants_key = False
    most_trials = 3  # each is scored on all victims at once
    threat = Threat(
        "Collects ciphertext of many people, knows nothing else, and compares covariances to tell who is who.",
        frozenset({"ciphertext", "ciphertext of many"}),
    )

    def __init__(self, settings: LinkabilitySettings = LinkabilitySettings()) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """It needs speakers."""
        return None if setting.task == "asv" else "It links speakers: the trials of --task asv are needed."

    def cases(self, setting: Setting) -> Sequence[Case]:
        """One key for all users, and a key for every query."""
        return [Case(variant=ONE_KEY), Case(variant=ACROSS_KEYS)]

    def run(self, evidence: Evidence) -> Recovery:
        """Return a model that embeds ciphertext; `error` of the row is its EER.

        Raises BadInput without ciphertext of several people, or without a model that cuts it.
        """
        if evidence.enrolled is None or evidence.setting.model is None:
            raise BadInput("The attack linkability needs ciphertext of other people and a model that cuts it.")
        across = evidence.case.variant == ACROSS_KEYS
        model = CovarianceEmbedding(evidence.setting, across, evidence.seed, self.settings)
        pieces = [evidence.setting.model.segments(query)[:1] for query in evidence.enrolled.queries]
        model.centre_on([piece.double() for piece in pieces])
        return Recovery(None, model=cast(Model, model))


class CovarianceEmbedding:
    """Queries to the logarithm of the covariance of their blocks, centred; `across` keys to its eigenvalues.

    Across keys, every query is put under a fresh key of the scheme first, as if each had a key of its own.
    """

    def __init__(self, setting: Setting, across: bool, seed: int, settings: LinkabilitySettings) -> None:
        self.network: nn.Module = nn.Identity()
        self.setting, self.across, self.seed, self.settings = setting, across, seed, settings
        self.asked = 0
        self.mean, self.scale = torch.zeros(()), torch.ones(())

    def centre_on(self, pieces: Sequence[Tensor]) -> None:
        """Take the mean and, for eigenvalues, the deviation from other ciphertext; a piece is `(1, …)`."""
        features = torch.cat([self._features(piece) for piece in pieces])
        self.mean = features.mean(0)
        self.scale = features.std(0).clamp(min=1e-9) if self.across else torch.ones(())

    def embed(self, queries: Tensor) -> Tensor:
        """Return features `(batch, dim)` of queries `(batch, …)`."""
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
        values, vectors = eigh(joint_covariance(queries, size, blocks, self.settings.span))
        levels = (values + self.settings.floor * values.mean(-1, keepdim=True)).log()
        return levels if self.across else ((vectors * levels[:, None]) @ vectors.mT).flatten(1)


def joint_covariance(queries: Tensor, block_size: int, blocks: Blocks, span: int) -> Tensor:
    """Return the covariance `(batch, L·N, L·N)` of L successive blocks, about `span` elements, of queries `(batch, …)`.

    Successive in time; rows of tiles, and the blocks of a frame, are pooled. Traces are one.
    """
    rows = to_blocks(queries, block_size, blocks)
    if blocks is Blocks.SAMPLES:
        rows = rows[:, None]
    elif blocks is Blocks.FRAMES:
        rows = rows.transpose(1, 2)
    rows = rows - rows.mean(dim=2, keepdim=True)  # (batch, bands, time, N)
    together = max(1, min(span // rows.shape[-1], rows.shape[2]))
    joined = rows.unfold(2, together, 1).movedim(-1, -2).flatten(-2).flatten(1, 2)
    covariance = joined.mT @ joined
    return covariance / torch.einsum("bii->b", covariance)[:, None, None]
