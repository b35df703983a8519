"""The board at a glance: a row for each scheme, a column for each block size, and in a few words who breaks it."""

from __future__ import annotations

from itertools import groupby

import pandas as pd

from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.keys.labels import place_of_scheme
from wrongkey.reports.attacks.decisions import ENOUGH_TRIALS
from wrongkey.reports.scheme_board.gather import seconds_to_break
from wrongkey.reports.scheme_board.schema import Cell, Row, SchemeBoard
from wrongkey.reports.scheme_board.table import NONE, name_of, result
from wrongkey.reports.scheme_board.words import NO_ATTACK, NOT_RUN, UNFINISHED

ANY_KEY = "any key"
NO_ATTACK_APPLIES = "no attack applies"
GUESSER, LISTENER = "unauthorised user", "eavesdropper"
EAVESDROPPER = next(one for one in ADVERSARIES if one.name == LISTENER)
HELD = "not shown to break"
LEGEND = (
    "Who breaks a scheme at a block size. Seconds: the least ciphertext of one victim with which an eavesdropper, who "
    "has nothing else, breaks at least one key in ten (by the lower end of the 95 % interval, and more than random "
    "keys do). “guessing”: an "
    f"unauthorised user, who tries keys on the model. “{ANY_KEY}”: a typical wrong key does nearly as well as the "
    "right one. Where neither breaks it, the cell names the weakest adversary who does; “undecided” stands before it "
    "where trials, of one attack or of all, are too few to tell what an eavesdropper achieves, and "
    f"“{NO_ATTACK_APPLIES}” where no attack here takes such blocks from ciphertext."
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
    quick = _heard(broken[LISTENER], row) if LISTENER in broken else []
    if GUESSER in broken:
        case = broken[GUESSER].case
        quick.append(ANY_KEY if case and case.attack == NO_ATTACK else "guessing")
    if not quick and UNFINISHED in row.notes:
        return "unfinished"
    if quick or row.weakest is None:
        return ", ".join(quick) or _unbroken(row)
    seconds = _seconds(broken[row.weakest])
    return "; ".join([*_open(row), f"{row.weakest}: {seconds}" if seconds else row.weakest])


def _heard(cell: Cell, row: Row) -> list[str]:
    """With how much ciphertext an eavesdropper breaks it.

    A row of an older wrongkey credits them with what any key does to the model: of such a row the attacks count.
    """
    if cell.case is None or cell.case.attack != NO_ATTACK:
        return [_seconds(cell) or LISTENER]
    least = seconds_to_break(row)
    return [] if least is None else [f"{round(least, 1):g} s"]


def _unbroken(row: Row) -> str:
    """The worst state of a row that nobody breaks; undecided where it rests on too few trials."""
    found = result(row).replace(NONE, "–")
    return found.replace(HELD, _open(row)[0]) if found.startswith(HELD) and _open(row) else found


def _open(row: Row) -> list[str]:
    """That an eavesdropper may break it for all that is known; empty where none was shown to, or it was not tried."""
    heard = next(cell for cell in row.cells if cell.adversary == LISTENER)
    if heard.state == "does not apply":
        return [NO_ATTACK_APPLIES]
    if heard.state == HELD:
        fewest = min(_trials(row), default=ENOUGH_TRIALS)  # the state is that of the attack with most trials
        return [_counted("undecided", fewest)] if fewest < ENOUGH_TRIALS else []
    if heard.state not in ("weakened", "undecided"):
        return []
    return [_counted(heard.state, heard.case.trials if heard.case else None)]


def _trials(row: Row) -> list[int]:
    """Trials of each attack that an eavesdropper can run to break a scheme, in the case that has most."""
    most: dict[str, int] = {}
    for one in row.attacks:
        if EAVESDROPPER.can(one.needs) and one.asset != "identity":
            most[one.attack] = max(one.trials, most.get(one.attack, 0))
    return list(most.values())


def _counted(state: str, trials: int | None) -> str:
    """Such as "undecided (1 trial)"; the state alone where no number is known."""
    return f"{state} ({trials} trial{'' if trials == 1 else 's'})" if trials else state


def _seconds(cell: Cell) -> str:
    return f"{round(cell.case.seconds, 1):g} s" if cell.case and cell.case.seconds is not None else ""


def _place(row: Row) -> tuple[tuple[int, int, str], str]:
    return place_of_scheme(row.scheme), row.source.hash
