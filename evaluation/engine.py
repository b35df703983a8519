"""The multi-key engine: one encrypted model asked under thousands of keys, without encrypting any audio again.

A model encrypted with key ``K`` and asked with a query encrypted with ``K′`` is the plain model whose
first-layer kernels are ``K′ Kᵀ e`` (design, section 1: the relative key). So a key costs one small product in
float64, and the network runs on plain speech that is prepared once. Several keys go through the network
together: the first layer stacks them along the batch, and everything behind it sees a larger batch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.hardware import is_out_of_memory
from evaluation.models.protocol import SpeakerModel
from keys import relative_kernels

PATIENCE = 2  # larger batches that may be slower than the best one before the tuner stops looking
TUNING_SECONDS = 0.3  # shortest measurement that decides a batch size


class KeyedFirstLayer(nn.Module):
    """A convolution that answers for several keys at once.

    ``kernels`` has shape ``(keys, out, in / groups, *block)``; an input ``(batch, in, …)`` becomes
    ``(keys · batch, out, …)``, key by key.
    """

    def __init__(self, layer: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer
        self.kernels = layer.weight.detach()[None]

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.layer, nn.Conv1d) and self.layer.in_channels == 1:
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
        """Waveforms: every block times every kernel is one product, several times faster than a convolution whose
        rows are as short as a block."""
        keys, out, _, block = self.kernels.shape
        blocks = x[:, 0, : x.shape[-1] // block * block].reshape(1, -1, block)
        kernels = self.kernels[:, :, 0].transpose(1, 2)  # (keys, block, out)
        if self.layer.bias is None:
            z = blocks.expand(keys, -1, -1) @ kernels
        else:
            bias = self.layer.bias.expand(keys, 1, -1)
            z = torch.baddbmm(bias, blocks.expand(keys, -1, -1), kernels)
        return z.reshape(keys * len(x), -1, out).transpose(1, 2)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve = nn.functional.conv1d if isinstance(self.layer, nn.Conv1d) else nn.functional.conv2d
        z: Tensor = convolve(x, weight, bias, stride=self.layer.stride, groups=self.layer.groups)
        return z


@dataclass(frozen=True)
class QueryGroup:
    """Segments of equal length: ``segments (n, samples)``, each of utterance ``utterance[i]``."""

    segments: Tensor
    utterance: Tensor

    def __len__(self) -> int:
        return len(self.segments)


def group_queries(segments: Sequence[Tensor], block_size: int) -> list[QueryGroup]:
    """Sort the segments ``(n_i, samples_i)`` of utterances ``i`` into groups of equal length.

    Samples behind the last whole block are cut: a first layer with kernel = stride never reads them.
    """
    by_length: dict[int, list[tuple[int, Tensor]]] = {}
    for index, pieces in enumerate(segments):
        whole = pieces.shape[-1] // block_size * block_size
        by_length.setdefault(whole, []).append((index, pieces[..., :whole]))
    return [
        QueryGroup(
            segments=torch.cat([pieces for _, pieces in members]),
            utterance=torch.cat([torch.full((len(pieces),), index) for index, pieces in members]),
        )
        for _, members in sorted(by_length.items())
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
        self.sum_dtype = torch.promote_types(dtype, torch.float32)  # of the mean over segments
        self.model_key = torch.as_tensor(model_key, dtype=torch.float64)
        self.weight = _first_layer(model).weight.detach().to("cpu", torch.float64)
        self.layer = KeyedFirstLayer(copy.deepcopy(_first_layer(model)))
        self.model = with_first_layer(model, self.layer)
        self.model.network.to(self.device, dtype)
        self.groups = [QueryGroup(g.segments.to(self.device, dtype), g.utterance.to(self.device)) for g in groups]
        self.utterances = int(max(int(g.utterance.max()) for g in groups)) + 1
        self.rows = 1  # first-layer outputs per pass: keys · segments

    def embeddings(self, keys: np.ndarray) -> Tensor:
        """Answers of the encrypted model to queries under ``keys (n, N, N)``: ``(n, utterances, dim)``.

        They are float32, or float64 where the network is. An utterance's embedding is the mean over its segments.
        When memory runs out the batch is halved.
        """
        kernels = relative_kernels(self.weight, torch.as_tensor(keys), self.model_key)
        return self._under(kernels)

    def plain_embeddings(self) -> Tensor:
        """Answers of the plain model to plain queries: ``(utterances, dim)``."""
        return self._under(self.weight[None])[0]

    def _under(self, kernels: Tensor) -> Tensor:
        while True:
            try:
                return self._run(kernels.to(self.device, self.dtype))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.rows == 1:
                    raise
                self.rows //= 2
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    @torch.inference_mode()
    def _run(self, kernels: Tensor) -> Tensor:
        sums: Tensor | None = None
        counts = torch.zeros(self.utterances, 1, device=self.device, dtype=self.sum_dtype)
        for group in self.groups:
            counts.index_add_(0, group.utterance, counts.new_ones(len(group), 1))
            for chosen, piece in self._passes(len(kernels), len(group)):
                self.layer.kernels = kernels[chosen]
                answer = self.model.embed(group.segments[piece]).to(self.sum_dtype)
                answer = answer.reshape(chosen.stop - chosen.start, -1, answer.shape[-1])
                if sums is None:
                    sums = answer.new_zeros(len(kernels), self.utterances, answer.shape[-1])
                sums[chosen] = sums[chosen].index_add(1, group.utterance[piece], answer)
        assert sums is not None
        return sums / counts

    def _passes(self, keys: int, segments: int) -> Iterator[tuple[slice, slice]]:
        """Cut keys × segments into passes of at most ``rows``; keys are stacked once all segments fit."""
        batch = min(self.rows, segments)
        stack = max(self.rows // batch, 1)
        for k in range(0, keys, stack):
            for s in range(0, segments, batch):
                yield slice(k, min(k + stack, keys)), slice(s, min(s + batch, segments))

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
            torch.cuda.synchronize()
        return perf_counter()


def with_first_layer(model: SpeakerModel, layer: nn.Module) -> SpeakerModel:
    """A copy of ``model`` whose first layer is ``layer``."""
    model = copy.deepcopy(model)
    model.network.set_submodule(model.first_layer, layer)
    return model


def _first_layer(model: SpeakerModel) -> nn.Conv1d | nn.Conv2d:
    layer = model.network.get_submodule(model.first_layer)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)  # keys.model refused everything else
    return layer
