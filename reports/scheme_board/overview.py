"""The board at a glance: a row for each scheme, a column for each block size, and in a few words who breaks it."""

from __future__ import annotations

from itertools import groupby

import pandas as pd

from wrongkey.keys.labels import place_of_scheme
from wrongkey.reports.scheme_board.schema import Cell, Row, SchemeBoard
from wrongkey.reports.scheme_board.table import NONE, name_of, result
from wrongkey.reports.scheme_board.words import NO_ATTACK, NOT_RUN, UNFINISHED

ANY_KEY = "any key"
NO_ATTACK_APPLIES = "no attack applies"
GUESSER, LISTENER = "unauthorised user", "eavesdropper"
LEGEND = (
    "Who breaks a scheme at a block size. Seconds: an eavesdropper, with nothing but so much ciphertext of one victim, "
    "the least with which at least one key in ten falls (by the lower end of the 95 % interval). “guessing”: an "
    f"unauthorised user, who tries keys on the model. “{ANY_KEY}”: a typical wrong key does nearly as well as the "
    "right one. Where neither breaks it, the cell names the weakest adversary who does; “undecided” stands before it "
    f"where trials are too few to tell what an eavesdropper achieves, and “{NO_ATTACK_APPLIES}” where no attack here "
    "takes such blocks from ciphertext."
)


def overview_table(board: SchemeBoard) -> pd.DataFrame:
    """A row for each scheme and a column for each block size; no cell is empty.

    Parameters
    ----------
    board : SchemeBoard
        Of `wrongkey.reports.scheme_board.gather`. Its reference row has no block size, and is left out.

    Returns
    -------
    DataFrame
        Of strings. Schemes in the order of the family, those of users last.
    """
    rows = sorted((row for row in board.rows if row.block is not None), key=_place)
    sizes = sorted({row.block for row in rows if row.block is not None})
    table = []
    for _, of_scheme in groupby(rows, key=_place):
        there = {row.block: row for row in of_scheme}
        name = name_of(next(iter(there.values())), board)
        table.append(
            {"Scheme": name, **{f"M = {size}": shortly(there[size]) if size in there else NOT_RUN for size in sizes}}
        )
    return pd.DataFrame(table)


def shortly(row: Row) -> str:
    """What breaks a row, in a few words: "2 s", "2 s, guessing", "2 s, any key", "provider: 75 s".

    Before one who is no eavesdropper, what an eavesdropper may achieve: "undecided (1 trial); someone in the room".
    """
    broken = {cell.adversary: cell for cell in row.cells if cell.state == "broken"}
    quick = [_seconds(broken[LISTENER]) or LISTENER] if LISTENER in broken else []
    if GUESSER in broken:
        case = broken[GUESSER].case
        quick.append(ANY_KEY if case and case.attack == NO_ATTACK else "guessing")
    if not quick and UNFINISHED in row.notes:
        return "unfinished"
    if quick or row.weakest is None:
        return ", ".join(quick) or result(row).replace(NONE, "–")
    seconds = _seconds(broken[row.weakest])
    return "; ".join([*_open(row), f"{row.weakest}: {seconds}" if seconds else row.weakest])


def _open(row: Row) -> list[str]:
    """That an eavesdropper may break it for all that is known; empty where none was shown to, or it was not tried."""
    heard = next(cell for cell in row.cells if cell.adversary == LISTENER)
    if heard.state == "does not apply":
        return [NO_ATTACK_APPLIES]
    if heard.state not in ("weakened", "undecided"):
        return []
    trials = heard.case.trials if heard.case else None
    return [f"{heard.state} ({trials} trial{'' if trials == 1 else 's'})" if trials else heard.state]


def _seconds(cell: Cell) -> str:
    return f"{round(cell.case.seconds, 1):g} s" if cell.case and cell.case.seconds is not None else ""


def _place(row: Row) -> tuple[tuple[int, int, str], str]:
    return place_of_scheme(row.scheme), row.source.hash
