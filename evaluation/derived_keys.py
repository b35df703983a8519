"""Keys that follow from a seed, as an engine asks with them: every utterance, and every slot of it, under its own.

A sweep under a derived scheme (`wrongkey.keys.derived`) counts seeds. What the model holder does for each request,
encrypting the first layer for its nonce and slots, is a product of matrices here: the plain query's blocks are
multiplied by ``K′_{u,j} K⁻¹_{u,j}``, for utterance u and slot j, and the plain network is asked.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.engine import Engine, cut_bins
from wrongkey.evaluation.first_layer import with_first_layer
from wrongkey.evaluation.models.modules import cast, copied, move
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import SCHEMES, ScheduledLayer, SeedKey, encrypt_scheduled
from wrongkey.keys.derived import Derived, Label, Seeds, Slots, derived_matrices, public_nonce
from wrongkey.keys.inverse import inverse_of
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.lift import absorb, lift
from wrongkey.keys.model import check_unshared, first_layer

LONG, SHORT = 30, 20  # seconds of noise that measure how many frames a second makes


@dataclass(frozen=True)
class UtteranceKeys:
    """The matrices that seeds give the utterances of a sweep.

    Parameters
    ----------
    derived
        How matrices follow from the seed that the model is encrypted with.
    asked
        How they follow from the seeds of the queries; the same, but in self-checks.
    cut
        How they cut a query.
    rate
        Samples or frames of a query per second.
    seed
        Of the sweep; the nonces of its utterances, which are public, follow from it.
    """

    derived: Derived
    asked: Derived
    cut: KeyCut
    rate: float
    seed: int

    def slots(self, length: int) -> Slots:
        """The slots of a query."""
        return self.derived.slots(self.cut.steps, self.rate, length)

    def nonce(self, utterance: int) -> str | None:
        """The nonce of an utterance, by its number."""
        return public_nonce(self.seed, utterance) if self.derived.nonce else None

    def matrices(self, derived: Derived, seeds: Seeds, utterances: Tensor, slots: Slots) -> Tensor:
        """``(seeds, batch, S, N, N)``, float64, of the utterances of a batch; a batch of 1 where they share a key."""
        numbers, rows = np.unique(utterances.cpu().numpy() if self.derived.nonce else [0], return_inverse=True)
        count = len(slots.starts)
        labels = [Label(self.nonce(int(number)), slot) for number in numbers for slot in range(count)]
        found = torch.from_numpy(derived_matrices(derived, self.cut.size, seeds, labels))
        return found.reshape(len(seeds), len(numbers), count, *found.shape[2:])[:, rows]

    def relative(self, x: Tensor, utterances: Tensor, own: Seeds, seeds: Seeds | None) -> Tensor:
        """Plain queries ``x`` as the model under the seed ``own`` reads them, ``(seeds, batch, …)``.

        They were encrypted with each of the ``seeds``, or, where None, not at all.
        """
        slots = self.slots(x.shape[-1])
        matrices = inverse_of(self.matrices(self.derived, own[None], utterances, slots))
        if seeds is not None:
            matrices = self.matrices(self.asked, seeds, utterances, slots) @ matrices
        return encrypt_scheduled(x, matrices, self.cut, slots)

    def encrypted(self, x: Tensor, utterances: Tensor, seed: Seeds) -> Tensor:
        """Queries ``x (batch, …)`` encrypted with one ``seed (4,)``."""
        slots = self.slots(x.shape[-1])
        return encrypt_scheduled(x, self.matrices(self.asked, seed[None], utterances, slots), self.cut, slots)[0]


@dataclass(frozen=True)
class EncryptedPerUtterance:
    """What the model holder makes of a model and a seed: for every nonce, the model encrypted for it.

    Raises BadInput where the first layer cannot take the keys, or follow their schedule, exactly.

    Parameters
    ----------
    model
        The plain model.
    key
        The seed.
    keys
        Whose nonces and slots are followed.
    dtype
        Of the encrypted layer.
    """

    model: Model
    key: SeedKey
    keys: UtteranceKeys
    dtype: torch.dtype
    _layer: nn.Module = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_unshared(self.model.network, self.model.first_layer)
        plain = copy.deepcopy(first_layer(self.model.network, self.model.first_layer))
        object.__setattr__(self, "_layer", cast(plain, self.dtype))
        self.for_utterance(0, self.keys.cut.steps)

    def for_utterance(self, utterance: int, length: int) -> Model:
        """The model that answers to an utterance of ``length`` samples or frames."""
        keys = self.keys
        layer = layer_for_request(self._layer, self.key, keys.cut, keys.slots(length), keys.nonce(utterance))
        return with_first_layer(self.model, layer)


def layer_for_request(layer: nn.Module, key: SeedKey, cut: KeyCut, slots: Slots, nonce: str | None) -> nn.Module:
    """The first layer encrypted for the request of this nonce: all that the model holder makes anew for it."""
    matrices = torch.from_numpy(key.matrices(nonce, len(slots.starts)))
    if key.derived.hold is not None:
        return ScheduledLayer(layer, cut, slots, matrices)
    lifted = lift(layer, cut)
    absorb(lifted, matrices[0], cut)
    return lifted


@dataclass(frozen=True, eq=False, repr=False)
class DerivedEngine(Engine):
    """An engine whose keys are seeds: ``model_key`` is one, and it is asked with ``keys (n, 4)``.

    Parameters
    ----------
    keys
        The matrices that they give.
    """

    keys: UtteranceKeys | None = None

    def answers(self, keys: np.ndarray, *, model_key: np.ndarray | None = None, rows: int | None = None) -> Answers:
        """As ``Engine.answers``, of seeds."""
        own = self.model_key.numpy() if model_key is None else model_key
        return self._relative(own, keys, len(keys), rows)

    def plain_query(self) -> Answers:
        """As ``Engine.plain_query``."""
        return self._relative(self.model_key.numpy(), None, 1, None)

    def explicit(self, encrypted: Any, query_key: np.ndarray) -> Answers:
        """As ``Engine.explicit``, of an ``EncryptedPerUtterance``: the model is encrypted again for every nonce."""
        assert isinstance(encrypted, EncryptedPerUtterance) and self.keys is not None
        keys = self.keys

        def answer(_: slice, x: Tensor, utterances: Tensor) -> Any:
            parts = []
            for number, rows in _runs(utterances if keys.derived.nonce else torch.zeros_like(utterances)):
                model = copied(encrypted.for_utterance(number, x.shape[-1]))
                move(model, self.device, self.dtype)
                parts.append(self._asked(model, keys.encrypted(x[rows], utterances[rows], query_key)))
            return torch.cat(parts) if isinstance(parts[0], Tensor) else [text for part in parts for text in part]

        return self._collect(1, answer)

    def asked_by(self, scheme: str) -> DerivedEngine:
        """The same engine, asked with seeds whose matrices are those of another base scheme."""
        assert self.keys is not None
        asked = replace(self.keys.asked, base=SCHEMES[scheme])
        return replace(self, keys=replace(self.keys, asked=asked))

    def _relative(self, own: Seeds, seeds: Seeds | None, count: int, rows: int | None) -> Answers:
        def answer(chosen: slice, x: Tensor, utterances: Tensor) -> Any:
            assert self.keys is not None
            rotated = self.keys.relative(x, utterances, own, None if seeds is None else seeds[chosen])
            return self._asked(self.model, cut_bins(rotated, x).flatten(0, 1))

        return self._collect(count, answer, rows)


def query_rate(model: Model) -> float:
    """Samples or frames that a model's front end makes of a second; noise shows it.

    Two lengths are compared, because a front end may lose some at the ends; one that fills every recording up to half a
    minute, as Whisper's, makes equally many of both.
    """
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, int(LONG * model.sample_rate))).float()
    long, short = (model.front_end(noise[: int(s * model.sample_rate)]).shape[-1] for s in (LONG, SHORT))
    rate: float = (long - short) / (LONG - SHORT) or long / LONG
    if rate <= 0:
        raise BadInput(f"{model.name} makes no frames of {LONG} s of noise: a schedule cannot count its seconds.")
    return rate


def _runs(utterances: Tensor) -> Iterator[tuple[int, slice]]:
    """Each utterance of a batch, by number, with its rows, which stand side by side."""
    numbers, counts = torch.unique_consecutive(utterances, return_counts=True)
    end = 0
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        yield number, slice(end, end := end + count)
