"""Answers of the encrypted model to queries under keys that are still being searched for, with gradients.

An encrypted first layer of kernels `e` that reads whole blocks answers to `x K̂` what one of kernels `K̂ e` answers to
`x`: a key costs one small product, and keys stack along the batch. For any other first layer the queries are
encrypted. Neither needs the plain model or the key.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from wrongkey.attacks.solvers.batch_norms import kept_norms, norm_inputs, stored
from wrongkey.errors import BadInput
from wrongkey.evaluation.first_layer import KeyedFirstLayer, with_first_layer
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.queries import QueryGroup, group_queries
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.query import encrypt_query

ROWS = 8  # keys · segments of a pass: what the cache of one core likes
FUNCTIONS = {"asv": "embed", "asc": "classify", "asr": "encode"}  # task -> what gives numbers


@dataclass(frozen=True)
class Answered:
    """Numbers that the encrypted model gave to some utterances under `n` keys.

    Attributes
    ----------
    answers : Tensor
        `(n, utterances, dim)`, the mean over an utterance's pieces; of a recogniser `(n, frames, dim)`.
    moments : tuple of pairs of Tensor
        Mean and variance, each `(n, channels)`, of what every watched batch norm was given, in the network's order;
        empty where none is watched.
    """

    answers: Tensor
    moments: tuple[tuple[Tensor, Tensor], ...]


class KeyedAnswers:
    """The encrypted model asked about plain queries under keys `(n, N, N)`; differentiable in the keys.

    Parameters
    ----------
    model : Model
        The encrypted model; it is copied.
    task : str
        "asv", "asr" or "asc"; a recogniser must offer `encode`.
    queries : sequence of Tensor
        Plain, one per utterance, `(samples,)` or `(bins, frames)`.
    cut : KeyCut
        How keys cut them.

    Raises
    ------
    BadInput
        If the model gives no numbers for its task.
    """

    def __init__(self, model: Model, task: str, queries: Sequence[Tensor], cut: KeyCut) -> None:
        self.function, self.blocks, self.task = FUNCTIONS[task], cut.blocks, task
        if not hasattr(model, self.function):
            raise BadInput(f"{model.name} gives no numbers to learn from: it needs {self.function}(queries).")
        layer = model.network.get_submodule(model.first_layer)
        whole = cut.reads_whole(layer)
        self.groups = group_queries([model.segments(query.float()) for query in queries], cut, whole).groups
        self.layer: KeyedFirstLayer | None = None
        if whole:
            assert isinstance(layer, nn.Conv1d | nn.Conv2d)
            self.layer = KeyedFirstLayer(copy.deepcopy(layer))
            self.weight = layer.weight.detach().double()
        self.model = with_first_layer(model, self.layer) if self.layer is not None else copy.deepcopy(model)
        self.model.network.requires_grad_(False)
        self.norms = kept_norms(self.model.network)
        self.stored = tuple(stored(norm) for norm in self.norms.values())
        self.utterances = sum(len(group.utterance) for group in self.groups)

    def __call__(self, keys: Tensor, chosen: Tensor | None = None, watch: bool = False) -> Answered:
        """Return the answers under `keys` to the utterances of index `chosen (m,)`, ascending, or to all.

        watch: whether the moments before batch norms are taken.
        """
        chosen = torch.arange(self.utterances) if chosen is None else chosen
        place = torch.full((self.utterances,), -1)
        place[chosen] = torch.arange(len(chosen))
        sums = _Sums(len(keys))
        kernels = self._kernels(keys) if self.layer is not None else None
        parts: list[Tensor] = []
        order: list[Tensor] = []
        with norm_inputs(self.norms if watch else {}, sums.add):
            for group in self.groups:
                members = (place[group.utterance] >= 0).nonzero()[:, 0]
                if len(members):
                    parts += self._group(group, members, keys, kernels)
                    order.append(place[group.utterance[members]])
        answers = torch.cat(parts, 1)
        if self.task != "asr":
            answers = answers[:, torch.cat(order).argsort()]
        return Answered(answers, tuple(sums.moments(name) for name in self.norms if name in sums.of))

    def _group(self, group: QueryGroup, members: Tensor, keys: Tensor, kernels: Tensor | None) -> list[Tensor]:
        """Answers `(n, utterances, dim)` to some utterances of a group, pass by pass."""
        segments = rearrange(group.segments, "(utterance piece) ... -> utterance piece ...", piece=group.pieces)
        step = max(ROWS // (len(keys) * group.pieces), 1)
        answers = []
        for start in range(0, len(members), step):
            x = segments[members[start : start + step]].flatten(0, 1)
            answer = rearrange(
                self._ask(x, keys, kernels).float(),
                "(key utterance piece) ... -> key utterance piece ...",
                key=len(keys),
                piece=group.pieces,
            )
            answers.append(answer.flatten(1, 3) if self.task == "asr" else answer.mean(2))
        return answers

    def _ask(self, x: Tensor, keys: Tensor, kernels: Tensor | None) -> Tensor:
        """`(n · batch, …)`, key by key."""
        if self.layer is not None:
            assert kernels is not None
            self.layer.kernels = kernels
        else:
            x = encrypt_query(x, keys, blocks=self.blocks).flatten(0, 1)
        return getattr(self.model, self.function)(x)

    def _kernels(self, keys: Tensor) -> Tensor:
        """`K̂ e` of the encrypted kernels `e`, as rows `e K̂ᵀ`: `(n, out, in / groups, *block)`."""
        rows = self.weight.flatten(2) @ keys.double().mT[:, None]
        return rows.reshape(len(keys), *self.weight.shape).float()


class _Sums:
    """Sums over what each batch norm is given under `n` keys: number, sum and sum of squares, `(n, channels)`."""

    def __init__(self, keys: int) -> None:
        self.keys = keys
        self.of: dict[str, list[Tensor]] = {}

    def add(self, name: str, given: Tensor) -> None:
        x = given.reshape(self.keys, -1, *given.shape[1:]).transpose(1, 2).flatten(2)  # (keys, channels, places)
        sums = [torch.tensor(float(x.shape[-1])), x.sum(-1), x.square().sum(-1)]
        before = self.of.get(name)
        self.of[name] = sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]

    def moments(self, name: str) -> tuple[Tensor, Tensor]:
        """Mean and variance of what a norm was given, each `(n, channels)`."""
        count, total, squares = self.of[name]
        mean = total / count
        return mean, (squares / count - mean.square()).clamp(min=1e-8)
