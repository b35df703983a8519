"""The board as a table of strings, for Markdown and CSV, and the table of every attack behind it."""

from __future__ import annotations

import re
from typing import get_args

import pandas as pd

from wrongkey.evaluation.run_folder.adversaries import the
from wrongkey.reports.rounding import decibels
from wrongkey.reports.scheme_board.names import plain_label
from wrongkey.reports.scheme_board.schema import Cell, Row, SchemeBoard, State, Tried

NONE = "does not apply"


def scheme_board_table(board: SchemeBoard) -> pd.DataFrame:
    """One row for each scheme and block size; no cell is empty.

    Parameters
    ----------
    board : SchemeBoard
        Of `wrongkey.reports.scheme_board.gather`.

    Returns
    -------
    DataFrame
        Scheme, M, bits, the best random key, a column for each adversary, leaks, costs, and the hash of the code.
    """
    return pd.DataFrame([_row(row, board) for row in board.rows])


def attack_table(board: SchemeBoard) -> pd.DataFrame:
    """One row for each case of each attack: how often it succeeds, and how often it claims so and is wrong."""
    rows = []
    for row in board.rows:
        for one in row.attacks:
            rows.append(
                {
                    "Scheme": label(row, board),
                    "Attack": one.attack,
                    "Given": one.given,
                    "Verdict": one.verdict,
                    "Successes": _successes(one),
                    "Claimed and wrong": claims_words(one),
                    "SNR, dB": NONE if one.snr is None else decibels(one.snr),
                    "Error, %": NONE if one.error is None else f"{one.error:.1f}",
                    "CPU s": "not measured" if one.cpu_seconds is None else f"{one.cpu_seconds:.2g}",
                }
            )
    return pd.DataFrame(rows)


def label(row: Row, board: SchemeBoard) -> str:
    """Such as "ROM, M = 10"."""
    return name_of(row, board) if row.block is None else f"{name_of(row, board)}, M = {row.block}"


def name_of(row: Row, board: SchemeBoard) -> str:
    """A scheme in plain words; with the first digits of its code's hash where a board has it with several codes."""
    several = len({one.source.hash for one in board.rows if one.label == row.label}) > 1
    label = plain_label(row.scheme, row.label)
    return f"{label} ({row.source.hash[:6]})" if several else label


def result(row: Row) -> str:
    """The result of a row in a few words: who breaks it, or else the worst state of its cells."""
    if row.weakest is not None:
        return f"broken by {the(row.weakest)}"
    worst = min((cell.state for cell in row.cells), key=get_args(State).index)
    alone = not (row.model or row.reference) and worst not in ("not run", "does not apply")
    return f"{worst}, of speech alone" if alone else worst


def claims_words(one: Tried) -> str:
    """Such as "0 of 30"; that an attack makes no claims, where it makes none."""
    return "makes no claims" if one.claimed_wrong is None else f"{one.claimed_wrong} of {one.trials}"


def _row(row: Row, board: SchemeBoard) -> dict[str, str]:
    return {
        "Scheme": name_of(row, board),
        "M": NONE if row.block is None else str(row.block),
        "Nominal bits": row.nominal_bits.words,
        "Effective bits": row.effective_bits.words,
        "Best random key": row.best_key.words,
        **{f"{cell.adversary[:1].upper()}{cell.adversary[1:]}": _words(row, cell) for cell in row.cells},
        "Leaks": row.leaks,
        "Linkability": row.linkability.words,
        "Cost": row.cost_words,
        "Source": row.source.hash[:12],
    }


def said(cell: Cell) -> str:
    """The words behind the state of a cell, such as "polyphase: 2 s of speech": of a break the attack first."""
    return re.sub(r"^ \(([^)]*)\)", r"\1", cell.words.removeprefix(cell.state)).strip(":. ")


def like(row: Row, cell: Cell) -> str:
    """The first adversary of a row whose cell says the same of the same case; empty where this one is the first.

    The words have the cautions, such as what was not tried, which differ between adversaries.
    """
    before = row.cells[: row.cells.index(cell)]
    said = (cell.state, cell.case, cell.words)
    return next((one.adversary for one in before if one.case and (one.state, one.case, one.words) == said), "")


def _words(row: Row, cell: Cell) -> str:
    return f"{cell.state}: as for {the(other)}" if (other := like(row, cell)) else cell.words


def _successes(one: Tried) -> str:
    if one.failed and not one.trials:
        return f"all {one.failed} trials broke down"
    failed = f", {one.failed} broke down" if one.failed else ""
    if one.successes is None or one.share_low is None or one.share_high is None:
        return f"judged by its error, {one.trials} trials{failed}"
    return f"{one.successes} of {one.trials} [{100 * one.share_low:.0f}, {100 * one.share_high:.0f} %]{failed}"
