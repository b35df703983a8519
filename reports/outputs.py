"""What a sweep kept of its answers (`--keep-outputs`): one row per key and utterance.

`outputs/conditions.parquet` holds the plain model, the correct key and the plain query (column `condition`),
`outputs/incorrect-*.parquet` the incorrect keys (column `key_index`).
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.schema import read_manifest
from wrongkey.evaluation.run_folder.tables import Damaged, identity_digest, key_range, read_table, table_files
from wrongkey.reports.runs import Run

_REMEDY = "the same wrongkey sweep command makes it again; without its folder the report leaves out what was heard"


def kept_condition(run: Run, condition: str, columns: Sequence[str]) -> pd.DataFrame | None:
    """The answers of a condition such as "plain", in the order of the utterances; None where none were kept.

    Raises
    ------
    BadInput
        For a file that is broken or lacks one of the `columns`.
    """
    path = run.folder / "outputs" / "conditions.parquet"
    if not path.exists():
        return None
    table = _read(run, path, ("condition", *columns))
    return _some(table[table["condition"] == condition])


def kept_key(run: Run, key_index: int, columns: Sequence[str]) -> pd.DataFrame | None:
    """The answers under one incorrect key; None where none were kept.

    Raises
    ------
    BadInput
        As `kept_condition`.
    """
    scores = run.folder / "scores"
    holding = [
        path
        for path in table_files(run.folder / "outputs")
        if (keys := key_range(path.stem)) and keys[0] <= key_index < keys[1]
    ]
    whole = [path for path in holding if (scores / path.name).exists()]
    if not whole:
        whole = holding  # of a shard that was killed before it wrote its scores
    if not whole:
        return None
    table = _read(run, whole[0], ("key_index", *columns))
    return _some(table[table["key_index"] == key_index])


def _read(run: Run, path: Path, columns: Sequence[str]) -> pd.DataFrame:
    manifest = read_manifest(run.folder)
    digest = identity_digest(manifest["identity"]) if manifest.get("identity") else None
    try:
        table = read_table(path, digest, "outputs", sealed=bool(manifest.get("tables"))).table
    except Damaged as error:
        raise BadInput(f"{path} is broken ({error}): {_REMEDY}.") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise BadInput(f"{path} lacks the columns {', '.join(missing)}: {_REMEDY}.")
    return table


def _some(table: pd.DataFrame) -> pd.DataFrame | None:
    return table.reset_index(drop=True) if len(table) else None
