"""Many small score files become few: a million keys are some ten files, not thousands. Imports no torch.

A compacted file is written whole and flushed to the disk before its sources are removed. Whoever finds both, since a
compaction was killed in between, recognises the sources by their keys and checksums and passes over them
(`wrongkey.evaluation.run_folder.scores.score_parts`).
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from wrongkey.evaluation.run_folder.groups import GROUP_ROWS, Rows, ShardMark, read_groups, write_groups
from wrongkey.evaluation.run_folder.score_rows import TEXTS, coded
from wrongkey.evaluation.run_folder.scores import file_parts, shard_name
from wrongkey.evaluation.run_folder.tables import (
    ASIDE,
    Damaged,
    Seal,
    identity_digest,
    key_range,
    read_seal,
    table_files,
)
from wrongkey.files import atomic_write

FILE_ROWS = 2**20  # of a full file: 95,000 keys of 11 metrics, some 30 MB; one of half as many is left as it is
MANY = 64  # shards in files of their own, from which on a sweep compacts while it runs
FEW = 16  # the same at the end of a sweep: a small run keeps the files that it wrote


class _Source(NamedTuple):
    path: Path
    seal: Seal


class _Unusable(Exception):
    """A source that is damaged, or has columns of other types: it stays as it is."""


def shard_files(folder: Path) -> list[Path]:
    """List the score files of incorrect keys in a run folder."""
    return [path for path in table_files(folder / "scores") if key_range(path.stem)]


def compact(folder: Path, manifest: Mapping[str, Any]) -> list[Path]:
    """Merge the small score files of a run folder, which nobody else writes.

    Parameters
    ----------
    folder, manifest
        The run folder and what its manifest says.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    OSError, BadInput
        If the disk refuses. Nothing is lost then.
    """
    written = []
    for batch in _batches(_small(folder)):
        merged = _merge(batch, manifest)
        if merged is not None:
            written.append(merged)
    return written


def keep_sound(damaged: Mapping[Path, Collection[tuple[ShardMark, ...]]], run: str) -> None:
    """Write the sound groups of damaged compacted files anew, and set the files aside.

    Parameters
    ----------
    damaged
        The shards of each group that is sound, of one or more, for each file.
    run
        The digest of the run's identity.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    # all are set aside before one is written, which may get the name that another has
    asides = {path: _copied_aside(path) for path in damaged}
    written = {_sound_alone(path, asides[path], sound, run) for path, sound in damaged.items()}
    for path in damaged.keys() - written:
        path.unlink()


def _copied_aside(path: Path) -> Path:
    aside = path.with_name(path.name + ASIDE)
    with path.open("rb") as damaged, atomic_write(aside) as copy:
        shutil.copyfileobj(damaged, copy)
    return aside


def _sound_alone(path: Path, aside: Path, sound: Collection[tuple[ShardMark, ...]], run: str) -> Path:
    """Write the sound groups of a file that was set aside into one beside it, and return that."""
    seal = read_seal(aside)
    assert seal is not None, "a compacted file has a seal"
    kept = [number for number, group in enumerate(seal.groups) if group.shards in sound]
    shards = [shard for number in kept for shard in seal.groups[number].shards]
    new = path.with_name(f"{_name(shards)}.parquet")
    groups = (found for found in read_groups(aside, run, "scores", TEXTS, kept) if isinstance(found, Rows))
    write_groups(new, groups, run, "scores", adopted=seal.adopted)
    return new


def _small(folder: Path) -> list[_Source]:
    """Files that are worth merging, by their first keys."""
    found = []
    for path in shard_files(folder):
        with suppress(Damaged):  # the next sweep sets it aside
            seal = read_seal(path)
            if seal is not None and seal.rows < FILE_ROWS // 2:
                found.append(_Source(path, seal))
    return sorted(found, key=lambda source: key_range(source.path.stem) or (0, 0))


def _batches(sources: Sequence[_Source]) -> Iterator[list[_Source]]:
    """Yield the files that become one. Rows that were without a checksum once are not mixed with others."""
    for adopted in (False, True):
        batch: list[_Source] = []
        for source in sources:
            if source.seal.adopted == adopted:
                batch.append(source)
            if sum(one.seal.rows for one in batch) >= FILE_ROWS:
                yield batch
                batch = []
        yield batch


def _merge(batch: Sequence[_Source], manifest: Mapping[str, Any]) -> Path | None:
    """Merge files, without those that turn out to be unusable; None where fewer than two are left."""
    sources = list(batch)
    while len(sources) > 1:
        try:
            return _merged(sources, manifest)
        except _Unusable as error:
            sources = [source for source in sources if source.path != error.args[0]]
    return None


def _merged(sources: Sequence[_Source], manifest: Mapping[str, Any]) -> Path:
    shards = [shard for source in sources for shard in _shards(source)]
    folder = sources[0].path.parent
    path = folder / f"{_name(shards)}.parquet"
    write_groups(
        path,
        _grouped(sources, manifest),
        identity_digest(manifest["identity"]),
        "scores",
        adopted=sources[0].seal.adopted,
    )
    for source in sources:
        if source.path != path:
            source.path.unlink()
    return path


def _grouped(sources: Sequence[_Source], manifest: Mapping[str, Any]) -> Iterator[Rows]:
    """Yield the rows of the sources as groups: of some size, and of shards that measured the same."""
    waiting: list[Rows] = []
    schema: pa.Schema | None = None
    metrics: set[str] = set()
    for source in sources:
        for part in file_parts(source.path, manifest):
            schema = schema or (part.table.schema if part.table is not None else None)
            if part.table is None or part.table.schema != schema:
                raise _Unusable(source.path)
            new = set(coded(part.table["metric"])[0])
            rows = sum(one.table.num_rows for one in waiting)
            if waiting and (new != metrics or rows + part.table.num_rows > GROUP_ROWS):
                yield _joined(waiting)
                waiting = []
            metrics = new
            waiting.append(Rows(part.shards, part.table))
    yield _joined(waiting)


def _joined(waiting: Sequence[Rows]) -> Rows:
    shards = tuple(shard for one in waiting for shard in one.shards)
    return Rows(shards, pa.concat_tables([one.table for one in waiting]))


def _shards(source: _Source) -> list[ShardMark]:
    if source.seal.groups:
        return [shard for group in source.seal.groups for shard in group.shards]
    return [(*(key_range(source.path.stem) or (0, 0)), source.seal.mark)]


def _name(shards: Sequence[ShardMark]) -> str:
    return shard_name(min(shard[0] for shard in shards), max(shard[1] for shard in shards))
