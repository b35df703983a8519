"""The result files of attacks, read and checked: one row per attack, case and trial. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wrongkey.evaluation.run_folder.tables import (
    Damaged,
    Sealed,
    check_columns,
    check_text,
    identity_digest,
    read_table,
)
from wrongkey.evaluation.run_folder.vocabulary import HEARD_COLUMNS

COLUMNS = ("attack", "family", "trial", "given", "key_error", "snr", "stoi", "error", "queries", "seconds", "measured")
TEXTS = ("attack", "given", "measured")
WHOLE = ("family", "trial", "queries")
REPEATS = (
    "the victims' keys were taken from a file that attacks can read (--salt): this repeats a run, and is not evidence "
    "of its own"
)
NUMBERS = ("key_error", "snr", "stoi", "error", "seconds")
# Columns that an older wrongkey did not write or some attacks lack. failed: the exception that ended an attack.
MAYBE_TEXTS = ("failed",)
MAYBE_NUMBERS = (
    *("given_seconds", "given_known_blocks", "given_queries", "had_seconds", "error_low", "error_high"),
    *(name for name in HEARD_COLUMNS if name not in NUMBERS),
)


def read_attack(path: Path, suite: Mapping[str, Any] | None) -> Sealed:
    """Read `attacks/NAME.parquet`, which has at least the columns `COLUMNS`.

    Parameters
    ----------
    path
        The file.
    suite
        The content of `suite.json`; without it only the file itself is checked.

    Raises
    ------
    Damaged
        With the reason.
    BadInput
        If the disk prevents reading.
    """
    suite = suite or {}
    run = identity_digest(suite["identity"]) if suite.get("identity") else None
    read = read_table(path, run, "attack", sealed=bool(suite.get("tables")))
    table = read.table
    check_columns(table, COLUMNS, TEXTS)
    for name in MAYBE_TEXTS:
        if name in table:
            check_text(table[name].dropna())
    _check_numbers(table)
    if other := set(table["attack"]) - {path.stem}:
        raise Damaged(f"it holds rows of {min(other)}")
    if table.duplicated(["given", "trial"]).any():
        raise Damaged("it holds a trial twice")
    for text in table["measured"].unique():
        measured_numbers(text)
    for name in ("scheme", "block_size"):
        wanted = suite.get("setting", {}).get(name)
        if name in table and wanted is not None and not (table[name] == wanted).all():
            raise Damaged(f"its {name} is not that of these attacks")
    return read


def _check_numbers(table: pd.DataFrame) -> None:
    try:
        whole = table[list(WHOLE)].to_numpy(dtype=np.float64)
        sound = bool((whole == np.round(whole)).all() and np.isfinite(whole).all())
        for column in (*NUMBERS, *(name for name in MAYBE_NUMBERS if name in table)):
            table[column].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise Damaged("it holds values that are not numbers")


def measured_numbers(text: str) -> dict[str, float]:
    """Parse what an attack measured, by name; other values than numbers are left out.

    Raises
    ------
    Damaged
        If the text is not a JSON object.

    Examples
    --------
    >>> measured_numbers('{"rounds": 3, "start": "random"}')
    {'rounds': 3.0}
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Damaged("what it measured is not a JSON object")
    numbers = {name: value for name, value in found.items() if isinstance(value, int | float)}
    return {name: float(value) for name, value in numbers.items() if isinstance(value, float) or abs(value) < 2**63}
