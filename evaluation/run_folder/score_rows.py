"""What the rows of a score file must be, whichever wrongkey wrote them. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from wrongkey.evaluation.run_folder.tables import Damaged
from wrongkey.evaluation.run_folder.vocabulary import LARGEST_BLOCK

SCORE_COLUMNS = [
    "task", "model", "corpus", "scheme", "block_size", "dims", "condition",
    "key_seed", "key_index", "metric", "value", "ci_low", "ci_high", "n",
]  # fmt: skip
CONDITIONS = ("plain", "correct", "incorrect", "plain_query")
SETTING = ("task", "model", "corpus", "scheme", "block_size", "dims")  # of all rows of a run
TEXTS = ("task", "model", "corpus", "scheme", "condition", "metric")
_NO_NUMBERS = "it holds scores or keys that are not numbers"


def storable(text: str) -> str:
    """Return a name as Parquet can hold it: bytes of a file name that are not text become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def checked(table: pa.Table, manifest: Mapping[str, Any]) -> pa.Table:
    """Return the columns `SCORE_COLUMNS` in the types of a score file: text as dictionaries, scores as float64.

    Raises
    ------
    Damaged
        Where rows are not scores of this run; the reason says which.
    """
    if missing := [column for column in SCORE_COLUMNS if column not in table.column_names]:
        raise Damaged(f"it lacks the columns {', '.join(missing)}")
    if not table.num_rows:
        raise Damaged("it has no rows")
    table = table.select(SCORE_COLUMNS)
    columns = {name: _text(table[name], name) if name in TEXTS else _number(table[name]) for name in SCORE_COLUMNS}
    unknown = set(values(columns["condition"])) - set(CONDITIONS)
    if unknown:
        raise Damaged(f"it has the unknown condition {min(unknown)!r}")
    try:
        for name in ("value", "ci_low", "ci_high"):
            columns[name] = columns[name].cast(pa.float64())
        for name in ("block_size", "dims"):
            columns[name] = columns[name].cast(pa.int64())
        for name in ("key_seed", "key_index"):
            columns[name] = _keys(columns[name], columns["condition"])
    except pa.ArrowException:
        raise Damaged(_NO_NUMBERS) from None
    if columns["block_size"].null_count or columns["dims"].null_count or not _finite(columns["value"]):
        raise Damaged(_NO_NUMBERS)
    sizes = values(columns["block_size"])
    if min(sizes) < 1 or max(sizes) > LARGEST_BLOCK:  # a key space of a larger one takes forever to count
        raise Damaged(f"it holds a block size beyond 1 to {LARGEST_BLOCK:,}")
    found = pa.table(columns)
    _check_setting(found, manifest)
    return found


def check_keys(table: pa.Table, shards: Sequence[tuple[int, int]], manifest: Mapping[str, Any]) -> None:
    """Check that checked rows are those of the incorrect keys of some shards: each metric has each key once.

    Raises
    ------
    Damaged
        Where they are not.
    """
    stop = max(stop for _, stop in shards)
    space = manifest.get("key_space")
    if space is not None and stop > space:
        raise Damaged(f"it holds keys beyond the {space:,} that there are")
    if values(table["condition"]) != ["incorrect"]:
        raise Damaged("it holds conditions other than incorrect keys")
    metrics, codes = coded(table["metric"])
    keys = table["key_index"].to_numpy()
    count = sum(stop - start for start, stop in shards)
    place, known = _places(keys, shards)
    rows = np.bincount(codes[known] * count + place[known], minlength=len(metrics) * count) if known.any() else None
    used = np.unique(codes)
    if rows is None or not known.all() or not (rows.reshape(len(metrics), count)[used] == 1).all():
        per_metric = np.bincount(codes, minlength=len(metrics))
        wrong = [one for one in used if per_metric[one] != count or not known[codes == one].all()]
        metric = metrics[wrong[0] if wrong else used[0]]
        raise Damaged(f"its rows of {metric} are not those of the keys {shards[0][0]} to {stop - 1}")


def check_conditions(table: pa.Table) -> None:
    """Raise Damaged where checked rows are not those of conditions without a key."""
    if "incorrect" in values(table["condition"]):
        raise Damaged("it holds incorrect keys")
    rows = table.select(["condition", "metric"]).to_pandas()
    if rows.duplicated().any():
        raise Damaged("it has two scores of one condition")


def values(column: pa.ChunkedArray) -> list[Any]:
    """List the different values of a column, without those that are missing, in the order in which they appear."""
    return list(column.unique().drop_null().to_pylist())


def coded(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """Return a column of text as its different values, and the place in them of each row."""
    array = column.combine_chunks()
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    return list(map(str, array.dictionary.to_pylist())), array.indices.to_numpy().astype(np.int64)


def _text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if column.null_count or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise Damaged(f"its {name} is not text")
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    return column.cast(pa.dictionary(pa.int32(), pa.string())).unify_dictionaries()


def _number(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise Damaged(_NO_NUMBERS)
    return column.cast(pa.float64()) if pa.types.is_null(kind) else column


def _finite(column: pa.ChunkedArray) -> bool:
    return not column.null_count and bool(pc.all(pc.is_finite(column)).as_py())


def _keys(column: pa.ChunkedArray, condition: pa.ChunkedArray) -> pa.ChunkedArray:
    """Keys as whole numbers, where conditions without a key allow it; Damaged where an incorrect key has no number."""
    if pa.types.is_integer(column.type) and not column.null_count:
        column = column.cast(pa.int64())
        incorrect = column.filter(_incorrect(condition))
        if len(incorrect) and pc.min(incorrect).as_py() < 0:
            raise Damaged(_NO_NUMBERS)
        return column
    column = column.cast(pa.float64())
    incorrect = column.filter(_incorrect(condition))
    if len(incorrect) and (not _finite(incorrect) or pc.min(incorrect.cast(pa.int64())).as_py() < 0):
        raise Damaged(_NO_NUMBERS)  # the cast refuses a fraction
    return column.cast(pa.int64()) if _finite(column) else column


def _incorrect(condition: pa.ChunkedArray) -> pa.Array:
    names, codes = coded(condition)
    return pa.array(codes == names.index("incorrect") if "incorrect" in names else np.zeros(len(codes), dtype=bool))


def _places(keys: NDArray[Any], shards: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each key its place among those of the shards, and whether it is one of them."""
    starts, stops = np.array(sorted(shards), dtype=np.int64).T
    before = np.concatenate([[0], np.cumsum(stops - starts)[:-1]])
    shard = np.searchsorted(starts, keys, side="right") - 1
    known = (shard >= 0) & (keys < stops[shard])
    return np.where(known, before[shard] + keys - starts[shard], 0).astype(np.int64), known


def _check_setting(table: pa.Table, manifest: Mapping[str, Any]) -> None:
    """Check that every row has the task, model, corpus, scheme, block size and seed that the manifest names."""
    config = manifest.get("config", {})
    wanted = {name: config.get(name) for name in SETTING} | {"key_seed": config.get("seed")}
    for column, value in wanted.items():
        if value is None:
            continue
        if isinstance(value, str):
            value = storable(value)
        other = [one for one in values(table[column]) if one != value and not pd.isna(one)]
        if other:
            raise Damaged(f"its {column} is {other[0]!s}, and that of this run {value!s}")
