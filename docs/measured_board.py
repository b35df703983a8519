"""Writes the measured board into README.md and docs/board.md, with its figures.

    python docs/measured_board.py [BOARD …]

It reads `docs/board.json`, and adds the rows of boards that `wrongkey board --protocol speech-v1` made elsewhere;
without any the file stays as it is. A text between the markers of a page is replaced, and nothing else of the page.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import pandas as pd

from wrongkey.errors import BadInput
from wrongkey.files import write_text_atomically
from wrongkey.reports.attacks.decisions import share_interval
from wrongkey.reports.figures.style import save_figure
from wrongkey.reports.metrics import get_metric
from wrongkey.reports.scheme_board.brief import NOTHING, break_words, breaks_table, leaks_table, without_constants
from wrongkey.reports.scheme_board.figures import figures_of
from wrongkey.reports.scheme_board.gather import FILE, in_order, merged, on_ciphertext_alone, read_board
from wrongkey.reports.scheme_board.overview import LEGEND, overview_table
from wrongkey.reports.scheme_board.schema import BestKey, Row, SchemeBoard
from wrongkey.reports.scheme_board.table import name_of, result
from wrongkey.reports.scheme_board.write import to_json
from wrongkey.reports.tables import markdown_text, to_markdown

DOCS = Path(__file__).resolve().parent
WIDTH = 120
LEAKS_LEGEND = (
    f"“{NOTHING}” was not measured: the analysis of leaks handles one orthogonal matrix for all single blocks, and an "
    "owner's cost needs a model at this M. Linkability is the EER of linking ciphertexts of a speaker under one key; "
    "times are of one CPU core, a model encrypted once and a second of speech."
)
PAGES = (DOCS.parent / "README.md", DOCS / "board.md")


def pages(board: SchemeBoard) -> dict[Path, str]:
    """The pages with the tables of the board in their places."""
    board = board.model_copy(update={"rows": in_order(board.rows)})
    parts = {
        "overview": overview(board),
        "rows": every_row(board),
        "claims": _filled(claims(board)),
        "adversaries": to_markdown(breaks_table(board)),
        "leaks": leaks(board),
    }
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    if missing := [name for name in parts if not any(begin_of(name) in text for text in texts.values())]:
        raise BadInput(f"No page has the line {begin_of(missing[0])}: restore it, and the end that belongs to it.")
    return {page: placed(text, parts) for page, text in texts.items()}


def begin_of(part: str) -> str:
    """The line that a part of a page follows."""
    return f"<!-- board {part}: begin -->"


def placed(text: str, parts: Mapping[str, str]) -> str:
    """A page with each part between its markers ``<!-- board NAME: begin -->`` and ``<!-- board NAME: end -->``."""
    for name, part in parts.items():
        begin, end = re.escape(begin_of(name)), re.escape(f"<!-- board {name}: end -->")
        text = re.sub(f"({begin}\n).*?({end})", lambda found, part=part: found[1] + part + found[2], text, flags=re.S)
    return text


def overview(board: SchemeBoard) -> str:
    """The table at a glance, with what its words mean."""
    made = f"Protocol `{board.protocol.name}` (`{board.protocol.hash[:12]}`), measured until {board.made}."
    words = " ".join(filter(None, (markdown_text(LEGEND), _of_reference(board), made)))
    table = pd.concat([overview_table(board), _reference_row(board)], ignore_index=True).fillna(NOTHING)
    return f"{to_markdown(table)}\n{_filled(words)}"


def _reference_row(board: SchemeBoard) -> pd.DataFrame:
    """The keystream cipher, at the block sizes as which it was attacked; no rows where it was not."""
    of_blocks = board.content.get("reference", {}).get("blocks", [])
    return pd.DataFrame(
        [
            {"Scheme": "Keystream cipher", **{f"M = {size}": _stands(row) for size in of_blocks}}
            for row in board.rows
            if row.reference
        ]
    )


def _stands(row: Row) -> str:
    """Whether the keystream cipher stands: no attack succeeds, or claims to."""
    held = row.attacks and not any(one.successes or one.claimed for one in row.attacks)
    return "stands" if held and row.weakest is None else "does not stand"


def _of_reference(board: SchemeBoard) -> str:
    """What the attacks claim of the keystream cipher, which nobody breaks; empty where it was not tried."""
    tried = [one for row in board.rows if row.reference for one in row.attacks]
    claimed, trials = sum(one.claimed or 0 for one in tried), sum(one.trials for one in tried)
    return (
        f"A keystream cipher has no blocks: the same attacks, run as if it had, claimed success in "
        f"{_of(claimed, trials)} trials."
        if tried
        else ""
    )


def claims(board: SchemeBoard) -> str:
    """How often attacks from ciphertext alone claim success on the schemes of the board, and are wrong."""
    tried = [(row, one) for row in board.rows if not row.reference for one in on_ciphertext_alone(row)]
    claimed = sum(one.claimed or 0 for _, one in tried)
    wrong = sum(one.claimed_wrong or 0 for _, one in tried)
    where = "; ".join(
        f"{one.claimed_wrong} of {one.claimed} claims of `{one.attack}` on {name_of(row, board)} at M = {row.block}, "
        f"{one.given}"
        for row, one in tried
        if one.claimed_wrong
    )
    return (
        f"Over all rows, attacks from ciphertext alone had {sum(one.trials for _, one in tried):,} trials and claimed "
        f"success in {claimed:,} of them. False were {_of(wrong, claimed)} claims{f': {where}' if where else ''}."
    )


def _of(count: int, trials: int) -> str:
    """A share with Wilson's interval, such as "0 of 330 [0, 1.2 %]"."""
    low, high = share_interval(count, trials)
    return f"{count} of {trials:,} [{100 * low:.2g}, {100 * high:.2g} %]"


def leaks(board: SchemeBoard) -> str:
    """What ciphertext leaks and what encryption costs; what is the same everywhere is said below the table."""
    table, same = without_constants(leaks_table(board))
    said = [f"The same in every row that has it: {'; '.join(f'{name}: {value}' for name, value in same.items())}."]
    words = [*(said if same else []), LEAKS_LEGEND]
    return f"{to_markdown(table)}\n{_filled(' '.join(words))}"


def _filled(text: str) -> str:
    return f"{fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)}\n"


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
        "Best random key": _best(row.best_key),
        "Result": result(row),
        "Cheapest break": "none" if cell is None else break_words(row, cell),
    }


def _best(best: BestKey) -> str:
    """Such as "EER 15.1 % (best of 1,000; plain 9.7 %)"."""
    if best.metric is None or best.value is None:
        return _shortly(best.words)
    metric = get_metric(best.metric)
    plain = "" if best.plain is None else f"; plain {metric.words(best.plain)}"
    return f"{metric.label} {metric.words(best.value)} (best of {best.keys:,}{plain})"


def _shortly(words: str) -> str:
    """What is in a cell, without the reason why there is nothing."""
    return NOTHING if words.startswith("does not apply") else words.split(":")[0]


def main(boards: Sequence[Path]) -> None:
    """Write pages and figures, after joining further boards."""
    board = merged([(path, read_board(path)) for path in (DOCS, *boards)])
    if boards:
        write_text_atomically(DOCS / FILE, to_json(board))
    for page, text in pages(board).items():
        write_text_atomically(page, text)
    for name, (figure, _, _) in figures_of(board).items():
        file = save_figure(figure, DOCS, f"board-{name}")
        for other in (file.png, file.pdf):
            other.unlink()


if __name__ == "__main__":
    try:
        main([Path(name) for name in sys.argv[1:]])
    except BadInput as error:
        print(error, file=sys.stderr)
        sys.exit(2)
