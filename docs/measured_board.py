"""Writes the measured board into README.md and docs/board.md, with its figures.

    python docs/measured_board.py [BOARD …]

It reads `docs/board.json`, and adds the rows of boards that `wrongkey board --protocol speech-v1` made elsewhere. A
text between the markers of a page is replaced, and nothing else of the page.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import pandas as pd

from wrongkey.files import write_text_atomically
from wrongkey.reports.figures.style import save_figure
from wrongkey.reports.scheme_board.figures import figures_of
from wrongkey.reports.scheme_board.gather import FILE, merged, read_board
from wrongkey.reports.scheme_board.overview import LEGEND, overview_table
from wrongkey.reports.scheme_board.schema import Row, SchemeBoard
from wrongkey.reports.scheme_board.table import name_of, result, said
from wrongkey.reports.scheme_board.write import to_json
from wrongkey.reports.tables import markdown_text, to_markdown

DOCS = Path(__file__).resolve().parent
WIDTH = 120
PAGES = (DOCS.parent / "README.md", DOCS / "board.md")


def pages(board: SchemeBoard) -> dict[Path, str]:
    """The pages with the tables of the board in their places."""
    parts = {"overview": overview(board), "rows": every_row(board)}
    return {page: placed(page.read_text(encoding="utf-8"), parts) for page in PAGES}


def placed(text: str, parts: Mapping[str, str]) -> str:
    """A page with each part between its markers ``<!-- board NAME: begin -->`` and ``<!-- board NAME: end -->``."""
    for name, part in parts.items():
        begin, end = (re.escape(f"<!-- board {name}: {place} -->") for place in ("begin", "end"))
        text = re.sub(f"({begin}\n).*?({end})", lambda found, part=part: found[1] + part + found[2], text, flags=re.S)
    return text


def overview(board: SchemeBoard) -> str:
    """The table at a glance, with what its words mean."""
    made = f"Protocol `{board.protocol.name}` (`{board.protocol.hash[:12]}`), measured until {board.made}."
    words = " ".join(filter(None, (markdown_text(LEGEND), _of_reference(board), made)))
    return f"{to_markdown(overview_table(board))}\n{fill(words, WIDTH)}\n"


def _of_reference(board: SchemeBoard) -> str:
    """What the attacks say of the keystream cipher, which nobody breaks; empty where it was not tried."""
    tried = [one for row in board.rows if row.reference for one in row.attacks]
    claimed, trials = sum(one.claimed or 0 for one in tried), sum(one.trials for one in tried)
    return (
        f"Of a keystream cipher in their place {claimed} of {trials} trials claim to have broken it." if tried else ""
    )


def every_row(board: SchemeBoard) -> str:
    """Bits, the best random key, who breaks it, and the cheapest break of every row."""
    table = pd.DataFrame([_shown(row, board) for row in board.rows])
    return to_markdown(table)


def _shown(row: Row, board: SchemeBoard) -> dict[str, str]:
    cell = next((cell for cell in row.cells if cell.adversary == row.weakest), None)
    return {
        "Scheme": name_of(row, board),
        "M": "–" if row.block is None else str(row.block),
        "Nominal bits": _shortly(row.nominal_bits.words),
        "Effective bits": _shortly(row.effective_bits.words),
        "Best random key": _shortly(row.best_key.words),
        "Result": result(row),
        "Cheapest break": "none" if cell is None else said(cell),
    }


def _shortly(words: str) -> str:
    """What is in a cell, without the reason why there is nothing."""
    return "–" if words.startswith("does not apply") else words.split(":")[0]


def main(boards: Sequence[Path]) -> None:
    """Write pages and figures, after joining further boards."""
    board = merged([(path, read_board(path)) for path in (DOCS, *boards)])
    write_text_atomically(DOCS / FILE, to_json(board))
    for page, text in pages(board).items():
        write_text_atomically(page, text)
    for name, (figure, _, _) in figures_of(board).items():
        file = save_figure(figure, DOCS, f"board-{name}")
        for other in (file.png, file.pdf):
            other.unlink()


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
