"""Segments of a long corpus in files, which all processes of a machine map: they are in its memory once.

The process that reads the corpus writes the files, one for each shape, into a private temporary folder, and removes it
when it ends. The folder of a process that was killed goes when the next one makes its own: a lock, which ends with its
owner, says which folders are in use.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from wrongkey.evaluation.queries import InMemory, Queries, QueryGroup, Shape
from wrongkey.files import explained_errors

PREFIX = "wrongkey-segments-"
INDEX, LOCK = "index.json", "lock"
REMEDY = "make room there, name another folder in TMPDIR, or raise --memory"
UNLOCKED_SECONDS = 60.0  # after which a folder without a locked file is of no process that is about to lock it


class SegmentFiles:
    """A private temporary folder of segments; it goes with this object, or with the process.

    Parameters
    ----------
    dtype
        The precision in which the segments are kept: that of the engine, which then copies nothing.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        _remove_abandoned()
        with explained_errors(Path(tempfile.gettempdir()), REMEDY):
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            lock = FileLock(self.folder / LOCK)
            lock.acquire(timeout=0)
        self._end = weakref.finalize(self, _remove, self.folder, lock)
        self._dtype = dtype

    def append(self, segments: Tensor) -> None:
        """Put segments behind those of the same shape."""
        content = segments.to(self._dtype).contiguous().flatten().view(torch.uint8).numpy()
        with explained_errors(self.folder, REMEDY), _file(self.folder, segments.shape).open("ab") as file:
            file.write(content.data)

    def joined(self, shape: Shape) -> Tensor:
        """All segments of a shape, one behind the other, mapped."""
        return _mapped(self.folder, shape, self._dtype)

    def write_index(self, queries: Queries, seconds: float) -> None:
        """Write what another process needs to map the same queries: see ``mapped_queries``."""
        groups = [((group.pieces, *group.segments.shape[1:]), group.utterance.tolist()) for group in queries.groups]
        index = {"dtype": str(self._dtype).removeprefix("torch."), "seconds": seconds, "groups": groups}
        with explained_errors(self.folder, REMEDY):
            (self.folder / INDEX).write_text(json.dumps(index))


class Spooled:
    """Segments in memory as long as they are no more than ``most`` bytes, and all of them in files from then on."""

    def __init__(self, most: float, dtype: torch.dtype) -> None:
        self.files: SegmentFiles | None = None
        self._most, self._dtype, self._bytes = most, dtype, 0
        self._held = InMemory()

    def append(self, segments: Tensor) -> None:
        """Put segments behind those of the same shape."""
        self._bytes += segments.numel() * self._dtype.itemsize
        if self.files is None and self._bytes > self._most:
            self.files = SegmentFiles(self._dtype)
            for part in self._held.all():
                self.files.append(part)
        (self.files or self._held).append(segments)

    def joined(self, shape: Shape) -> Tensor:
        """All segments of a shape, one behind the other."""
        return (self.files or self._held).joined(shape)


def mapped_queries(folder: Path) -> tuple[Queries, float]:
    """The queries that another process of this machine keeps in files, and the seconds of speech in them."""
    with explained_errors(folder, "the process that made it has ended; start again", action="read"):
        index = json.loads((folder / INDEX).read_text())
        dtype = getattr(torch, index["dtype"])
        groups = tuple(
            QueryGroup(_mapped(folder, tuple(shape), dtype), torch.tensor(utterance))
            for shape, utterance in index["groups"]
        )
    return Queries(groups), index["seconds"]


def _file(folder: Path, shape: Shape) -> Path:
    return folder / "x".join(map(str, shape))


def _mapped(folder: Path, shape: Shape, dtype: torch.dtype) -> Tensor:
    """The segments ``(utterances · pieces, …)`` of a shape; whoever writes to them has a copy of the page."""
    file = _file(folder, shape)
    count = file.stat().st_size // dtype.itemsize
    return torch.from_file(str(file), shared=False, size=count, dtype=dtype).view(-1, *shape[1:])


def _remove_abandoned() -> None:
    """Remove the folders of processes that were killed."""
    own = getattr(os, "getuid", int)()
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout):
            about = folder.lstat()
            if about.st_uid != own or folder.is_symlink() or time.time() - about.st_mtime < UNLOCKED_SECONDS:
                continue
            lock = FileLock(folder / LOCK)
            lock.acquire(timeout=0)
            _remove(folder, lock)


def _remove(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.release(force=True)
