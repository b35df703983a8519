"""The files of a board: `board.json`, and the page, Markdown, CSV and figures that are made of it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from wrongkey.errors import BadInput
from wrongkey.files import atomic_write, explained_errors, write_text_atomically
from wrongkey.printable import printable
from wrongkey.reports.content.schema import Figure
from wrongkey.reports.figures.style import save_figure
from wrongkey.reports.scheme_board.figures import figures_of
from wrongkey.reports.scheme_board.gather import FILE
from wrongkey.reports.scheme_board.overview import LEGEND, overview_table
from wrongkey.reports.scheme_board.page import CAPTION, render_board
from wrongkey.reports.scheme_board.schema import SchemeBoard
from wrongkey.reports.scheme_board.table import attack_table, scheme_board_table
from wrongkey.reports.tables import markdown_text, to_csv, to_markdown

REMEDY = "free space or change its permissions"


class Written(NamedTuple):
    """Where the files of a board lie."""

    json: Path
    page: Path
    markdown: Path
    table: Path


def write_board(board: SchemeBoard, folder: Path) -> Written:
    """Write a board into a folder.

    Parameters
    ----------
    board : SchemeBoard
        What there is of it.
    folder : Path
        It is made if it is missing.

    Returns
    -------
    Written
        `board.json`, `board.html`, `board.md` and `board.csv`; figures lie in `figures/`.

    Raises
    ------
    BadInput
        For a folder that cannot be written.
    """
    files = Written(folder / FILE, *(folder / f"board.{ending}" for ending in ("html", "md", "csv")))
    with explained_errors(folder, REMEDY):
        folder.mkdir(parents=True, exist_ok=True)
        figures, media = {}, {}
        for name, (figure, caption, words) in figures_of(board).items():
            svg = save_figure(figure, folder / "figures", name).svg
            figures[name] = Figure(name=name, caption=caption, alt=words)
            media[svg.name] = svg.read_bytes()
        with atomic_write(files.json) as file:
            file.write(to_json(board).encode("utf-8", "backslashreplace"))
        write_text_atomically(files.page, render_board(board, figures, media))
        write_text_atomically(files.markdown, to_text(board))
        write_text_atomically(files.table, to_csv(scheme_board_table(board)))
    return files


def check_free(folder: Path, sources: Collection[Path]) -> None:
    """Check that a joined board overwrites nothing but an earlier one in its folder.

    Parameters
    ----------
    folder : Path
        Where it is to be written.
    sources : collection of Path
        The `board.json` of each board that is joined.

    Raises
    ------
    BadInput
        For a folder with other files, and for that of one of the boards.
    """
    if (folder / FILE).resolve() in {source.resolve() for source in sources}:
        raise BadInput(f"{folder} holds one of the boards that are joined: choose another --out.")
    made = {FILE, "figures", *(f"board.{ending}" for ending in ("html", "md", "csv"))}
    if folder.is_dir() and (other := sorted(path.name for path in folder.iterdir() if path.name not in made)):
        raise BadInput(f"{folder} holds {printable(other[0])}: choose an empty or new folder with --out.")


def to_json(board: SchemeBoard) -> str:
    """The board as `board.json` has it."""
    return board.model_dump_json(indent=2) + "\n"


def to_text(board: SchemeBoard) -> str:
    """The board as Markdown."""
    name = markdown_text(board.protocol.name)
    lines = [f"# Board of schemes, protocol {name}", ""]
    lines += [f"- {markdown_text(caution)}" for caution in board.cautions]
    lines += ["", f"Protocol {name}, SHA-256 `{board.protocol.hash}`; wrongkey {board.wrongkey}.", ""]
    if not board.rows:
        lines += ["Nothing was run yet.", ""]
    if any(row.block for row in board.rows):
        lines += [markdown_text(LEGEND), "", to_markdown(overview_table(board))]
    if board.rows:
        lines += [to_markdown(scheme_board_table(board))]
    lines += [f"Order. {markdown_text(board.order)}", "", f"Criteria. {markdown_text(board.criteria)}", ""]
    if any(row.attacks for row in board.rows):
        lines += [f"**{markdown_text(CAPTION)}**", "", to_markdown(attack_table(board))]
    return "\n".join(lines)
