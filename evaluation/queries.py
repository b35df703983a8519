"""The corpus as an engine asks it: the segments of all utterances, grouped by shape."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut

Shape = tuple[int, ...]


@dataclass(frozen=True)
class QueryGroup:
    """Queries of one shape: ``segments (utterances · pieces, …)``, the pieces of ``utterance[i]`` side by side."""

    segments: Tensor
    utterance: Tensor

    def __len__(self) -> int:
        return len(self.segments)

    @property
    def pieces(self) -> int:
        """Segments of each utterance."""
        return len(self.segments) // len(self.utterance)

    @property
    def of_one(self) -> Shape:
        """Shape of the segments of one utterance."""
        return self.pieces, *self.segments.shape[1:]

    @property
    def elements(self) -> int:
        """Elements of a segment."""
        return self.segments.shape[1:].numel()

    def to(self, device: torch.device, dtype: torch.dtype) -> QueryGroup:
        """The same queries on a device, in a precision."""
        return QueryGroup(self.segments.to(device, dtype), self.utterance.to(device))

    def among(self, utterances: Sequence[int]) -> QueryGroup | None:
        """The queries of those ``utterances`` that are in this group, numbered by their place there; else None."""
        place = {utterance: number for number, utterance in enumerate(utterances)}
        rows = [row for row, utterance in enumerate(self.utterance.tolist()) if utterance in place]
        if not rows:
            return None
        segments = self.segments.reshape(-1, self.pieces, *self.segments.shape[1:])[rows].flatten(0, 1)
        numbers = [place[int(self.utterance[row])] for row in rows]
        return QueryGroup(segments, torch.tensor(numbers, device=self.utterance.device))


@dataclass(frozen=True)
class Queries:
    """All queries that an engine asks; every utterance is in one of the groups."""

    groups: tuple[QueryGroup, ...]

    @property
    def utterances(self) -> int:
        """Number of utterances."""
        return sum(len(group.utterance) for group in self.groups)

    @property
    def segments(self) -> int:
        """Number of segments."""
        return sum(len(group) for group in self.groups)

    @property
    def elements(self) -> int:
        """Elements of all segments, which the time and memory of asking about them grow with."""
        return sum(group.segments.numel() for group in self.groups)

    @property
    def most(self) -> QueryGroup:
        """The group with the most elements."""
        return max(self.groups, key=lambda group: group.segments.numel())

    def to(self, device: torch.device, dtype: torch.dtype) -> Queries:
        """The same queries on a device, in a precision."""
        return Queries(tuple(group.to(device, dtype) for group in self.groups))

    def first(self, segments: int) -> Queries:
        """The first utterances of the largest group, at least ``segments`` segments where it has that many."""
        group = max(self.groups, key=len)
        count = -(-min(segments, len(group)) // group.pieces)
        numbers = torch.arange(count, device=group.utterance.device)
        return Queries((QueryGroup(group.segments[: count * group.pieces], numbers),))

    def probe(self, segments: int) -> Queries:
        """The first utterances of the group with the most elements, at least ``segments`` segments where it has them.

        It takes most of the time: what it does says how much all take.
        """
        return Queries((self.most,)).first(segments)

    def among(self, utterances: Sequence[int]) -> Queries:
        """The queries of some utterances, by number, in that order."""
        return Queries(tuple(some for group in self.groups if (some := group.among(utterances)) is not None))

    def doubled(self) -> Queries:
        """The utterances of the first group, and the same again behind them."""
        group = self.groups[0]
        again = group.utterance + len(group.utterance)
        return Queries((QueryGroup(torch.cat([group.segments] * 2), torch.cat([group.utterance, again])),))

    def by_group(self) -> list[Queries]:
        """Each group by itself, its utterances numbered from 0."""
        return [
            Queries((QueryGroup(g.segments, torch.arange(len(g.utterance), device=g.utterance.device)),))
            for g in self.groups
        ]


PART = 1 << 26  # bytes of a part of the segments in memory


class Keeping(Protocol):
    """Where segments are kept while a corpus is read."""

    def append(self, segments: Tensor) -> None:
        """Put segments behind those of the same shape."""

    def joined(self, shape: Shape) -> Tensor:
        """All segments of a shape, one behind the other."""


class InMemory:
    """Segments in the memory of this process, copied from whatever they are a part of.

    They lie in parts that are returned to the system one by one as they are joined: a list of small tensors would take
    the memory twice, and leave it with the process.
    """

    def __init__(self) -> None:
        self._held: dict[Shape, deque[_Part]] = {}

    def append(self, segments: Tensor) -> None:
        """Put segments behind those of the same shape."""
        parts = self._held.setdefault(tuple(segments.shape), deque())
        if not parts or parts[-1].is_full:
            most = max(PART // max(segments.nbytes, 1), 1)
            parts.append(_Part(segments, min(2 * len(parts[-1].room), most) if parts else 1))
        parts[-1].append(segments)

    def joined(self, shape: Shape) -> Tensor:
        """All segments of a shape, one behind the other; they are no longer kept here."""
        parts = self._held.pop(shape)
        joined = torch.empty((sum(part.rows for part in parts), *shape[1:]), dtype=parts[0].room.dtype)
        begin = 0
        while parts:
            content = parts.popleft().content()
            joined[begin : begin + len(content)] = content
            begin += len(content)
        return joined

    def all(self) -> Iterator[Tensor]:
        """What was appended, one shape after another; it is no longer kept here."""
        while self._held:
            parts = self._held.popitem()[1]
            while parts:
                yield from parts.popleft().utterances()


class _Part:
    """Room for the segments of some utterances, all of one shape: `room (utterances, pieces, …)`."""

    def __init__(self, like: Tensor, utterances: int) -> None:
        self.room, self.filled = like.new_empty((utterances, *like.shape)), 0

    @property
    def is_full(self) -> bool:
        return self.filled == len(self.room)

    @property
    def rows(self) -> int:
        return self.filled * self.room.shape[1]

    def append(self, segments: Tensor) -> None:
        self.room[self.filled] = segments
        self.filled += 1

    def content(self) -> Tensor:
        return self.room[: self.filled].flatten(0, 1)

    def utterances(self) -> Iterator[Tensor]:
        return iter(self.room[: self.filled])


def group_queries(segments: Iterable[Tensor], cut: KeyCut, whole: bool, keeping: Keeping | None = None) -> Queries:
    """Sort the segments ``(pieces_i, …)`` of utterances ``i`` into groups of equal shape and number.

    ``whole`` says that the first layer reads whole blocks only: what is behind the last one, along each axis that the
    key cuts, is left out. Any other layer reads the tail too: time is padded with zeros to a whole block. ``keeping``
    has them while they come, and joins them; None keeps them in memory.
    """
    keeping = keeping or InMemory()
    numbers: dict[Shape, list[int]] = {}
    for index, pieces in enumerate(segments):
        fitted = _cut_tail(pieces, cut) if whole else _pad_tail(pieces, cut)
        numbers.setdefault(tuple(fitted.shape), []).append(index)
        keeping.append(fitted)
    return Queries(tuple(QueryGroup(keeping.joined(shape), torch.tensor(numbers[shape])) for shape in sorted(numbers)))


def check_bins(model: Model, segments: Tensor, cut: KeyCut) -> None:
    """Refuse tiles that do not fill the bins of ``segments (…, bins, frames)`` before an overlapping Conv2d.

    The layer would answer to the zeros that fill a tile with more rows, which the rest of the network is not made for.
    Raises BadInput.
    """
    layer = model.network.get_submodule(model.first_layer)
    if cut.blocks is not Blocks.TILES or not isinstance(layer, nn.Conv2d) or cut.reads_whole(layer):
        return
    if segments.shape[-2] % cut.lengths[0]:
        raise BadInput(
            f"{model.name} reads {segments.shape[-2]} bins, which tiles of {cut.lengths[0]} do not fill: "
            "give a block size that divides them."
        )


def _cut_tail(pieces: Tensor, cut: KeyCut) -> Tensor:
    for axis, length in zip(cut.axes, cut.lengths, strict=True):
        pieces = pieces.narrow(axis, 0, pieces.shape[axis] // length * length)
    return pieces


def _pad_tail(pieces: Tensor, cut: KeyCut) -> Tensor:
    missing = -pieces.shape[-1] % cut.steps
    return nn.functional.pad(pieces, (0, missing)) if missing else pieces
