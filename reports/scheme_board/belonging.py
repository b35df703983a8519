"""Whether the run folder of a cell is of the scheme and block size that the record beside it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.board_cell import Cell
from wrongkey.evaluation.run_folder.schema import Suite, read_json, read_manifest
from wrongkey.printable import printable


def check_run(path: Path, record: Cell, folder: Path) -> None:
    """Check that a run folder belongs to a cell.

    Parameters
    ----------
    path : Path
        The cell's record, `cells/NAME.json`.
    record : Cell
        What it says.
    folder : Path
        The run folder, `runs/NAME`, which need not exist.

    Raises
    ------
    BadInput
        Where its attacks, or its sweep of keys, are of another scheme or block size.
    """
    for scheme, block in _made_of(folder):
        if scheme not in (None, record.scheme) or block not in (None, record.block):
            raise BadInput(
                f"{folder} holds results of {printable(str(scheme or record.scheme))} at M = {block or record.block}, "
                f"and {path} is of {printable(record.scheme)} at M = {record.block}: restore the folder that belongs "
                "to it, or delete both and run the board again."
            )


def _made_of(folder: Path) -> Iterator[tuple[Any, Any]]:
    """Scheme, as the user named it, and block size of the attacks and of the sweep; None where a file does not say."""
    if (path := folder / "attacks" / "suite.json").is_file():
        suite = read_json(path, Suite)
        yield suite.get("identity", {}).get("scheme"), suite.get("setting", {}).get("block_size")
    if (folder / "manifest.json").is_file():
        config = read_manifest(folder)["config"]
        yield config.get("scheme_spec"), config.get("block_size")
