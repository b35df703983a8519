"""The multi-key engine: one encrypted model asked under thousands of keys, without encrypting any model again.

A model encrypted with key ``K`` and asked with a query encrypted with ``K′`` answers what the plain model answers to
the query's blocks times ``K′ K⁻¹`` (docs/design.md: the engine). That product associates in two ways, both in here:

- *kernels*: where a first layer reads whole blocks (kernel = stride = block), its kernels become ``K′ K⁻¹ e``: a key
  costs one small product in float64, and several keys stack along the batch behind the first layer;
- *queries*: for any other model, the blocks of the plain query are multiplied by ``K′ K⁻¹`` and the plain network is
  asked. The network is never touched, so this holds for every first layer, adapter and task.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.evaluation.answers import Answers, Gathered
from wrongkey.evaluation.first_layer import KeyedFirstLayer, with_first_layer
from wrongkey.evaluation.freed_memory import Freed
from wrongkey.evaluation.hardware import MemoryRanOut, clock, is_out_of_memory, memory_of_a_pass, release_unused
from wrongkey.evaluation.models.modules import copied, move
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.pass_memory import PeakMemory
from wrongkey.evaluation.queries import Queries, QueryGroup
from wrongkey.keys import encrypt_query, relative_kernels
from wrongkey.keys.cutting import cut, rows_of, speech_of
from wrongkey.keys.inverse import inverse_of
from wrongkey.keys.key_cut import KeyCut

PATIENCE = 2  # larger batches that may be slower than the best one before the tuner stops looking
FLAT = 4  # larger batches that may be no better than a smaller one: sixteen times its rows
SLOWER = 0.95  # of the best rate: what is nearer cannot be told from it by one measurement
TUNING_SECONDS = (0.02, 0.3)  # shortest and longest measurement of a batch size
LONG_PASS = 1.0  # seconds: a pass that takes longer is measured by itself, and not asked again
TUNING_SHARE = 0.005  # of the time that the sweep itself is going to take, between these two
TUNING_MOST = 0.1  # of that time for all sizes on a CPU, which wants small ones
ALWAYS_TRIED = 8  # rows, also where keys are so few that this takes longer, or a pass on a CPU takes more than
CPU_PASS = 2**28  # bytes: by then it has left every cache

FREED = Freed()  # by all passes of this process


@dataclass
class BatchSize:
    """Rows of a pass (keys · segments): all that changes about an engine, when it is tuned or memory runs out."""

    rows: int = 1
    why: str = ""  # these: as the fastest, as those of an earlier session, or as asked for; empty before
    elements: int | None = None  # of a segment, in the group that these rows are measured with
    ran_out: bool = False  # memory, with more rows

    @property
    def chosen(self) -> bool:
        """Whether the rows are those to take, and need no tuning."""
        return bool(self.why)

    def choose(self, rows: int, why: str) -> None:
        """Take these rows of a pass, and say why."""
        self.rows, self.why = rows, why

    def of(self, group: QueryGroup) -> int:
        """Rows of a pass over a group: fewer of longer segments, so that no pass holds more than what was measured."""
        if self.elements is None or group.elements <= self.elements:
            return self.rows
        return max(1, self.rows * self.elements // group.elements)

    def take(self, rows: int, elements: int | None) -> None:
        """Make the passes of another engine: answers of other batches differ by rounding."""
        self.elements = elements
        self.choose(rows, "those of the caller")

    def fitted(self, rows: int) -> None:
        """Keep fewer rows once they were answered: later passes would hardly fit with more."""
        if rows < self.rows:
            self.rows, self.ran_out = rows, True


def half_of(rows: int, device: torch.device) -> int:
    """Half the rows of a pass that did not fit the memory; raises MemoryRanOut where it was a single one."""
    if rows == 1:
        raise MemoryRanOut(f"Memory of {device} ran out in a pass of one segment: free some, or use another --device.")
    release_unused(device)  # in pieces too small for a pass
    return rows // 2


@dataclass(frozen=True, eq=False, repr=False)
class Engine:
    """Answers of a model for a whole corpus under many keys; ``Engine.of`` makes one.

    Engines of the same model on other queries (``on``) share the model and the batch size. The model's first layer
    holds the kernels of the keys that it is asked under, so one thread at a time may ask.

    Parameters
    ----------
    model
        The plain model, on its device. Its first layer is ``layer`` where the keys go into kernels.
    layer
        None where the keys go into the queries.
    ask
        Name of the model's function that is asked: ``embed``, ``classify``, ``transcribe`` or ``encode``.
    queries
        The plain corpus, on the device.
    model_key
        ``(N, N)``, float64: the key that the model counts as encrypted with.
    cut
        How the keys cut a query.
    device, dtype
        Where and in which precision the network runs.
    batch
        Rows of a pass.
    """

    model: Model
    layer: KeyedFirstLayer | None
    ask: str
    queries: Queries
    model_key: Tensor
    cut: KeyCut
    device: torch.device
    dtype: torch.dtype
    batch: BatchSize = field(default_factory=BatchSize)

    @classmethod
    def of(
        cls,
        model: Model,
        ask: str,
        queries: Queries,
        model_key: np.ndarray,
        cut: KeyCut,
        *,
        kernels: bool,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Engine:
        """An engine for a copy of ``model``, an object of ``wrongkey.evaluation.models.protocol``.

        ``kernels`` says whether the keys go into the first layer, which must read whole blocks, or into the queries.
        """
        device = device or torch.device("cpu")
        model, layer = _keyed(model) if kernels else (copied(model), None)
        move(model, device, dtype)
        own = torch.as_tensor(model_key)
        own = own.double() if own.is_floating_point() else own  # a seed stays as it is
        batch = BatchSize(elements=queries.most.elements)
        engine = cls(model, layer, ask, queries.to(device, dtype), own, cut, device, dtype, batch)
        if layer is not None:
            layer.frames_first = engine._takes_frames_first(layer)
        return engine

    def on(self, queries: Queries, ask: str | None = None) -> Engine:
        """An engine of the same model on other queries, asked with another of its functions if ``ask`` names one."""
        return replace(self, queries=queries.to(self.device, self.dtype), ask=ask or self.ask)

    def answers(self, keys: np.ndarray, *, model_key: np.ndarray | None = None, rows: int | None = None) -> Answers:
        """Answers of the encrypted model to queries under ``keys (n, N, N)``.

        Parameters
        ----------
        keys
            ``(n, N, N)``, what the queries are encrypted with.
        model_key
            ``(N, N)``, what the model is encrypted with; None for the engine's own.
        rows
            Rows of a pass, however long its segments are; None for the engine's batch size.

        Returns
        -------
        Answers
            Embeddings or logits ``(n, utterances, dim)``, float32, or float64 where the network is, the mean over an
            utterance's segments; or texts ``[n][utterances]``.

        Raises
        ------
        BadInput
            Where memory runs out for a single row. With more rows the batch is halved instead, and stays so once it
            is answered.
        """
        own = self.model_key if model_key is None else torch.as_tensor(model_key, dtype=torch.float64)
        if self.layer is not None:
            return self._under_kernels(relative_kernels(self.layer.plain_weight, torch.as_tensor(keys), own), rows)
        return self._under_rotations(torch.as_tensor(keys, dtype=torch.float64) @ inverse_of(own), rows)

    def plain(self, *, rows: int | None = None) -> Answers:
        """Answers of the plain model to plain queries: one key's, as ``answers`` gives them."""
        if self.layer is not None:
            return self._under_kernels(self.layer.plain_weight[None], rows)
        return self._collect(1, lambda _, x, __: self._asked(self.model, x), rows)

    def plain_query(self) -> Answers:
        """Answers of the encrypted model to plain queries: one key's."""
        return self.answers(np.eye(len(self.model_key))[None])

    def plain_by_group(self) -> list[Answers]:
        """``plain``, of one group of queries after another: answers of any shape, such as those of ``encode``."""
        return [self.on(group).plain() for group in self.queries.by_group()]

    def explicit(self, encrypted: Any, query_key: np.ndarray) -> Answers:
        """The oracle: every query encrypted with ``query_key``, answers of the ``encrypted`` model, as one key's."""
        encrypted = copied(encrypted)
        move(encrypted, self.device, self.dtype)

        def answer(_: slice, x: Tensor, __: Tensor) -> Any:
            return self._asked(encrypted, encrypt_query(x, query_key, blocks=self.cut))

        return self._collect(1, answer)

    def _asked(self, model: Model, x: Tensor) -> Any:
        """What the model answers; tensors of any shape are flattened to ``(batch, dim)``."""
        answer = getattr(model, self.ask)(x)
        return answer.flatten(1) if isinstance(answer, Tensor) else answer

    def _under_kernels(self, kernels: Tensor, rows: int | None) -> Answers:
        kernels = kernels.to(self.device, self.dtype)

        def answer(chosen: slice, x: Tensor, _: Tensor) -> Any:
            assert self.layer is not None
            self.layer.kernels = kernels[chosen]
            return self._asked(self.model, x)

        return self._collect(len(kernels), answer, rows)

    def _under_rotations(self, rotations: Tensor, rows: int | None) -> Answers:
        """The plain model on queries whose blocks were multiplied by ``rotations (n, N, N)``."""
        rotations = rotations.to(self.device, torch.promote_types(self.dtype, torch.float32))

        def answer(chosen: slice, x: Tensor, _: Tensor) -> Any:
            return self._asked(self.model, cut_bins(rotated(x, rotations[chosen], self.cut), x).flatten(0, 1))

        return self._collect(len(rotations), answer, rows)

    def _collect(self, keys: int, answer: Callable[[slice, Tensor, Tensor], Any], rows: int | None = None) -> Answers:
        """Answers from ``answer(chosen keys, segments, utterance of each)``: ``chosen · segments`` rows or texts.

        Where memory runs out at every size, it may be for these keys alone: others are asked as before.
        """
        batch = self.batch if rows is None else BatchSize(rows)
        tried = batch.rows
        while True:
            try:
                found = self._run(keys, answer, replace(batch, rows=tried))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            else:
                batch.fitted(tried)
                return found
            tried = half_of(tried, self.device)  # outside the handler, whose traceback held tensors of that pass

    @torch.inference_mode()
    def _run(self, keys: int, answer: Callable[[slice, Tensor, Tensor], Any], batch: BatchSize) -> Answers:
        gathered = Gathered(keys, self.queries.utterances, torch.promote_types(self.dtype, torch.float32))
        for group in self.queries.groups:
            passes = _passes(keys, len(group), batch.of(group))
            of = group.utterance.repeat_interleave(group.pieces)
            gathered.add(group, ((k, s, answer(k, group.segments[s], of[s])) for k, s in passes))
            FREED.bound()
        return gathered.answers()

    @torch.inference_mode()
    def _takes_frames_first(self, layer: KeyedFirstLayer) -> bool:
        """Whether the rest of the network works on the first layer's answer without a copy."""
        layer.frames_first = True
        try:
            self._asked(self.model, self.queries.groups[0].segments[:1])
        except RuntimeError:  # view() on what is not contiguous
            return False
        return True

    def tune(self, largest: int = 4096, asked: int | None = None) -> Mapping[int, float]:
        """Measure rows per pass, keep the fastest, and return rows -> rows per second.

        They are measured with the group of queries that has the most elements; passes over longer segments have fewer
        (`BatchSize.of`). On a CPU small batches win (cache); a GPU wants thousands of rows. The number doubles until
        two larger ones were slower than the best, or four no faster than a smaller one, by more than 5 %; or until the
        next pass would not fit the memory, by what the last one took.

        Parameters
        ----------
        largest
            Rows of the largest pass.
        asked
            Rows that are going to be asked: where they are few, a size is measured for a shorter time, and on a CPU
            fewer sizes are.
        """
        rates: dict[int, float] = {}
        peaks: list[tuple[int, int]] = []  # rows and bytes of each of these passes
        group = self.queries.most
        rows, (least, seconds) = 1, TUNING_SECONDS
        started = self._clock()
        while rows <= largest and not self._is_tuned(rates, rows, asked, self._clock() - started):
            if _expected_peak(peaks, _asked_of(group, rows)) > self._room(rows):
                break
            try:
                begin, asked_once = self._clock(), _asked_of(group, rows)
                peaks.append((asked_once, self._peak(group, rows)))
                once = self._clock() - begin
                limit = seconds if asked is None or rates else least
                rates[rows] = asked_once / once if once > LONG_PASS else self._rate(group, rows, limit)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not rates:
                    raise
                break
            if rows == 1 and asked is not None:
                seconds = min(seconds, max(least, TUNING_SHARE * asked / rates[rows]))
            rows *= 2
        measured = ", ".join(f"{rows:,} ({rate:,.1f} rows a second)" for rows, rate in rates.items())
        self.batch.choose(max(rates, key=rates.__getitem__), f"the fastest of {measured}")
        self.batch.elements = group.elements  # other than at first where this engine is on other queries, or took rows
        return rates

    def _room(self, rows: int) -> float:
        """Bytes that a pass of so many rows may take."""
        room = memory_of_a_pass(self.device)
        return min(room, CPU_PASS) if self.device.type == "cpu" and rows > ALWAYS_TRIED else room

    def _is_tuned(self, rates: Mapping[int, float], rows: int, asked: int | None, spent: float) -> bool:
        """Whether more ``rows`` are not worth trying: larger passes were slower, or all of it takes too long."""
        best = max(rates, key=rates.__getitem__, default=0)
        as_good = [r for r in rates if rates[r] >= SLOWER * rates[best]]
        slower = [r for r in rates if r > best and r not in as_good]
        if len(slower) >= PATIENCE or len([r for r in rates if r > min(as_good)]) >= FLAT:
            return True
        if self.device.type != "cpu" or asked is None or rows <= ALWAYS_TRIED:
            return False
        return spent + rows / rates[best] > TUNING_MOST * asked / rates[best]

    @torch.inference_mode()
    def _peak(self, group: QueryGroup, rows: int) -> int:
        """Bytes that a pass of so many rows holds at once; it also warms up the measurement that follows."""
        self._under_plain_kernels(group, rows)
        with PeakMemory() as held:
            self._ask_some(group, rows, 0)
        return held.peak

    @torch.inference_mode()
    def _rate(self, group: QueryGroup, rows: int, seconds: float) -> float:
        """Rows per second, measured for ``seconds``, or for one pass where that takes longer."""
        self._under_plain_kernels(group, rows)
        done, begin = 0, self._clock()
        while True:
            for start in range(0, len(group) - min(rows, len(group)) + 1, min(rows, len(group))):
                self._ask_some(group, rows, start)
                done += _asked_of(group, rows)
                if (elapsed := self._clock() - begin) > seconds:
                    return done / elapsed

    def _under_plain_kernels(self, group: QueryGroup, rows: int) -> None:
        """As many times the plain kernels as a pass of so many rows has keys."""
        if self.layer is not None:
            weight = self.layer.plain_weight
            stack = rows // min(rows, len(group))
            self.layer.kernels = weight[None].to(self.device, self.dtype).expand(stack, *weight.shape)

    def _ask_some(self, group: QueryGroup, rows: int, start: int) -> None:
        """One pass over ``rows`` rows from segment ``start`` on."""
        batch = min(rows, len(group))
        x = group.segments[start : start + batch]
        self._asked(self.model, x if self.layer is not None else x.repeat(rows // batch, *[1] * (x.ndim - 1)))

    def _clock(self) -> float:
        return clock(self.device)


def _expected_peak(peaks: Sequence[tuple[int, int]], rows: int) -> float:
    """Bytes of a pass of so many rows, on the line through the last two pairs of rows and bytes.

    A part of what a pass takes, such as weights in another precision, is the same for any number of rows.
    """
    (few, less), (more, last) = [(0, 0), (0, 0), *peaks][-2:]
    return last + (last - less) * (rows - more) / max(more - few, 1)


def _asked_of(group: QueryGroup, rows: int) -> int:
    """Rows of a pass of at most ``rows``: some segments, or all of them under several keys."""
    batch = min(rows, len(group))
    return rows // batch * batch


def rotated(x: Tensor, rotations: Tensor, key_cut: KeyCut) -> Tensor:
    """``encrypt_query`` of ``x (batch, …)`` under ``(keys, N, N)`` on its device: ``(keys, batch, …)``.

    Whether the queries are finite was looked at when they were read: to look again would make the host wait for the
    device in every pass.
    """
    blocks = rows_of(x, key_cut)
    keys, size, _ = rotations.shape
    beside = rotations.transpose(0, 1).reshape(size, keys * size)  # one wide product, and not one for each key
    product = blocks.reshape(-1, size).to(rotations.dtype) @ beside
    return speech_of(product.to(x.dtype).reshape(*blocks.shape[:-1], keys, size).movedim(-2, 0), key_cut)


def cut_bins(rotated: Tensor, plain: Tensor) -> Tensor:
    """``rotated (keys, batch, …)`` without the zeros that its blocks needed beyond the extent of ``plain``."""
    return cut(rotated, plain.ndim - 1, tuple(plain.shape[1:])) if rotated.shape[1:] != plain.shape else rotated


def _keyed(model: Model) -> tuple[Model, KeyedFirstLayer]:
    """A copy of the model whose first layer answers for several keys, and that layer."""
    layer = model.network.get_submodule(model.first_layer)
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    keyed = KeyedFirstLayer(copy.deepcopy(layer))
    return with_first_layer(model, keyed), keyed


def _passes(keys: int, segments: int, rows: int) -> Iterator[tuple[slice, slice]]:
    """Cut keys × segments into passes of at most ``rows``; keys are stacked once all segments fit."""
    batch = min(rows, segments)
    stack = max(rows // batch, 1)
    for k in range(0, keys, stack):
        for s in range(0, segments, batch):
            yield slice(k, min(k + stack, keys)), slice(s, min(s + batch, segments))
