"""The score files of a run folder, read and checked: one row per key, condition and metric. Imports no torch.

`scores/conditions.parquet` holds the conditions that have no key of their own, `scores/incorrect-START-STOP.parquet`
every metric of the incorrect keys `[START, STOP)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.tables import (
    Damaged,
    Sealed,
    check_columns,
    identity_digest,
    key_range,
    read_table,
    table_files,
)

SCORE_COLUMNS = [
    "task", "model", "corpus", "scheme", "block_size", "dims", "condition",
    "key_seed", "key_index", "metric", "value", "ci_low", "ci_high", "n",
]  # fmt: skip
LARGEST_BLOCK = 2**14  # the largest key that can be drawn (`wrongkey.keys.draw`)
CONDITIONS = ("plain", "correct", "incorrect", "plain_query")
SETTING = ("task", "model", "corpus", "scheme", "block_size", "dims")  # of all rows of a run
TEXTS = ("task", "model", "corpus", "scheme", "condition", "metric")
REMEDY = "the same wrongkey sweep command makes it again"


def storable(text: str) -> str:
    """Return a name as Parquet can hold it: bytes of a file name that are not text become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def read_scores(folder: Path, manifest: Mapping[str, Any] | None) -> tuple[pd.DataFrame, list[str]]:
    """Read all score rows of a run folder.

    Parameters
    ----------
    folder
        The run folder.
    manifest
        The run's (`wrongkey.evaluation.run_folder.schema.read_manifest`); without one only the files themselves are
        checked.

    Returns
    -------
    rows : pandas.DataFrame
        With the columns `SCORE_COLUMNS`.
    cautions : list of str
        What a reader must know about the files, in sentences.

    Raises
    ------
    BadInput
        If a file is damaged or its rows belong to another run; the sentence names it.
    """
    found, metrics = [], measured(folder)
    for path in table_files(folder / "scores"):
        try:
            found.append(read_score_file(path, manifest, metrics))
        except Damaged as error:
            raise BadInput(f"{path} is broken ({error}): {REMEDY}.") from None
    tables = [one.table for one in found] or [pd.DataFrame(columns=SCORE_COLUMNS)]
    return pd.concat(tables, ignore_index=True), old_files(found, "scores")


def old_files(found: Sequence[Sealed], what: str) -> list[str]:
    """Return the sentence about files that an older wrongkey wrote, if there are any."""
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


def read_score_file(path: Path, manifest: Mapping[str, Any] | None, metrics: frozenset[str] = frozenset()) -> Sealed:
    """Read one file of `scores/`, with the columns `SCORE_COLUMNS`.

    Parameters
    ----------
    path
        The file.
    manifest
        The run's; without one only the file itself is checked.
    metrics
        Those that incorrect keys must have if no checksum shows whether some are gone.

    Raises
    ------
    Damaged
        With the reason.
    BadInput
        If the disk prevents reading.
    """
    manifest = manifest or {}
    run = identity_digest(manifest["identity"]) if manifest.get("identity") else None
    read = read_table(path, run, "scores", sealed=bool(manifest.get("tables")))
    table = _numbers(read.table)
    unknown = set(map(str, table["condition"].unique())) - set(CONDITIONS)
    if unknown:
        raise Damaged(f"it has the unknown condition {min(unknown)!r}")
    _check_setting(table, manifest)
    if bounds := key_range(path.stem):
        _check_keys(table, *bounds, manifest)
        if read.seal is None and (gone := metrics - set(table["metric"])):
            raise Damaged(f"its {min(gone)} is gone")
    elif path.stem == "conditions":
        _check_conditions(table)
    elif read.seal is not None:
        raise Damaged("its name gives neither conditions nor keys")
    return Sealed(table, read.seal)


def _numbers(table: pd.DataFrame) -> pd.DataFrame:
    check_columns(table, SCORE_COLUMNS, TEXTS)
    table = table[SCORE_COLUMNS].copy()
    try:
        for column in ("value", "ci_low", "ci_high"):
            table[column] = table[column].to_numpy(dtype=np.float64, na_value=np.nan)
        for column in ("block_size", "dims"):
            table[column] = table[column].astype(np.int64)
        incorrect = table["condition"] == "incorrect"
        keys = table.loc[incorrect, ["key_seed", "key_index"]]
        whole = keys.notna().all(axis=None) and ((keys == keys.astype(np.int64)) & (keys >= 0)).all(axis=None)
        sound = bool(np.isfinite(table["value"]).all() and whole)
    except (TypeError, ValueError, OverflowError):
        sound = False
    if not sound:
        raise Damaged("it holds scores or keys that are not numbers")
    if not table["block_size"].between(1, LARGEST_BLOCK).all():  # a key space of a larger one takes forever to count
        raise Damaged(f"it holds a block size beyond 1 to {LARGEST_BLOCK:,}")
    return table


def _check_setting(table: pd.DataFrame, manifest: Mapping[str, Any]) -> None:
    """Check that every row has the task, model, corpus, scheme, block size and seed that the manifest names."""
    config = manifest.get("config", {})
    wanted = {name: config.get(name) for name in SETTING} | {"key_seed": config.get("seed")}
    for column, value in wanted.items():
        if isinstance(value, str):
            value = storable(value)
        found = table[column].dropna().unique()
        other = [one for one in found if value is not None and one != value]
        if other:
            raise Damaged(f"its {column} is {other[0]!s}, and that of this run {value!s}")


def _check_keys(table: pd.DataFrame, start: int, stop: int, manifest: Mapping[str, Any]) -> None:
    """Check that the rows are those of the keys `[start, stop)`: each metric has each key once."""
    space = manifest.get("key_space")
    if space is not None and stop > space:
        raise Damaged(f"it holds keys beyond the {space:,} that there are")
    if not (table["condition"] == "incorrect").all():
        raise Damaged("it holds conditions other than incorrect keys")
    for metric, found in table.groupby("metric", observed=True)["key_index"]:
        keys = np.sort(found.to_numpy(dtype=np.int64))
        if len(keys) != stop - start or not np.array_equal(keys, np.arange(start, stop)):
            raise Damaged(f"its rows of {metric!s} are not those of the keys {start} to {stop - 1}")


def _check_conditions(table: pd.DataFrame) -> None:
    if (table["condition"] == "incorrect").any():
        raise Damaged("it holds incorrect keys")
    if table.duplicated(["condition", "metric"]).any():
        raise Damaged("it has two scores of one condition")
