"""Segments of a corpus in files that processes of a machine map: they read no audio, and share the memory.

The process that reads the corpus writes the files, one for each shape, into a private temporary folder: while it reads
where they are too large for its memory, else for its workers (`for_others`). It removes the folder when they are of no
use any more; who has mapped a file by then keeps it. On another machine of a cluster the first worker does the same for
the others.
"""

from __future__ import annotations

import json
import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.private_folders import made, passed_on, remove_abandoned, removed
from wrongkey.evaluation.queries import InMemory, Queries, QueryGroup, Shape
from wrongkey.files import explained_errors, temporary_folder, write_text_atomically
from wrongkey.stops import held_back

INDEX = "index.json"
REMEDY = "make room there, name another folder in TMPDIR, or raise --memory"


class SegmentFiles:
    """A private temporary folder of segments; it goes with this object, or with the process.

    Parameters
    ----------
    dtype
        The precision in which the segments are kept: that of the engine, which then copies nothing.
    folder
        A folder of ``machine_folder`` that holds no index; None makes one.
    """

    def __init__(self, dtype: torch.dtype, folder: Path | None = None) -> None:
        remove_abandoned()
        with held_back(), explained_errors(folder or temporary_folder(), REMEDY):
            self.folder, lock = made(folder)
            self._end = weakref.finalize(self, removed, self.folder, lock, os.getpid())
            for left in self.folder.glob("*x*"):  # by a process that was killed while it wrote
                left.unlink()
        self._dtype = dtype

    def append(self, segments: Tensor) -> None:
        """Put segments behind those of the same shape."""
        self._extend(segments.shape, segments)

    def _extend(self, shape: Shape, segments: Tensor) -> None:
        content = segments.to(self._dtype).contiguous().flatten().view(torch.uint8).numpy()
        with explained_errors(self.folder, REMEDY), _file(self.folder, shape).open("ab") as file:
            file.write(content.data)

    def write(self, queries: Queries, seconds: float) -> None:
        """Write queries that were made before, and their index."""
        for group in queries.groups:
            self._extend(group.of_one, group.segments)
        self.write_index(queries, seconds)

    def joined(self, shape: Shape) -> Tensor:
        """All segments of a shape, one behind the other, mapped."""
        return _mapped(self.folder, shape, self._dtype)

    def write_index(self, queries: Queries, seconds: float) -> None:
        """Write what another process needs to map the same queries: see ``mapped_queries``."""
        groups = [(group.of_one, group.utterance.tolist()) for group in queries.groups]
        index = {"dtype": str(self._dtype).removeprefix("torch."), "seconds": seconds, "groups": groups}
        with explained_errors(self.folder, REMEDY):
            write_text_atomically(self.folder / INDEX, json.dumps(index))


def for_others(queries: Queries, dtype: torch.dtype, seconds: float) -> SegmentFiles | None:
    """Files of the queries that this process holds in its memory; None where there is no room for twice as much."""
    with suppress(OSError, BadInput):  # SegmentFiles says what is wrong there
        if shutil.disk_usage(temporary_folder()).free < 2 * queries.elements * dtype.itemsize:
            return None
    try:
        files = SegmentFiles(dtype)
        files.write(queries, seconds)
    except BadInput:
        return None
    return files


class Spooled:
    """Segments in memory as long as they are no more than ``most`` bytes, and all of them in files from then on."""

    def __init__(self, most: float, dtype: torch.dtype, folder: Path | None = None) -> None:
        self.files: SegmentFiles | None = None
        self._most, self._dtype, self._folder, self._bytes = most, dtype, folder, 0
        self._held = InMemory()

    def append(self, segments: Tensor) -> None:
        """Put segments behind those of the same shape."""
        self._bytes += segments.numel() * self._dtype.itemsize
        if self.files is None and self._bytes > self._most:
            self.files = SegmentFiles(self._dtype, self._folder)
            for part in self._held.all():
                self.files.append(part)
        (self.files or self._held).append(segments.to(self._dtype))

    def joined(self, shape: Shape) -> Tensor:
        """All segments of a shape, one behind the other."""
        return (self.files or self._held).joined(shape)


@contextmanager
def machine_folder(name: str) -> Iterator[Path]:
    """A private folder of temporary files by its name, or by its path, for one process of this machine at a time."""
    with ExitStack() as end:
        with explained_errors(temporary_folder() / name, REMEDY):
            folder = end.enter_context(passed_on(name))
        yield folder


def mapped_queries(folder: Path) -> tuple[Queries, float] | None:
    """The queries that another process keeps in a folder, and the seconds of speech in them; None where it has none."""
    try:
        index = json.loads((folder / INDEX).read_text())
        dtype = getattr(torch, index["dtype"])
        groups = tuple(
            QueryGroup(_mapped(folder, tuple(shape), dtype), torch.tensor(utterance))
            for shape, utterance in index["groups"]
        )
    except FileNotFoundError:  # not written, or removed at this moment
        return None
    return Queries(groups), index["seconds"]


def _file(folder: Path, shape: Shape) -> Path:
    return folder / "x".join(map(str, shape))


def _mapped(folder: Path, shape: Shape, dtype: torch.dtype) -> Tensor:
    """The segments ``(utterances · pieces, …)`` of a shape; whoever writes to them has a copy of the page."""
    file, of_one = _file(folder, shape), prod(shape[1:])
    count = file.stat().st_size // dtype.itemsize
    if not count:  # queries that are shorter than a block: whoever asks them says so
        return torch.empty(0, *shape[1:], dtype=dtype)
    try:
        return torch.from_file(str(file), shared=False, size=count, dtype=dtype).view(count // of_one, *shape[1:])
    except RuntimeError as error:  # PyTorch's way to say that it is gone
        if file.exists():
            raise
        raise FileNotFoundError(f"{file} is gone.") from error
