"""Writes the measured board into README.md and docs/board.md, with its figures.

    python docs/measured_board.py [BOARD …]

It reads `docs/board.json` and `docs/board-windows.json`, and adds the rows of boards that `wrongkey board` made
elsewhere under their protocols (speech-v1, windows-v1); without any the files stay as they are. A text between the
markers of a page is replaced, and nothing else of the page.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
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
from wrongkey.reports.scheme_board.gather import in_order, merged, on_ciphertext_alone, read_board, seconds_to_break
from wrongkey.reports.scheme_board.overview import LEGEND, overview_table, shortly
from wrongkey.reports.scheme_board.schema import BestKey, Row, SchemeBoard
from wrongkey.reports.scheme_board.table import name_of, result
from wrongkey.reports.scheme_board.write import to_json
from wrongkey.reports.tables import markdown_text, to_markdown

DOCS = Path(__file__).resolve().parent
WIDTH = 120
TOLERANCE = 0.1  # seconds: speech ends with a whole block
LEAKS_LEGEND = (
    f"“{NOTHING}” was not measured: the analysis of leaks handles one orthogonal matrix for all single blocks, and an "
    "owner's cost needs a model at this M. Linkability is of speech as recorded: all recordings of a speaker are of "
    "one session, and their pauses alone link them ([attacks](attacks.md#without-a-key-what-ciphertext-says)). Times "
    "are of one CPU core."
)
FILES = {"speech-v1": "board.json", "windows-v1": "board-windows.json"}
PAGES = (DOCS.parent / "README.md", DOCS / "board.md")


def pages(board: SchemeBoard, windows: SchemeBoard) -> dict[Path, str]:
    """The pages with the tables of the board, and of the one of windows, in their places."""
    board = board.model_copy(update={"rows": in_order(board.rows)})
    parts = {
        "headline": _filled(headline(board)),
        "overview": overview(board),
        "rows": every_row(board),
        "claims": _filled(claims(board)),
        "adversaries": to_markdown(breaks_table(board)),
        "leaks": leaks(board),
        "windows": every_row(windows, of_model=False),
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


def headline(board: SchemeBoard) -> str:
    """How many of the cells an eavesdropper breaks, with how much ciphertext, and which not."""
    rows = [row for row in in_order(board.rows) if not row.reference]
    broken = [seconds for row in rows if (seconds := seconds_to_break(row)) is not None]
    least = min(broken)
    at_least = sum(seconds <= least + TOLERANCE for seconds in broken)
    others: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        if seconds_to_break(row) is None:
            others.setdefault(shortly(row), {}).setdefault(name_of(row, board), []).append(str(row.block))
    named = (
        f"“{found}”: " + ", ".join(f"{name} (M = {', '.join(sizes)})" for name, sizes in sorted(schemes.items()))
        for found, schemes in others.items()
    )
    most = max(board.content["attacks"]["seconds"])
    return (
        f"An eavesdropper who has nothing but ciphertext of one victim, up to {most:.0f} s, breaks {len(broken)} of "
        f"the {len(rows)} cells (a scheme at a block size), {at_least} of them with {least:.0f} s. The others: "
        f"{'. '.join(named)}."
    )


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
    """How often attacks on ciphertext claim success on the schemes of the board, and are wrong."""
    tried = [(row, one) for row in board.rows if not row.reference for one in on_ciphertext_alone(row)]
    claimed = sum(one.claimed or 0 for _, one in tried)
    wrong = sum(one.claimed_wrong or 0 for _, one in tried)
    where = "; ".join(
        f"{one.claimed_wrong} of {one.claimed} claims of `{one.attack}` on {name_of(row, board)} at M = {row.block}, "
        f"{one.given}"
        for row, one in tried
        if one.claimed_wrong
    )
    alone = [one for _, one in tried if "other speech" not in one.needs]
    claimed_alone, wrong_alone = (
        sum(getattr(one, name) or 0 for one in alone) for name in ("claimed", "claimed_wrong")
    )
    return (
        f"Over all rows, attacks on ciphertext, with or without plain speech of other people, had "
        f"{sum(one.trials for _, one in tried):,} trials and claimed success in {claimed:,} of them. False were "
        f"{_of(wrong, claimed)} claims{f': {where}' if where else ''}. Without speech of others, "
        f"{_of(wrong_alone, claimed_alone)} claims were. (The intervals take trials as independent; all are of the "
        "same speakers.)"
    )


def _of(count: int, trials: int) -> str:
    """A share with Wilson's interval, such as "0 of 330 [0, 1.2 %]"."""
    low, high = share_interval(count, trials)
    return f"{count} of {trials:,} [{100 * low:.2g}, {100 * high:.2g} %]"


def leaks(board: SchemeBoard) -> str:
    """What ciphertext leaks and what encryption costs; what is the same everywhere is said below the table."""
    table, same = without_constants(leaks_table(board))
    left_out = "; ".join(f"{name}: {value}" for name, value in same.items())
    said = [f"Columns that have one value in every row are left out: {left_out}."]
    words = [*(said if same else []), LEAKS_LEGEND]
    return f"{to_markdown(table)}\n{_filled(' '.join(words))}"


def _filled(text: str) -> str:
    return f"{fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)}\n"


def every_row(board: SchemeBoard, of_model: bool = True) -> str:
    """Bits, the best random key, who breaks it, and the cheapest break of every row.

    Without `of_model` nothing of what the model's error shows: it is untrained.
    """
    table = pd.DataFrame([_shown(row, board) for row in in_order(board.rows)])
    return to_markdown(table if of_model else table.drop(columns=["Effective bits", "Best random key"]))


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


def _joined(others: Sequence[tuple[Path, SchemeBoard]]) -> Iterator[SchemeBoard]:
    """The boards of `FILES`, each with the rows of others of its protocol, which are written into its file."""
    if unknown := [path for path, board in others if board.protocol.name not in FILES]:
        raise BadInput(f"{unknown[0]} is of another protocol than {' and '.join(FILES)}: leave it out.")
    for name, file in FILES.items():
        further = [(path, board) for path, board in others if board.protocol.name == name]
        joined = merged([(DOCS / file, read_board(DOCS / file)), *further])
        if further:
            write_text_atomically(DOCS / file, to_json(joined))
        yield joined


def main(boards: Sequence[Path]) -> None:
    """Write pages and figures, after joining further boards."""
    board, windows = _joined([(path, read_board(path)) for path in boards])
    for page, text in pages(board, windows).items():
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
