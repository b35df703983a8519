"""The score files of a run folder, read and checked: one row per key, condition and metric. Imports no torch.

`scores/conditions.parquet` holds the conditions that have no key of their own, `scores/incorrect-START-STOP.parquet`
every metric of the incorrect keys `[START, STOP)`: of one shard, or of the shards that its groups name, where it is
compacted (`wrongkey.evaluation.run_folder.groups`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.groups import Lost, Rows, ShardMark, read_groups
from wrongkey.evaluation.run_folder.key_ranges import KeyRanges
from wrongkey.evaluation.run_folder.score_rows import (
    SCORE_COLUMNS,
    TEXTS,
    check_conditions,
    check_keys,
    checked,
    coded,
)
from wrongkey.evaluation.run_folder.tables import (
    Damaged,
    Seal,
    Sealed,
    check_seal,
    identity_digest,
    key_range,
    read_content,
    read_seal,
    read_table,
    table_files,
)

REMEDY = "the same wrongkey sweep command makes it again"
CONDITIONS_FILE = "conditions"
TRIES = 20  # of listing a folder whose files a running sweep compacts meanwhile


class Part(NamedTuple):
    """A score file, or a group of a compacted one.

    Attributes
    ----------
    path, seal
        The file, and what it says about itself; None of an older wrongkey's.
    shards : tuple of ShardMark
        What it holds, or should; empty of conditions, and of a file of which nothing can be trusted.
    table : pyarrow.Table or None
        Its checked rows; None where it cannot be used.
    fault : Damaged or None
        Why it cannot be used.
    spare : bool
        Whether a compacted file holds the same shards: a compaction was stopped before it removed this one.
    """

    path: Path
    seal: Seal | None
    shards: tuple[ShardMark, ...] = ()
    table: pa.Table | None = None
    fault: Damaged | None = None
    spare: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether the rows were without a checksum for some time."""
        return self.seal is None or self.seal.adopted


class Vanished(Exception):
    """A file was listed and is gone: a running sweep has compacted it meanwhile."""


def read_scores(
    folder: Path, manifest: Mapping[str, Any] | None, metric: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Read all score rows of a run folder.

    Parameters
    ----------
    folder
        The run folder.
    manifest
        The run's (`wrongkey.evaluation.run_folder.schema.read_manifest`); without one only the files themselves are
        checked.
    metric
        Its rows only; None keeps all.

    Returns
    -------
    rows : pandas.DataFrame
        With the columns `SCORE_COLUMNS`, those of text as categories: some 40 bytes a row.
    cautions : list of str
        What a reader must know about the files, in sentences.

    Raises
    ------
    BadInput
        If a file is damaged or its rows belong to another run; the sentence names it.
    """
    for _ in range(TRIES):
        try:
            return _read_scores(folder, manifest, metric)
        except Vanished:
            continue
    raise BadInput(f"{folder} changes all the time: read it when the sweep that writes it has ended.")


def _read_scores(
    folder: Path, manifest: Mapping[str, Any] | None, metric: str | None
) -> tuple[pd.DataFrame, list[str]]:
    kept, files = _Kept(metric), dict[Path, Part]()
    for part in score_parts(folder, manifest):
        if part.fault is not None:
            if not os.path.lexists(part.path):
                raise Vanished
            raise BadInput(f"{part.path} is broken ({part.fault}): {REMEDY}.")
        if part.table is not None:
            kept.add(part.table)
            files[part.path] = part._replace(table=None)
    return kept.frame(), old_files(list(files.values()), "scores")


class _Kept:
    """Rows under collection, in as few bytes as they need: a run may have ten million."""

    def __init__(self, metric: str | None) -> None:
        self._metric = metric
        self._names: dict[str, dict[str, int]] = {name: {} for name in TEXTS}
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in SCORE_COLUMNS}

    def add(self, table: pa.Table) -> None:
        if self._metric is not None:
            names, codes = coded(table["metric"])
            table = table.filter(pa.array(codes == names.index(self._metric) if self._metric in names else codes < 0))
        for name in SCORE_COLUMNS:
            if name in TEXTS:
                names, codes = coded(table[name])
                known = self._names[name]
                new = np.array([known.setdefault(one, len(known)) for one in names], dtype=np.int16)
                self._columns[name].append(new[codes])
            else:
                numbers = table[name].to_numpy()
                if np.issubdtype(numbers.dtype, np.integer):  # of floats it would round those that are nearly whole
                    numbers = pd.to_numeric(pd.Series(numbers), downcast="integer").to_numpy()
                self._columns[name].append(numbers)

    def frame(self) -> pd.DataFrame:
        if not self._columns["value"]:
            return pd.DataFrame(columns=SCORE_COLUMNS)
        found: dict[str, Any] = {}
        for name in SCORE_COLUMNS:
            together = np.concatenate(self._columns.pop(name))
            found[name] = pd.Categorical.from_codes(together, list(self._names[name])) if name in TEXTS else together
        return pd.DataFrame(found, copy=False)


def old_files(found: Sequence[Part | Sealed], what: str) -> list[str]:
    """Return the sentence about files that an older wrongkey wrote, if there are any; `found` has one of each file."""
    old = sum(one.doubtful for one in found)
    if not old:
        return []
    some = f"Its {what} are" if old == len(found) else f"{old} of its {len(found)} files of {what} are"
    return [f"{some} from an older wrongkey, without checksums: a change to them would not show."]


def measured(folder: Path) -> frozenset[str]:
    """Return the metrics of the plain model: only they say what a file without a checksum must hold."""
    try:
        table = read_table(folder / "scores" / "conditions.parquet", None, "scores", sealed=False).table
    except (Damaged, BadInput):
        return frozenset()
    return frozenset(map(str, table["metric"])) if "metric" in table else frozenset()


def shard_name(start: int, stop: int) -> str:
    """Return the file name, without its ending, of the scores of keys from `start` to before `stop`."""
    return f"incorrect-{start:08d}-{stop:08d}"


def score_parts(folder: Path, manifest: Mapping[str, Any] | None) -> Iterator[Part]:
    """Yield every score file, and of a compacted one every group, one by one: no key is in two sound ones.

    Parameters
    ----------
    folder, manifest
        As of `read_scores`.

    Raises
    ------
    BadInput
        If the disk prevents reading.
    """
    place = folder / "scores"
    files = {path: key_range(path.stem) for path in table_files(place)}
    conditions = [path for path in files if path.stem == CONDITIONS_FILE]
    for path in conditions:
        yield read_conditions(path, manifest)
    metrics, held, merged = measured(folder), KeyRanges(), set[ShardMark]()
    # Of files with the same first key a compacted one comes before what it was made of.
    order = sorted(set(files) - set(conditions), key=lambda path: _first_and_last(files[path]))
    for path in order:
        for part in file_parts(path, manifest, metrics, merged):
            if part.table is None:
                yield part
            elif any(held.meets(start, stop) for start, stop, _ in part.shards):
                yield part._replace(table=None, fault=Damaged("another shard holds its keys too"))
            else:
                for start, stop, _ in part.shards:
                    held.add(start, stop)
                if part.seal is not None and part.seal.groups:
                    merged.update(part.shards)
                yield part


def read_conditions(path: Path, manifest: Mapping[str, Any] | None) -> Part:
    """Read the conditions without a key; a damaged file has a `fault`."""
    manifest, seal = manifest or {}, None
    try:
        content, seal = read_content(path, _run(manifest), "scores", sealed=_sealed(manifest), texts=TEXTS)
        table = checked(content, manifest)
        check_conditions(table)
    except Damaged as fault:
        return Part(path, seal, fault=fault)
    return Part(path, seal, table=table)


def file_parts(
    path: Path,
    manifest: Mapping[str, Any] | None,
    metrics: frozenset[str] = frozenset(),
    merged: Set[ShardMark] = frozenset(),
) -> Iterator[Part]:
    """Yield the parts of one file of incorrect keys.

    Parameters
    ----------
    path, manifest
        The file, and what the manifest of its run says.
    metrics
        Those that keys must have if no checksum shows whether some are gone.
    merged
        The shards of compacted files: a file that holds nothing else is spare.
    """
    manifest, keys = manifest or {}, key_range(path.stem)
    seal: Seal | None = None
    shards: tuple[ShardMark, ...] = ()
    try:
        if keys is None:  # no wrongkey with checksums writes such a file
            content, seal = read_content(path, None, "scores", sealed=_sealed(manifest), texts=TEXTS)
            if seal is not None:
                raise Damaged("its name gives neither conditions nor keys")
            yield Part(path, None, (), checked(content, manifest))
            return
        if path.stem != shard_name(*keys):
            raise Damaged("its name does not give its keys")
        seal = read_seal(path)
        shards = _shards(seal, keys)
        if seal is not None and merged >= set(shards):
            check_seal(path, seal, _run(manifest), "scores")
            yield Part(path, seal, shards, spare=True)
        elif seal is not None and seal.groups:
            yield from _grouped(path, seal, manifest)
        else:
            yield _shard(path, keys, shards, manifest, metrics)
    except Damaged as fault:
        yield Part(path, seal, shards, fault=fault)


def _grouped(path: Path, seal: Seal, manifest: Mapping[str, Any]) -> Iterator[Part]:
    for found in read_groups(path, _run(manifest), "scores", TEXTS):
        fault, table = found.reason if isinstance(found, Lost) else None, None
        if isinstance(found, Rows):
            try:
                table = checked(found.table, manifest)
                check_keys(table, [shard[:2] for shard in found.shards], manifest)
            except Damaged as reason:
                fault, table = reason, None
        yield Part(path, seal, found.shards, table, fault)


def _shard(
    path: Path,
    keys: tuple[int, int],
    shards: tuple[ShardMark, ...],
    manifest: Mapping[str, Any],
    metrics: frozenset[str],
) -> Part:
    content, seal = read_content(path, _run(manifest), "scores", sealed=_sealed(manifest), texts=TEXTS)
    table = checked(content, manifest)
    check_keys(table, [keys], manifest)
    if seal is None and (gone := metrics - set(coded(table["metric"])[0])):
        raise Damaged(f"its {min(gone)} is gone")
    return Part(path, seal, shards, table)


def _shards(seal: Seal | None, keys: tuple[int, int]) -> tuple[ShardMark, ...]:
    if seal is not None and seal.groups:
        return tuple(shard for group in seal.groups for shard in group.shards)
    return ((*keys, seal.mark if seal is not None else ""),)


def _first_and_last(keys: tuple[int, int] | None) -> tuple[int, int]:
    return (0, 0) if keys is None else (keys[0], -keys[1])


def _run(manifest: Mapping[str, Any]) -> str | None:
    return identity_digest(manifest["identity"]) if manifest.get("identity") else None


def _sealed(manifest: Mapping[str, Any]) -> bool:
    return bool(manifest.get("tables"))
