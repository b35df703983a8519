"""Tables that benchmarks print as Markdown and, with ``--json FILE``, leave to ``python -m benchmarks.bench``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """A table of cells as they are shown.

    columns: headings; those of numbers begin with ``>`` and are set to the right. rows: a cell for each column. note: a
    sentence below the table, on what the rows have in common.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        """Lines of Markdown."""
        heads = [name.removeprefix(">").strip() for name in self.columns]
        lines = [heads, ["---:" if name.startswith(">") else ":---" for name in self.columns], *self.rows]
        text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        return f"{text}\n\n{self.note}" if self.note else text


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a benchmark take ``--json FILE``."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables to this file, too")


def show(file: Path | None, *tables: Table) -> None:
    """Print tables, and write them to a file where one is named."""
    print("\n" + "\n\n".join(table.markdown() for table in tables), flush=True)
    if file is not None:
        file.write_text(json.dumps([asdict(table) for table in tables], indent=1) + "\n", encoding="utf-8")
