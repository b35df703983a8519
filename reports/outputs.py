"""What a sweep kept of its answers (`--keep-outputs`): one row per key and utterance.

`outputs/conditions.parquet` holds the plain model, the correct key and the plain query (column `condition`),
`outputs/incorrect-*.parquet` the incorrect keys (column `key_index`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from keys.errors import BadInput
from reports.runs import Run


def kept_condition(run: Run, condition: str, columns: Sequence[str]) -> pd.DataFrame | None:
    """The answers of a condition such as "plain", in the order of the utterances; None where none were kept.

    Raises BadInput for a file that is broken or lacks one of the `columns`.
    """
    path = run.folder / "outputs" / "conditions.parquet"
    return _read([path] if path.is_file() else [], columns, ("condition", "==", condition))


def kept_key(run: Run, key_index: int, columns: Sequence[str]) -> pd.DataFrame | None:
    """The answers under one incorrect key; None where none were kept. Raises BadInput as `kept_condition`."""
    paths = sorted((run.folder / "outputs").glob("incorrect-*.parquet"))
    return _read(paths, columns, ("key_index", "==", key_index))


def _read(paths: Sequence[Path], columns: Sequence[str], chosen: tuple[str, str, Any]) -> pd.DataFrame | None:
    """The rows that the filter `chosen` lets pass, of all files."""
    parts = []
    for path in paths:
        try:
            part = pd.read_parquet(path, filters=[chosen])
        except Exception as error:  # pyarrow raises many kinds for a damaged file; all mean the same to the user
            first_line = (str(error).splitlines() or [type(error).__name__])[0]
            raise BadInput(f"{path} is broken ({first_line}): {_REMEDY}.") from None
        missing = [column for column in columns if column not in part.columns]
        if missing:
            raise BadInput(f"{path} lacks the columns {', '.join(missing)}: {_REMEDY}.")
        parts.append(part)
    found = [part for part in parts if len(part)]
    return pd.concat(found, ignore_index=True) if found else None


_REMEDY = "delete its folder and the report leaves out what was heard, or run the sweep again into a new folder"
