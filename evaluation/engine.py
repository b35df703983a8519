"""The multi-key engine: one encrypted model asked under thousands of keys, without encrypting any audio again.

A model encrypted with key ``K`` and asked with a query encrypted with ``K′`` is the plain model whose
first-layer kernels are ``K′ Kᵀ e`` (docs/design.md: the engine). So a key costs one small product in float64, and
the network runs on plain speech that is prepared once. Several keys go through the network together: the first
layer stacks them along the batch, and everything behind it sees a larger batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.hardware import is_out_of_memory
from evaluation.models.protocol import SpeakerModel
from keys import SecretKey, encrypt_model, encrypt_query, relative_kernels
from keys.errors import BadInput
from keys.model import layer_block

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


def group_queries(segments: Sequence[Tensor], block_size: int, dims: int = 1) -> list[QueryGroup]:
    """Sort the segments ``(pieces_i, …)`` of utterances ``i`` into groups of equal shape and number.

    What lies behind the last whole block, along each of the ``dims`` last axes, is cut: a first layer with
    kernel = stride never reads it.
    """
    by_shape: dict[tuple[int, ...], list[tuple[int, Tensor]]] = {}
    for index, pieces in enumerate(segments):
        cut = pieces
        for axis in range(-dims, 0):
            cut = cut.narrow(axis, 0, cut.shape[axis] // block_size * block_size)
        by_shape.setdefault(tuple(cut.shape), []).append((index, cut))
    return [
        QueryGroup(
            segments=torch.cat([cut for _, cut in members]), utterance=torch.tensor([index for index, _ in members])
        )
        for _, members in sorted(by_shape.items(), key=lambda item: item[0])
    ]


class Engine:
    """Embeddings of a whole corpus under many keys.

    Parameters
    ----------
    model: an object of ``evaluation.models.protocol``; it is copied, never changed.
    groups: the corpus, from ``group_queries``.
    model_key: ``(N, N)``, the key that the model is encrypted with.
    device, dtype: where and in which precision the network runs.
    """

    def __init__(
        self,
        model: SpeakerModel,
        groups: Sequence[QueryGroup],
        model_key: np.ndarray,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.dtype = dtype
        self.answer_dtype = torch.promote_types(dtype, torch.float32)
        self.model_key = torch.as_tensor(model_key, dtype=torch.float64)
        self.weight = _first_layer(model).weight.detach().to("cpu", torch.float64)
        self.layer = KeyedFirstLayer(copy.deepcopy(_first_layer(model)))
        self.model = with_first_layer(model, self.layer)
        self.model.network.to(self.device, dtype)
        self.groups = [QueryGroup(g.segments.to(self.device, dtype), g.utterance.to(self.device)) for g in groups]
        self.utterances = sum(len(g.utterance) for g in groups)
        self.rows = 1  # answers of the first layer per pass: keys · segments
        self.layer.frames_first = self._takes_frames_first()

    def embeddings(self, keys: np.ndarray) -> Tensor:
        """Answers of the encrypted model to queries under ``keys (n, N, N)``: ``(n, utterances, dim)``.

        They are float32, or float64 where the network is. An utterance's embedding is the mean over its segments.
        When memory runs out the batch is halved; raises BadInput where a single row does not fit.
        """
        return self._under(relative_kernels(self.weight, torch.as_tensor(keys), self.model_key))

    def plain_embeddings(self) -> Tensor:
        """Answers of the plain model to plain queries: ``(utterances, dim)``."""
        return self._under(self.weight[None])[0]

    def explicit_embeddings(self, encrypted: SpeakerModel, query_key: np.ndarray) -> Tensor:
        """The oracle: every query encrypted with ``query_key``, answers of the ``encrypted`` model:
        ``(utterances, dim)``."""
        dims = layer_block(_first_layer(encrypted))[1]
        encrypted = copy.deepcopy(encrypted)
        encrypted.network.to(self.device, self.dtype)
        return self._collect(1, lambda chosen, x: encrypted.embed(encrypt_query(x, query_key, dims=dims)))[0]

    def subset(self, segments: int) -> Engine:
        """The same engine on the first utterances alone, at least ``segments`` segments where there are so many."""
        few = copy.copy(self)
        group = max(self.groups, key=len)
        count = -(-min(segments, len(group)) // group.pieces)
        first = torch.arange(count, device=self.device)
        few.groups, few.utterances = [QueryGroup(group.segments[: count * group.pieces], first)], count
        return few

    def _under(self, kernels: Tensor) -> Tensor:
        kernels = kernels.to(self.device, self.dtype)

        def answer(chosen: slice, x: Tensor) -> Tensor:
            self.layer.kernels = kernels[chosen]
            return self.model.embed(x)

        return self._collect(len(kernels), answer)

    def _collect(self, keys: int, answer: Callable[[slice, Tensor], Tensor]) -> Tensor:
        """Embeddings ``(keys, utterances, dim)`` from ``answer(chosen keys, segments) -> (chosen · segments, dim)``."""
        while True:
            try:
                return self._run(keys, answer)
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
    def _run(self, keys: int, answer: Callable[[slice, Tensor], Tensor]) -> Tensor:
        result: Tensor | None = None
        for group in self.groups:
            answers: Tensor | None = None
            for chosen, piece in self._passes(keys, len(group)):
                z = answer(chosen, group.segments[piece]).to(self.answer_dtype)
                if answers is None:
                    answers = z.new_empty(keys, len(group), z.shape[-1])
                answers[chosen, piece] = z.reshape(chosen.stop - chosen.start, -1, z.shape[-1])
            assert answers is not None  # groups are not empty
            if result is None:
                result = answers.new_empty(keys, self.utterances, answers.shape[-1])
            result[:, group.utterance] = answers.unflatten(1, (-1, group.pieces)).mean(2)  # type: ignore[no-untyped-call]
        assert result is not None
        return result

    def _passes(self, keys: int, segments: int) -> Iterator[tuple[slice, slice]]:
        """Cut keys × segments into passes of at most ``rows``; keys are stacked once all segments fit."""
        batch = min(self.rows, segments)
        stack = max(self.rows // batch, 1)
        for k in range(0, keys, stack):
            for s in range(0, segments, batch):
                yield slice(k, min(k + stack, keys)), slice(s, min(s + batch, segments))

    @torch.inference_mode()
    def _takes_frames_first(self) -> bool:
        """Whether the rest of the network works on the first layer's answer without a copy."""
        self.layer.frames_first = True
        try:
            self.model.embed(self.groups[0].segments[:1])
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
        self.layer.kernels = self.weight[None].to(self.device, self.dtype).expand(stack, *self.weight.shape)
        starts = range(0, len(group) - batch + 1, batch)
        self.model.embed(group.segments[:batch])  # warm up
        done, begin = 0, self._clock()
        while True:
            for start in starts:
                self.model.embed(group.segments[start : start + batch])
                done += batch * stack
                if (elapsed := self._clock() - begin) > TUNING_SECONDS:
                    return done / elapsed

    def _clock(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return perf_counter()


def with_first_layer(model: SpeakerModel, layer: nn.Module) -> SpeakerModel:
    """A copy of ``model`` whose first layer is ``layer``."""
    model = copy.deepcopy(model)
    model.network.set_submodule(model.first_layer, layer)
    return model


def encrypt_first_layer(model: SpeakerModel, key: SecretKey, dtype: torch.dtype | None = None) -> SpeakerModel:
    """What the provider holds: a copy of ``model`` with its first layer under ``key``, made in ``dtype`` (None: its
    own). Raises BadInput as ``encrypt_model``."""
    network = copy.deepcopy(model.network).to(dtype)
    return with_first_layer(model, encrypt_model(network, model.first_layer, key).get_submodule(model.first_layer))


def _first_layer(model: SpeakerModel) -> nn.Conv1d | nn.Conv2d:
    layer = model.network.get_submodule(model.first_layer)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)  # keys.model refused everything else
    return layer
