"""The board in tables of short cells, for documentation: what each adversary needs, what leaks and what it costs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import pandas as pd

from wrongkey.reports.attacks.rows import GUESSING
from wrongkey.reports.board.words import cpu
from wrongkey.reports.rounding import decibels, two_digits
from wrongkey.reports.scheme_board.overview import LISTENER
from wrongkey.reports.scheme_board.schema import Break, Cell, Row, SchemeBoard
from wrongkey.reports.scheme_board.table import name_of, said

NOTHING: Final = "–"
SAME: Final = "="
LEFT: Final = "←"
_IMPLIED = re.compile("^(known-plaintext|chosen-plaintext|public-model): ")  # by what they are given
_TOLD = {  # of the sentence of leaks, by column
    "Loudness, correlation": r"\(correlation ([\d.]+)\)",
    "Speech or pause, % right": r"\(([\d.]+) % right\)",
}


def break_words(row: Row, cell: Cell) -> str:
    """The cheapest break in words: what it needs, what it recovers in how many trials, and how often it says so."""
    case = cell.case
    if case is None or case.successes is None or case.share_low is None or case.share_high is None or _guessed(case):
        return said(cell)
    claimed = "makes no claims" if case.claimed is None else f"claimed {case.claimed}"
    wrong = f", {case.claimed_wrong} of them wrong" if case.claimed_wrong else ""
    parts = [
        f"{case.asset} in {case.successes} of {case.trials} trials "
        f"[{100 * case.share_low:.0f}, {100 * case.share_high:.0f} %]",
        *_snr(row, case),
    ]
    return f"{case.attack}: {_price(case, ' of speech', ' CPU')}; {', '.join(parts)}; {claimed}{wrong}"


def breaks_table(board: SchemeBoard) -> pd.DataFrame:
    """What each adversary needs at the least to break each row; those who need the same everywhere share a column.

    Returns
    -------
    DataFrame
        Of strings: seconds of speech and of CPU, or what else the attack is given; "=" for what the eavesdropper needs,
        and behind it what is quicker with what only this adversary has; "←" for such a text of the column to the left;
        the state where nothing breaks.
    """
    rows = [row for row in board.rows if not row.reference]
    columns: dict[tuple[str, ...], list[str]] = {}
    for column in board.columns:
        cells = tuple(_needed(row, column.name) for row in rows)
        columns.setdefault(cells, []).append(column.name)
    table = _named(rows, board)
    left: tuple[str, ...] = ("",) * len(rows)
    for cells, names in columns.items():
        heading = ", ".join(names)
        table[heading[:1].upper() + heading[1:]] = [
            LEFT if cell == before and len(cell) > len("not shown") else cell
            for cell, before in zip(cells, left, strict=True)
        ]
        left = cells
    return table


def leaks_table(board: SchemeBoard) -> pd.DataFrame:
    """What ciphertext tells without a key, and what encryption costs."""
    rows = [row for row in board.rows if not row.reference]
    table = _named(rows, board)
    for heading, pattern in _TOLD.items():
        table[heading] = [found[1] if (found := re.search(pattern, row.leaks)) else NOTHING for row in rows]
    table["Linkability, EER in %"] = [_number(row.linkability.value, ".1f") for row in rows]
    costs = [row.cost for row in rows]
    table["Owner, ms a model"] = [_number(_thousand(cost.owner_seconds) if cost else None, ".2g") for cost in costs]
    table["User, ms a second"] = [_number(_thousand(cost.user_seconds) if cost else None, ".2g") for cost in costs]
    table["Data, factor"] = [_number(cost.data_factor if cost else None, ".3g") for cost in costs]
    return table


def without_constants(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """A table without the columns that say the same wherever they say anything, and what these say.

    Examples
    --------
    >>> kept, same = without_constants(pd.DataFrame({"M": ["3", "5"], "a": ["1", "–"], "b": ["1", "2"]}))
    >>> list(kept), same
    (['M', 'b'], {'a': '1'})
    """
    same = {}
    for heading in table.columns:
        values = set(table[heading]) - {NOTHING}
        if len(values) == 1 and len(table) > 1:
            same[heading] = values.pop()
    return table.drop(columns=list(same)), same


def _named(rows: Iterable[Row], board: SchemeBoard) -> pd.DataFrame:
    return pd.DataFrame([{"Scheme": name_of(row, board), "M": str(row.block)} for row in rows])


def _needed(row: Row, adversary: str) -> str:
    """The short cell of one adversary."""
    cell = next(one for one in row.cells if one.adversary == adversary)
    heard = next(one for one in row.cells if one.adversary == LISTENER)
    if cell.state == "does not apply":
        return NOTHING
    if cell.state == "weakened" and cell.case and cell.case.queries:
        return f"weakened: {guesses(cell.case.queries)}"
    if cell.state != "broken" or cell.case is None:
        return cell.state.replace(" to break", "")
    price = SAME if cell is not heard and cell.case == heard.case else _price(cell.case)
    quicker = "" if cell.also == heard.also else _IMPLIED.sub("", cell.also).removesuffix(" CPU")
    return f"{price} or {quicker}" if quicker and price == SAME else price


def _price(case: Break, of_speech: str = "", of_time: str = "") -> str:
    """Such as "2 s · 0.55 s": of ciphertext and of CPU, or what else the attack is given."""
    if _guessed(case):
        return guesses(case.queries) if case.queries else case.given
    given = case.given if case.seconds is None else f"{two_digits(case.seconds)} s{of_speech}"
    time = cpu(case.cpu_seconds).removesuffix(" CPU") if case.cpu_seconds is not None else ""
    return f"{given} · {time}{of_time}" if time else given


def guesses(number: float) -> str:
    """How many guesses it takes on average.

    Examples
    --------
    >>> guesses(4.5), guesses(16.5), guesses(1234.5)
    ('4.5 guesses', '16.5 guesses', '1,234 guesses')
    """
    return f"{number:,.0f} guesses" if number >= 100 else f"{number:.1f}".removesuffix(".0") + " guesses"


def _guessed(case: Break) -> bool:
    return case.attack == GUESSING


def _snr(row: Row, case: Break) -> list[str]:
    """The median SNR of what the attack decrypts in this case; empty where it has none."""
    found = [one.snr for one in row.attacks if (one.attack, one.given) == (case.attack, case.given)]
    return [decibels(snr, unit=" dB") for snr in found if snr is not None][:1]


def _thousand(value: float | None) -> float | None:
    return None if value is None else 1000 * value


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else f"{float(format(value, form)):{'.1f' if form == '.1f' else 'g'}}"
