"""The page of the board: one HTML file that fetches nothing and has no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wrongkey.reports.board.states import ICONS, State
from wrongkey.reports.content.schema import Figure
from wrongkey.reports.content.tables import as_table
from wrongkey.reports.page.html import data_uri, environment, style
from wrongkey.reports.scheme_board.overview import LEGEND, overview_table
from wrongkey.reports.scheme_board.rows import STATES
from wrongkey.reports.scheme_board.schema import Row, SchemeBoard
from wrongkey.reports.scheme_board.table import attack_table, label, like, said

CAPTION = "Successes, and claims of success that were wrong, of every attack in every case"


def render_board(board: SchemeBoard, figures: Mapping[str, Figure], media: Mapping[str, bytes]) -> str:
    """Make the page of a board.

    Parameters
    ----------
    board : SchemeBoard
        What it shows.
    figures : mapping of str to Figure
        Caption and words of each figure.
    media : mapping of str to bytes
        The figures' files (`NAME.svg`).

    Returns
    -------
    str
        The same for the same board and figures. All text is escaped.
    """
    content = board.model_dump()
    content["rows"] = [{**shown, "cells": _cells(row)} for shown, row in zip(content["rows"], board.rows, strict=True)]
    return environment().get_template("scheme_board.html.j2").render(
        board=content,
        facts=_facts(board),
        figures=list(figures.values()),
        media=media,
        uri=lambda name: data_uri(name, media[name]),
        overview=as_table(overview_table(board), "Each scheme at each block size", LEGEND),
        attacks=as_table(attack_table(board), CAPTION),
        obstacles=[(f"{label(row, board)}: {name}", why) for row in board.rows for name, why in row.obstacles],
        style=style("report.css"),
        icons={STATES[state]: icon for state, icon in ICONS.items()},
        classes={STATES[state]: f"state-{state.value.replace(' ', '-')}" for state in State},
    )  # fmt: skip


def _cells(row: Row) -> list[dict[str, Any]]:
    """The cells with what stands below their state, and the first adversary of whom the same is true."""
    return [{**cell.model_dump(), "like": like(row, cell), "said": said(cell)} for cell in row.cells]


def _facts(board: SchemeBoard) -> list[str]:
    schemes = len({row.scheme for row in board.rows if not row.reference})
    sizes = len({row.block for row in board.rows if row.block})
    corpora = sorted({row.corpus for row in board.rows if row.corpus})
    versions = sorted({" ".join(f"{k} {v}" for k, v in one.items()) for row in board.rows for one in row.versions})
    counted = f"{schemes} scheme{'' if schemes == 1 else 's'}, {sizes} block size{'' if sizes == 1 else 's'}"
    return [counted, *corpora, *versions, *([board.made] if board.made else [])]
