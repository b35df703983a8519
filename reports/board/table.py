"""The board as a table: of strings for Markdown, CSV and LaTeX, and as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from wrongkey.printable import printable
from wrongkey.reports.board.cells import Cell

if TYPE_CHECKING:  # the board shows itself with this module
    from wrongkey.reports.board.verdict_board import Board, Row

STRENGTH = "Effective strength"


def board_table(board: Board | Mapping[str, Any]) -> pd.DataFrame:
    """One row of strings for each row of a board.

    Parameters
    ----------
    board : Board or mapping
        Of `wrongkey.reports.board.board`, or the `board` of a report.json.

    Returns
    -------
    DataFrame
        Columns "Setting", with what was measured, "Effective strength" where that was, and one for each adversary.

    Examples
    --------
    >>> from wrongkey.reports.board import board
    >>> list(board_table(board([], [])))[:3]
    ['Setting', 'unauthorised user', 'eavesdropper']
    """
    facts = board if isinstance(board, Mapping) else board.to_dict()
    names = [column["name"] for column in facts["columns"]]
    rows = [
        [f"{row['label']} ({row['facts']})", row.get("strength") or "–", *map(_words, row["cells"])]
        for row in facts["rows"]
    ]
    table = pd.DataFrame(rows, columns=["Setting", STRENGTH, *names])
    return table if any(row.get("strength") for row in facts["rows"]) else table.drop(columns=STRENGTH)


def _words(cell: Mapping[str, Any]) -> str:
    """A cell in a line: "Broken: 5 s of speech · 1.5 s CPU, 5 of 5 keys [57, 100 %], 38 dB. Only 5 trials."."""
    said = ", ".join(filter(None, (cell["price"], cell["sure"])))
    state = f"{cell['state'][:1].upper()}{cell['state'][1:]}"
    return ". ".join(filter(None, (f"{state}: {said}" if said else state, cell["caution"])))


def board_html(board: Board) -> str:
    """A compact table with its headline as caption. All text is escaped."""
    tag = Markup
    head = Markup("").join(
        tag('<th scope="col">{}<br><small>{}</small></th>').format(one.name, one.has) for one in board.columns
    )
    body = Markup("").join(
        tag('<tr><th scope="row">{}<br><small>{}</small></th>{}</tr>').format(
            printable(row.label), printable(_measured(row)), Markup("").join(map(_cell_html, row.cells))
        )
        for row in board.rows
    )
    cautions = Markup("").join(tag("<p><small>{}</small></p>").format(printable(one)) for one in board.cautions)
    caption = tag("<caption><strong>{}</strong> {}</caption>").format(printable(board.answer), printable(board.rest))
    start = tag('<table>{}<thead><tr><th scope="col">Setting</th>{}</tr></thead><tbody>{}</tbody></table>')
    return str(start.format(caption, head, body) + cautions)


def _measured(row: Row) -> str:
    return f"{row.facts} · strength {row.strength}" if row.strength else row.facts


def _cell_html(cell: Cell) -> Markup:
    text = Markup('<td title="{}">{} {}').format(printable(cell.sentence), cell.icon, cell.state.capitalize())
    for part in filter(None, (cell.price, cell.sure)):
        text += Markup("<br><small>{}</small>").format(printable(part))
    if cell.command:  # folded, because commands are longer than all the rest
        text += Markup("<details><summary>try it</summary><small>{}</small></details>").format(printable(cell.command))
    return text + Markup("</td>")
