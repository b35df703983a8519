"""Compacted tables: the rows of many shards in one Parquet file, in row groups that are checked one by one.

A row group holds whole shards, and its seal says which. A damaged group costs the keys of its own shards, and a reader
needs the memory of one group at a time. Imports no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from wrongkey.evaluation.run_folder.tables import (
    METADATA,
    Damaged,
    Group,
    Kind,
    Seal,
    check_seal,
    key_range,
    opened,
    seal_of,
)
from wrongkey.files import atomic_write

GROUP_ROWS = 2**17  # about: row groups of a few megabytes, which Parquet readers skip and fetch well

ShardMark = tuple[int, int, str]  # first key, the key after its last, mark of the seal (`Seal.mark`)


class Rows(NamedTuple):
    """Rows of whole shards."""

    shards: tuple[ShardMark, ...]
    table: pa.Table


class Lost(NamedTuple):
    """Shards whose row group is damaged, and the reason."""

    shards: tuple[ShardMark, ...]
    reason: Damaged


def write_groups(path: Path, parts: Iterable[Rows], run: str, kind: Kind, *, adopted: bool) -> Seal:
    """Write a compacted table with its seal, whole or not at all.

    Parameters
    ----------
    path
        The file, named by the keys of its shards, from the first to the last.
    parts
        One or more, with the same columns; text as dictionaries. Each becomes a row group.
    run, kind, adopted
        As in `Seal`.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    start, stop = key_range(path.stem) or (None, None)
    groups: list[Group] = []
    with atomic_write(path) as file:
        writer: pq.ParquetWriter | None = None
        try:
            for shards, table in parts:
                table = table.replace_schema_metadata(None).unify_dictionaries().combine_chunks()
                if writer is None:
                    writer = pq.ParquetWriter(file, table.schema, write_page_checksum=True, store_schema=False)
                writer.write_table(table, row_group_size=table.num_rows)
                groups.append(Group(shards=shards, rows=table.num_rows, checksum=checksum(table)))
            seal = Seal(
                format="wrongkey-table/2",
                run=run,
                kind=kind,
                name=path.stem,
                start=start,
                stop=stop,
                rows=sum(group.rows for group in groups),
                checksum=_of_groups(groups),
                adopted=adopted,
                groups=tuple(groups),
            )
            assert writer is not None, "a compacted table has a group"
            writer.add_key_value_metadata({METADATA: seal.model_dump_json().encode()})
            writer.close()
        except BaseException:
            if writer is not None:
                with suppress(OSError, pa.ArrowException):  # the first error is the one to tell
                    writer.close()
            raise
    return seal


def read_groups(
    path: Path, run: str | None, kind: Kind, texts: Collection[str], only: Collection[int] | None = None
) -> Iterator[Rows | Lost]:
    """Yield the groups of a compacted table one by one, those that are damaged as `Lost`.

    Parameters
    ----------
    path
        A file whose seal has groups.
    run, kind
        What the seal must say; None takes any run.
    texts
        The columns of text, which are read as dictionaries.
    only
        The numbers of the groups to read; None reads all.

    Raises
    ------
    Damaged
        If nothing of the file can be trusted.
    BadInput
        If the disk or its permissions prevent reading.
    """
    with opened(path, tuple(texts)) as file:
        seal = seal_of(file)
        if seal is None:
            raise Damaged("its checksum is gone")
        _check(path, file, seal, run, kind)
    for number, group in enumerate(seal.groups):
        if only is not None and number not in only:
            continue
        try:
            yield Rows(group.shards, _group(path, number, group, texts))
        except Damaged as reason:
            yield Lost(group.shards, reason)


def checksum(table: pa.Table) -> str:
    """Return the SHA-256 (hexadecimal) of column names and values, of text by its dictionary, in order of appearance.

    Unlike `tables.checksum` it takes no time for text that repeats, and only numbers and text can be columns.
    """
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.combine_chunks().columns, strict=True):
        array = column.chunk(0) if column.num_chunks else pa.array([], column.type)
        for part in (name.encode(), *_values(array)):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()


def _values(array: pa.Array) -> Iterator[bytes]:
    yield np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes()
    array = array.drop_null()
    if pa.types.is_dictionary(array.type):
        order = pc.unique(array.indices)
        rank = np.zeros(len(array.dictionary), dtype="<i4")
        rank[order.to_numpy()] = np.arange(len(order))
        texts = array.dictionary.take(order).to_pylist()
        yield from (b"text", len(texts).to_bytes(8, "little"), *(text.encode() for text in texts))
        yield rank[array.indices.to_numpy()].tobytes()
    else:
        numbers = array.to_numpy(zero_copy_only=False)
        numbers = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)
        yield numbers.dtype.str.encode()
        yield numbers.tobytes()


def _of_groups(groups: Iterable[Group]) -> str:
    return hashlib.sha256("\n".join(group.model_dump_json() for group in groups).encode()).hexdigest()


def _check(path: Path, file: pq.ParquetFile, seal: Seal, run: str | None, kind: Kind) -> None:
    """Raise Damaged where a seal is not that of this file, or its groups are not those of the file."""
    check_seal(path, seal, run, kind)
    rows = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    if rows != [group.rows for group in seal.groups] or sum(rows) != seal.rows:
        raise Damaged(f"it has {sum(rows):,} of its {seal.rows:,} rows")
    if seal.checksum != _of_groups(seal.groups):
        raise Damaged("it does not match its checksum")
    shards = sorted(shard for group in seal.groups for shard in group.shards)
    apart = all(one[1] <= other[0] for one, other in pairwise(shards))
    if not shards or not apart or shards[0][0] != seal.start or shards[-1][1] != seal.stop:
        raise Damaged("its keys are not those of its name")


def _group(path: Path, number: int, group: Group, texts: Collection[str]) -> pa.Table:
    with opened(path, tuple(texts)) as file:
        table = file.read_row_group(number)
        if group.checksum != checksum(table):
            raise Damaged("it does not match its checksum")
        return table
