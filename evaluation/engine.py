"""The multi-key engine: one encrypted model asked under thousands of keys, without encrypting any model again.

A model encrypted with key ``K`` and asked with a query encrypted with ``K′`` answers what the plain model answers to
the query's blocks times ``K′ Kᵀ`` (docs/design.md: the engine). That product associates in two ways, both in here:

- *kernels*: where a first layer reads whole blocks (kernel = stride = block), its kernels become ``K′ Kᵀ e``: a key
  costs one small product in float64, and several keys stack along the batch behind the first layer;
- *queries*: for any other model, the blocks of the plain query are multiplied by ``K′ Kᵀ`` and the plain network is
  asked. The network is never touched, so this holds for every first layer, adapter and task.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers, Gathered
from wrongkey.evaluation.hardware import is_out_of_memory
from wrongkey.evaluation.models.modules import cast, copied, move
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import SecretKey, encrypt_model, encrypt_query, relative_kernels
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import cut
from wrongkey.keys.key_cut import KeyCut

PATIENCE = 2  # larger batches that may be slower than the best one before the tuner stops looking
TUNING_SECONDS = 0.3  # shortest measurement that decides a batch size


class KeyedFirstLayer(nn.Module):
    """A convolution that answers for several keys at once.

    ``kernels`` has shape ``(keys, out, in / groups, *block)``; an input ``(batch, in, …)`` becomes
    ``(keys · batch, out, …)``, key by key. With ``frames_first`` the answer of a one-channel Conv1d is laid out frame
    by frame in memory, as the product gives it: no copy, but ``view`` does not work on it.
    """

    kernels: Tensor

    def __init__(self, layer: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer
        self.frames_first = False
        self.register_buffer("kernels", layer.weight.detach()[None].clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.layer, nn.Conv1d) and self.layer.in_channels == 1 and self.frames_first:
            return self._multiply(x)
        keys, out = self.kernels.shape[:2]
        if keys == 1:
            return self._convolve(x, self.kernels[0], self.layer.bias)
        if self.layer.groups > 1:  # stacked outputs would fall into the wrong groups
            return torch.cat([self._convolve(x, kernel, self.layer.bias) for kernel in self.kernels])
        bias = None if self.layer.bias is None else self.layer.bias.repeat(keys)
        z = self._convolve(x, self.kernels.flatten(0, 1), bias)  # (batch, keys · out, …)
        return z.reshape(len(x), keys, out, *z.shape[2:]).transpose(0, 1).flatten(0, 1)

    def _multiply(self, x: Tensor) -> Tensor:
        """Waveforms: every block times every kernel is one product, faster than a convolution whose rows are as short
        as a block."""
        keys, out, _, block = self.kernels.shape
        blocks = x[:, 0, : x.shape[-1] // block * block].reshape(1, -1, block).expand(keys, -1, -1)
        kernels = self.kernels[:, :, 0].transpose(1, 2)  # (keys, block, out)
        if self.layer.bias is None:
            z = blocks @ kernels
        else:
            z = torch.baddbmm(self.layer.bias.expand(keys, 1, -1), blocks, kernels)
        return z.reshape(keys * len(x), -1, out).transpose(1, 2)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve = nn.functional.conv1d if isinstance(self.layer, nn.Conv1d) else nn.functional.conv2d
        z: Tensor = convolve(x, weight, bias, stride=self.layer.stride, groups=self.layer.groups)
        return z


@dataclass(frozen=True)
class QueryGroup:
    """Queries of one shape: ``segments (utterances · pieces, …)``, the pieces of ``utterance[i]`` side by side."""

    segments: Tensor
    utterance: Tensor

    def __len__(self) -> int:
        return len(self.segments)

    @property
    def pieces(self) -> int:
        return len(self.segments) // len(self.utterance)

    def among(self, utterances: Sequence[int]) -> QueryGroup | None:
        """The queries of those ``utterances`` that are in this group, numbered by their place there; else None."""
        place = {utterance: number for number, utterance in enumerate(utterances)}
        rows = [row for row, utterance in enumerate(self.utterance.tolist()) if utterance in place]
        if not rows:
            return None
        segments = self.segments.reshape(-1, self.pieces, *self.segments.shape[1:])[rows].flatten(0, 1)
        numbers = [place[int(self.utterance[row])] for row in rows]
        return QueryGroup(segments, torch.tensor(numbers, device=self.utterance.device))


def group_queries(segments: Sequence[Tensor], cut: KeyCut, whole: bool) -> list[QueryGroup]:
    """Sort the segments ``(pieces_i, …)`` of utterances ``i`` into groups of equal shape and number.

    ``whole``: the first layer reads whole blocks only, and what lies behind the last one, along each axis that the
    key cuts, is left out. Any other layer reads the tail too: time is padded with zeros to a whole block.
    """
    by_shape: dict[tuple[int, ...], list[tuple[int, Tensor]]] = {}
    for index, pieces in enumerate(segments):
        fitted = _cut_tail(pieces, cut) if whole else _pad_tail(pieces, cut)
        by_shape.setdefault(tuple(fitted.shape), []).append((index, fitted))
    return [
        QueryGroup(
            segments=torch.cat([fitted for _, fitted in members]), utterance=torch.tensor([i for i, _ in members])
        )
        for _, members in sorted(by_shape.items(), key=lambda item: item[0])
    ]


def _cut_tail(pieces: Tensor, cut: KeyCut) -> Tensor:
    for axis in cut.axes:
        pieces = pieces.narrow(axis, 0, pieces.shape[axis] // cut.block_size * cut.block_size)
    return pieces


def _pad_tail(pieces: Tensor, cut: KeyCut) -> Tensor:
    missing = -pieces.shape[-1] % cut.steps
    return nn.functional.pad(pieces, (0, missing)) if missing else pieces


def check_bins(model: Model, segments: Tensor, cut: KeyCut) -> None:
    """BadInput where tiles do not fill the bins of ``segments (…, bins, frames)`` before an overlapping Conv2d.

    It would answer to the zeros that fill a tile with more rows, which the rest of the network is not made for.
    """
    layer = model.network.get_submodule(model.first_layer)
    if cut.blocks is not Blocks.TILES or not isinstance(layer, nn.Conv2d) or cut.reads_whole(layer):
        return
    if segments.shape[-2] % cut.block_size:
        raise BadInput(
            f"{model.name} reads {segments.shape[-2]} bins, which tiles of {cut.block_size} do not fill: "
            "give a block size that divides them"
        )


class Engine:
    """Answers of a model for a whole corpus under many keys.

    Parameters
    ----------
    model: an object of ``wrongkey.evaluation.models.protocol``; it is copied, never changed.
    ask: name of its function that is asked: ``embed``, ``classify``, ``transcribe`` or ``encode``.
    groups: the corpus, from ``group_queries``.
    model_key: ``(N, N)``, the key that the model is encrypted with.
    blocks: how the keys cut a query.
    kernels: whether the keys go into the first layer (which must read whole blocks) or into the queries.
    device, dtype: where and in which precision the network runs.
    """

    def __init__(
        self,
        model: Model,
        ask: str,
        groups: Sequence[QueryGroup],
        model_key: np.ndarray,
        blocks: Blocks,
        kernels: bool,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.ask, self.blocks = ask, blocks
        self.device = device or torch.device("cpu")
        self.dtype = dtype
        self.model_key = torch.as_tensor(model_key, dtype=torch.float64)
        self.model = copied(model)
        self.layer: KeyedFirstLayer | None = None
        if kernels:
            layer = model.network.get_submodule(model.first_layer)
            assert isinstance(layer, nn.Conv1d | nn.Conv2d)
            self.weight = layer.weight.detach().to("cpu", torch.float64)
            self.layer = KeyedFirstLayer(copy.deepcopy(layer))
            self.model = with_first_layer(model, self.layer)
        move(self.model, self.device, dtype)
        self.groups = [QueryGroup(g.segments.to(self.device, dtype), g.utterance.to(self.device)) for g in groups]
        self.utterances = sum(len(g.utterance) for g in groups)
        self.rows = 1  # rows of a pass: keys · segments
        if self.layer is not None:
            self.layer.frames_first = self._takes_frames_first(self.layer)

    def answers(self, keys: np.ndarray) -> Answers:
        """Answers of the encrypted model to queries under ``keys (n, N, N)``.

        Embeddings or logits ``(n, utterances, dim)``, float32, or float64 where the network is, the mean over an
        utterance's segments; or texts ``[n][utterances]``. When memory runs out the batch is halved; raises BadInput
        where a single row does not fit.
        """
        if self.layer is not None:
            return self._under_kernels(relative_kernels(self.weight, torch.as_tensor(keys), self.model_key))
        return self._under_rotations(torch.as_tensor(keys, dtype=torch.float64) @ self.model_key.mT)

    def plain(self) -> Answers:
        """Answers of the plain model to plain queries: one key's, as ``answers`` gives them."""
        if self.layer is not None:
            return self._under_kernels(self.weight[None])
        return self._collect(self.groups, 1, lambda _, x: self._asked(self.model, x))

    def plain_by_group(self) -> list[Answers]:
        """``plain``, of one group of queries after another: answers of any shape, such as those of ``encode``."""
        alone = (QueryGroup(g.segments, torch.arange(len(g.utterance), device=self.device)) for g in self.groups)
        return [self.on([group]).plain() for group in alone]

    def explicit(self, encrypted: Model, query_key: np.ndarray) -> Answers:
        """The oracle: every query encrypted with ``query_key``, answers of the ``encrypted`` model, as one key's."""
        encrypted = copied(encrypted)
        move(encrypted, self.device, self.dtype)

        def answer(_: slice, x: Tensor) -> Any:
            return self._asked(encrypted, encrypt_query(x, query_key, blocks=self.blocks))

        return self._collect(self.groups, 1, answer)

    def of_waveforms(self, encrypted: Callable[[], Sequence[Tensor]]) -> Answers:
        """Answers of the plain model to other segments ``(pieces_i, …)`` of the utterances ``i``, as one key's."""
        groups = self.on(group_queries(encrypted(), KeyCut(Blocks.SAMPLES, 1), whole=False)).groups
        return self._collect(groups, 1, lambda _, x: self._asked(self.model, x))

    def subset(self, segments: int, ask: str | None = None) -> Engine:
        """The same engine on the first utterances alone, at least ``segments`` segments where there are so many.

        ``ask`` names another function of the model; answers of any shape are flattened to ``(batch, dim)``.
        """
        few = copy.copy(self)
        group = max(self.groups, key=len)
        count = -(-min(segments, len(group)) // group.pieces)
        first = torch.arange(count, device=self.device)
        few.groups, few.utterances = [QueryGroup(group.segments[: count * group.pieces], first)], count
        few.ask = ask or self.ask
        return few

    def on(self, groups: Sequence[QueryGroup]) -> Engine:
        """The same engine on other queries."""
        other = copy.copy(self)
        other.groups = [QueryGroup(g.segments.to(self.device, self.dtype), g.utterance.to(self.device)) for g in groups]
        other.utterances = sum(len(group.utterance) for group in groups)
        return other

    def among(self, utterances: Sequence[int]) -> Engine:
        """The same engine on some of its utterances, by number, in that order."""
        return self.on([some for group in self.groups if (some := group.among(utterances)) is not None])

    def doubled(self) -> Engine:
        """The same engine with the utterances of its first group a second time behind them."""
        group = self.groups[0]
        again = group.utterance + len(group.utterance)
        both = QueryGroup(torch.cat([group.segments] * 2), torch.cat([group.utterance, again]))
        return self.on([both])

    def _asked(self, model: Model, x: Tensor) -> Any:
        answer = getattr(model, self.ask)(x)
        return answer.flatten(1) if isinstance(answer, Tensor) else answer

    def _under_kernels(self, kernels: Tensor) -> Answers:
        kernels = kernels.to(self.device, self.dtype)

        def answer(chosen: slice, x: Tensor) -> Any:
            assert self.layer is not None
            self.layer.kernels = kernels[chosen]
            return self._asked(self.model, x)

        return self._collect(self.groups, len(kernels), answer)

    def _under_rotations(self, rotations: Tensor) -> Answers:
        """The plain model on queries whose blocks were multiplied by ``rotations (n, N, N)``."""

        def answer(chosen: slice, x: Tensor) -> Any:
            rotated = encrypt_query(x, rotations[chosen], blocks=self.blocks)  # (keys, batch, …)
            return self._asked(self.model, cut_bins(rotated, x).flatten(0, 1))

        return self._collect(self.groups, len(rotations), answer)

    def _collect(self, groups: Sequence[QueryGroup], keys: int, answer: Callable[[slice, Tensor], Any]) -> Answers:
        """Answers from ``answer(chosen keys, segments)``, which gives ``chosen · segments`` rows or texts."""
        while True:
            try:
                return self._run(groups, keys, answer)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler: the traceback held the tensors of the pass that failed.
            if self.rows == 1:
                raise BadInput(f"{self.device} has too little memory for one segment: use another --device")
            self.rows //= 2
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    @torch.inference_mode()
    def _run(self, groups: Sequence[QueryGroup], keys: int, answer: Callable[[slice, Tensor], Any]) -> Answers:
        gathered = Gathered(keys, self.utterances, torch.promote_types(self.dtype, torch.float32))
        for group in groups:
            gathered.add(group, ((k, s, answer(k, group.segments[s])) for k, s in self._passes(keys, len(group))))
        return gathered.answers()

    def _passes(self, keys: int, segments: int) -> Iterator[tuple[slice, slice]]:
        """Cut keys × segments into passes of at most ``rows``; keys are stacked once all segments fit."""
        batch = min(self.rows, segments)
        stack = max(self.rows // batch, 1)
        for k in range(0, keys, stack):
            for s in range(0, segments, batch):
                yield slice(k, min(k + stack, keys)), slice(s, min(s + batch, segments))

    @torch.inference_mode()
    def _takes_frames_first(self, layer: KeyedFirstLayer) -> bool:
        """Whether the rest of the network works on the first layer's answer without a copy."""
        layer.frames_first = True
        try:
            self._asked(self.model, self.groups[0].segments[:1])
        except RuntimeError:  # view() on what is not contiguous
            return False
        return True

    def tune(self, largest: int = 4096) -> dict[int, float]:
        """Measure rows per pass at start, keep the fastest, and return rows -> rows per second.

        On a CPU small batches win (cache); a GPU wants thousands of rows. Doubles until twice in a row nothing
        is gained or memory runs out.
        """
        rates: dict[int, float] = {}
        group = max(self.groups, key=lambda g: g.segments.numel())
        rows = 1
        while rows <= largest and len([r for r in rates if r > max(rates, key=rates.__getitem__)]) < PATIENCE:
            try:
                rates[rows] = self._rate(group, rows)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not rates:
                    raise
                break
            rows *= 2
        self.rows = max(rates, key=rates.__getitem__)
        return rates

    @torch.inference_mode()
    def _rate(self, group: QueryGroup, rows: int) -> float:
        batch = min(rows, len(group))
        stack = rows // batch
        starts = range(0, len(group) - batch + 1, batch)
        if self.layer is not None:
            self.layer.kernels = self.weight[None].to(self.device, self.dtype).expand(stack, *self.weight.shape)

        def ask(start: int) -> None:
            x = group.segments[start : start + batch]
            self._asked(self.model, x if self.layer is not None else x.repeat(stack, *[1] * (x.ndim - 1)))

        ask(0)  # warm up
        done, begin = 0, self._clock()
        while True:
            for start in starts:
                ask(start)
                done += batch * stack
                if (elapsed := self._clock() - begin) > TUNING_SECONDS:
                    return done / elapsed

    def _clock(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return perf_counter()


def cut_bins(rotated: Tensor, plain: Tensor) -> Tensor:
    """``rotated (keys, batch, …)`` without the zeros that its blocks needed beyond the extent of ``plain``."""
    return cut(rotated, plain.ndim - 1, tuple(plain.shape[1:])) if rotated.shape[1:] != plain.shape else rotated


def with_first_layer(model: Model, layer: nn.Module) -> Model:
    """A copy of ``model`` whose first layer is ``layer``."""
    model = copied(model)
    model.network.set_submodule(model.first_layer, layer)
    return model


def encrypt_first_layer(
    model: Model, key: SecretKey, blocks: Blocks | None = None, dtype: torch.dtype | None = None
) -> Model:
    """What the provider holds: a copy of ``model`` with its first layer under ``key``, made in ``dtype`` (None: its
    own). Raises BadInput as ``encrypt_model``."""
    network = copied(model).network
    encrypted = encrypt_model(network if dtype is None else cast(network, dtype), model.first_layer, key, blocks)
    return with_first_layer(model, encrypted.get_submodule(model.first_layer))
