"""The Parquet files of a run folder: each says what it is, and a change shows. Imports no torch.

A *seal* in the file's metadata holds the run's identity, the kind of table, its name with the range of keys in it, its
number of rows and a checksum of its content. A file that was edited, cut, renamed, swapped for another run's, emptied
or hit by a flipped bit does not match its seal. The seal guards against accidents and mistakes: anyone who forges a
file can forge its seal.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from wrongkey.errors import BadInput
from wrongkey.files import atomic_write

FORMAT = "wrongkey-table/1"
METADATA = b"wrongkey"
KEYS = re.compile(r"incorrect-(\d{1,15})-(\d{1,15})")
MOST_CELLS = 2**28  # of a file: more than any analysis writes, and what still fits in memory
ASIDE = ".damaged"

Kind = Literal["scores", "outputs", "attack", "analysis", "strength"]


class Damaged(Exception):
    """A table that is not what it claims to be; the message is the reason, for the middle of a sentence."""


class Group(BaseModel):
    """What a compacted table says about one of its row groups.

    Attributes
    ----------
    shards : tuple of (int, int, str)
        The shards whose rows it holds, each with its keys `[start, stop)` and the mark (`Seal.mark`) of its own file.
    rows : int
        How many rows it has.
    checksum : str
        `wrongkey.evaluation.run_folder.groups.checksum` of its content.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    shards: tuple[tuple[int, int, str], ...]
    rows: int
    checksum: str


class Seal(BaseModel):
    """What a table says about itself.

    Attributes
    ----------
    run : str
        `identity_digest` of the run's identity; empty if the table belongs to no run.
    name : str
        The file's name without its ending.
    start, stop : int or None
        The keys in it, if the name has them.
    rows : int
        How many rows it has.
    checksum : str
        `checksum` of its content; of a compacted table that of its groups' seals.
    adopted : bool
        Whether the rows come from a file of an older wrongkey, which had no seal.
    groups : tuple of Group
        Of a compacted table (`wrongkey.evaluation.run_folder.groups`), one per row group; else empty.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    format: Literal["wrongkey-table/1", "wrongkey-table/2"] = "wrongkey-table/1"  # 2: compacted
    run: str
    kind: Kind
    name: str
    start: int | None
    stop: int | None
    rows: int
    checksum: str
    adopted: bool = False
    groups: tuple[Group, ...] = ()

    @property
    def mark(self) -> str:
        """The start of the checksum: what a compacted table remembers of a shard."""
        return self.checksum[:16]


class Sealed(NamedTuple):
    """A table that was read; `seal` is None if an older wrongkey wrote it."""

    table: pd.DataFrame
    seal: Seal | None

    @property
    def doubtful(self) -> bool:
        """Whether the rows were without a checksum for some time."""
        return self.seal is None or self.seal.adopted


def identity_digest(identity: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hexadecimal) of an identity as a manifest holds it."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def key_range(name: str) -> tuple[int, int] | None:
    """Return the keys `[start, stop)` that a file's name gives; None if it gives none.

    Examples
    --------
    >>> key_range("incorrect-00000010-00000020")
    (10, 20)
    """
    found = KEYS.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def table_files(folder: Path) -> list[Path]:
    """List the Parquet files of a folder by name, without hidden ones (a Mac's `._*`, unfinished ones)."""
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def write_table(path: Path, table: pd.DataFrame, run: str, kind: Kind, *, adopted: bool = False) -> Seal:
    """Write a table with its seal, whole or not at all; OSError if the disk refuses."""
    content = pa.Table.from_pandas(table, preserve_index=False)
    start, stop = key_range(path.stem) or (None, None)
    seal = Seal(
        run=run,
        kind=kind,
        name=path.stem,
        start=start,
        stop=stop,
        rows=content.num_rows,
        checksum=checksum(content),
        adopted=adopted,
    )
    metadata = {**(content.schema.metadata or {}), METADATA: seal.model_dump_json().encode()}
    content = content.replace_schema_metadata(metadata)
    with atomic_write(path) as file:
        pq.write_table(content, file, write_page_checksum=True)
    return seal


def read_table(path: Path, run: str | None, kind: Kind, *, sealed: bool) -> Sealed:
    """Read a table and check it against its seal.

    Parameters
    ----------
    path
        The Parquet file.
    run
        The digest that its seal must have; None takes any.
    kind
        The kind of table that its seal must name.
    sealed
        Whether a file without a seal is damaged; otherwise an older wrongkey wrote it.

    Returns
    -------
    Sealed
        The table and its seal.

    Raises
    ------
    Damaged
        If it is not a table, too large, or not what its seal says.
    BadInput
        If the disk or its permissions prevent reading.
    """
    content, seal = read_content(path, run, kind, sealed=sealed)
    try:
        return Sealed(content.to_pandas(ignore_metadata=True), seal)
    except Exception as error:  # whatever a strange type makes of it
        raise Damaged(_line(error)) from None


def read_content(
    path: Path, run: str | None, kind: Kind, *, sealed: bool, texts: Sequence[str] = ()
) -> tuple[pa.Table, Seal | None]:
    """Read and check a table as `read_table`, and leave it as Arrow has it; `texts` are read as dictionaries."""
    with opened(path, texts) as file:
        content, seal = file.read(), seal_of(file)
    if seal is None:
        if sealed:
            raise Damaged("its checksum is gone")
    else:
        check_seal(path, seal, run, kind)
        if seal.rows != content.num_rows:
            raise Damaged(f"it has {content.num_rows:,} of its {seal.rows:,} rows")
        if seal.groups or seal.checksum != checksum(content):
            raise Damaged("it does not match its checksum")
    return content, seal


def read_seal(path: Path) -> Seal | None:
    """Read what a table says about itself, and nothing else of it; None if an older wrongkey wrote it.

    Raises
    ------
    Damaged, BadInput
        As `read_table`, as far as it shows.
    """
    with opened(path) as file:
        return seal_of(file)


def check_columns(table: pd.DataFrame, columns: Sequence[str], texts: Sequence[str]) -> None:
    """Check that a table has these columns and at least one row, and that those named `texts` hold text alone.

    Raises
    ------
    Damaged
        With the reason.
    """
    if missing := [column for column in columns if column not in table.columns]:
        raise Damaged(f"it lacks the columns {', '.join(missing)}")
    if not len(table):
        raise Damaged("it has no rows")
    for column in texts:
        check_text(table[column])


def check_text(column: pd.Series) -> None:
    """Raise Damaged where a column holds anything but text."""
    if isinstance(column.dtype, pd.StringDtype):
        text = column.notna().all()
    else:
        text = column.map(lambda value: isinstance(value, str)).all()
    if not text:
        raise Damaged(f"its {column.name} is not text")


def set_aside(path: Path) -> Path:
    """Give a damaged file a name that no reader takes for a table, and return it; OSError if the disk refuses."""
    return path.replace(path.with_name(path.name + ASIDE))


def checksum(table: pa.Table) -> str:
    """Return the SHA-256 (hexadecimal) of column names and values, however Arrow lays them out in memory."""
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        for part in (name.encode(), *_values(column.combine_chunks())):
            digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _values(array: pa.Array) -> Iterator[bytes]:
    """Yield the content of a column as bytes: its kind, which values are missing, and the others."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    yield np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes()
    array = array.drop_null()
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        yield b"list"
        yield pc.list_value_length(array).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
        yield from _values(array.flatten())
    elif pa.types.is_floating(array.type) or pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        numbers = array.to_numpy(zero_copy_only=False)
        numbers = numbers.astype(numbers.dtype.newbyteorder("<"))
        yield numbers.dtype.str.encode()
        yield numbers.tobytes()
    else:
        if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
            array = pa.array([str(value) for value in array.to_pylist()], pa.large_string())
        texts = array.cast(pa.large_string())
        together = pa.LargeListArray.from_arrays([0, len(texts)], texts)
        yield b"text"
        yield pc.binary_length(texts).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
        yield pc.binary_join(together, pa.scalar("", pa.large_string()))[0].as_buffer().to_pybytes()


@contextmanager
def opened(path: Path, texts: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; `texts` are read as dictionaries. An error that pyarrow raises meanwhile is Damaged.

    Raises
    ------
    Damaged
        If it is no table, or too large.
    BadInput
        If the disk or its permissions prevent reading.
    """
    if not path.is_file():
        raise Damaged("it is not a file")
    try:
        with path.open("rb") as file:
            there = pq.read_schema(file).names if texts else []
            texts = [name for name in texts if name in there]  # pyarrow refuses the others by a KeyError
            found = pq.ParquetFile(file, page_checksum_verification=True, read_dictionary=texts)
            _check_size(found)
            yield found
    except (Damaged, BadInput):
        raise
    except FileNotFoundError:  # a compaction has removed it since
        raise Damaged("it is not a file") from None
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        if isinstance(error, OSError) and error.errno is not None:
            raise BadInput(f"{path} cannot be read ({error.strerror}): check its disk and its permissions.") from None
        raise Damaged(_line(error)) from None


def _check_size(file: pq.ParquetFile) -> None:
    names = file.schema_arrow.names
    if file.metadata.num_rows * len(names) > MOST_CELLS:
        raise Damaged(f"it says it has {file.metadata.num_rows:,} rows")
    if len(set(names)) < len(names):
        raise Damaged("two of its columns have one name")


def seal_of(file: pq.ParquetFile) -> Seal | None:
    """Return the seal of an open table; None without one. Raises Damaged if it cannot be read."""
    written = (file.metadata.metadata or {}).get(METADATA)
    if written is None:
        return None
    try:
        return Seal.model_validate_json(written)
    except ValidationError:
        raise Damaged("its checksum cannot be read") from None


def check_seal(path: Path, seal: Seal, run: str | None, kind: Kind) -> None:
    """Raise Damaged where a seal is not one of this file, kind and run (None takes any)."""
    name = Path(path.name.removesuffix(ASIDE)).stem  # sound groups are read from files that were set aside
    if (seal.kind, seal.name) != (kind, name):
        raise Damaged(f"it was written as {seal.kind} {seal.name}")
    if (seal.start, seal.stop) != (key_range(name) or (None, None)):
        raise Damaged("its keys are not those of its name")
    if run is not None and seal.run != run:
        raise Damaged("it is from another run")


def _line(error: Exception) -> str:
    """Return the first sentence of a library's message."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.split(". ")[0].removesuffix(".")
