"""The networks that benchmarks ask, a row of each, and how long a call takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor

from wrongkey.evaluation.models import packed_linear
from wrongkey.evaluation.models.adapters.rawnext import SEGMENT, RawNeXtModel
from wrongkey.evaluation.models.adapters.rawnext_folded import FoldedRawNeXt
from wrongkey.evaluation.models.adapters.rawnext_network import RawNeXt
from wrongkey.evaluation.models.registry import open_model

BATCHES = (1, 2, 4, 8, 16)
SECONDS = 4  # of speech that the bundled models are asked about
WAYS = ("embed", "classify", "encode")


class Network(NamedTuple):
    """A model, the name of its function that is asked, and one row that it is asked about."""

    name: str
    model: Any
    way: str
    row: Tensor

    @property
    def ask(self) -> Callable[[Tensor], Any]:
        """The function that is asked."""
        found: Callable[[Tensor], Any] = getattr(self.model, self.way)
        return found


def networks(asked: Sequence[str], whisper: Path | None) -> Iterator[Network]:
    """Each network that was asked for: bundled models by name, ``rawnext`` with random weights, Whisper's encoder."""
    noise = 0.1 * torch.randn(SECONDS * 16_000)
    for name in asked:
        if name == "rawnext":
            rawnext = RawNeXtModel(FoldedRawNeXt(RawNeXt().eval()).eval().requires_grad_(False))
            yield Network("RawNeXt, 20.3 M parameters", rawnext, "embed", 0.1 * torch.randn(1, SEGMENT))
        else:
            yield _opened(name, name, noise)
    if whisper is not None:
        yield _opened(f"{whisper.name}, encoder", f"whisper:{whisper}", noise)


def _opened(shown: str, name: str, noise: Tensor) -> Network:
    model = open_model(name)
    way = next(way for way in WAYS if hasattr(model, way))
    return Network(shown, model, way, model.segments(model.front_end(noise))[:1])


def unpacked() -> AbstractContextManager[Any]:
    """Linear layers as PyTorch's own operators, whose operations are counted and which a compiler sees."""
    return mock.patch.object(packed_linear, "PACKS", False)


def rows_of(row: Tensor, batch: int) -> Tensor:
    """A row as many times as a batch has rows."""
    return row.repeat(batch, *[1] * (row.ndim - 1))


def best(work: Callable[[], Any], least: float) -> float:
    """Seconds of the fastest of several runs, which take ``least`` seconds together, after one that warms up."""
    work()
    fastest, end = float("inf"), perf_counter() + least
    while True:
        begin = perf_counter()
        work()
        now = perf_counter()
        fastest = min(fastest, now - begin)
        if now > end:
            return fastest
