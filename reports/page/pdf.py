"""A report as a PDF document: headline and board, then every figure, then the tables.

matplotlib writes it: the figures are its own vectors already, and no other library draws those into a document without
turning them into pixels or losing their text. Type is embedded whole (`pdf.fonttype` 42), as journals ask.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wrongkey.reports.content.schema import Table
from wrongkey.reports.figures.style import STYLE
from wrongkey.reports.page.plates import Plate
from wrongkey.reports.page.texts import board_rows, tables_of

WIDTH, HEIGHT, MARGIN = 11.69, 8.27, 0.6  # A4 across, in inches
POINTS = 7.5  # size of type
LINE = 1.35 * POINTS / 72  # height of a line in inches
COLOURS = {"Broken": "#fbe3e1", "Weakened": "#fdf0d3", "Held here": "#dff2e6", "Unclear": "#ffffff"}
UNTRIED = "#f0f0f0"
LONGEST = 46  # characters of a cell that a column is made wide enough for


class Sheet:
    """A page that is filled from the top; `y` is where it goes on, in inches from the bottom."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(WIDTH, HEIGHT))
        self.y = HEIGHT - MARGIN

    def text(self, x: float, words: str, size: float = POINTS, **style: Any) -> None:
        """A text whose first line begins at `x` inches, below what is there."""
        self.figure.text(x / WIDTH, self.y / HEIGHT, words, size=size, va="top", linespacing=1.25, **style)

    def lines(self, words: str, size: float = POINTS, **style: Any) -> None:
        """A paragraph as wide as the page."""
        wrapped = textwrap.wrap(words, _characters(WIDTH - 2 * MARGIN, size)) or [""]
        self.text(MARGIN, "\n".join(wrapped), size, **style)
        self.y -= (len(wrapped) * 1.3 + 0.5) * size / 72

    def box(self, x: float, width: float, height: float, colour: str) -> None:
        """A coloured rectangle below what is there."""
        place = (x / WIDTH, (self.y - height) / HEIGHT)
        self.figure.add_artist(Rectangle(place, width / WIDTH, height / HEIGHT, facecolor=colour, edgecolor="white"))


def write_pdf(content: Mapping[str, Any], plates: Sequence[Plate]) -> bytes:
    """The document; the same bytes for the same report."""
    file = BytesIO()
    with matplotlib.rc_context({**STYLE, "pdf.fonttype": 42}):
        facts = {"Title": f"wrongkey: {content['title']}", "CreationDate": None}
        with PdfPages(file, metadata=facts) as pages:
            for sheet in _first(content):
                pages.savefig(sheet.figure)
            for plate in plates:
                pages.savefig(_captioned(plate), bbox_inches="tight", pad_inches=0.3)
            for _, table in tables_of(content):
                if not (content["board"] and table.caption == board_rows(content["board"]).caption):
                    for sheet in _table(table, Sheet()):
                        pages.savefig(sheet.figure)
    return file.getvalue()


def _first(content: Mapping[str, Any]) -> Iterator[Sheet]:
    """Title, headline, cautions, facts, and the board."""
    sheet = Sheet()
    sheet.lines(content["title"], 18, weight="bold")
    sheet.lines(content["headline"], 11)
    for caution in content["cautions"]:
        sheet.lines(f"⚠ {caution}", 8, color="#744700")
    sheet.lines(" · ".join(content["facts"]), 8, color="#555555")
    if content["board"]:
        yield from _table(board_rows(content["board"]), sheet, coloured=True, note=content["criteria"])
    else:
        yield sheet


def _table(table: Table, sheet: Sheet, coloured: bool = False, note: str = "") -> Iterator[Sheet]:
    """The sheets that a table fills, the given one first; the heading again on each."""
    widths = _widths(table)
    if not coloured:
        sheet.lines(table.caption, 10, weight="bold")
    _row(sheet, table.columns, widths, weight="bold")
    for row in table.rows:
        if sheet.y - _height(row, widths) < MARGIN:
            yield sheet
            sheet = Sheet()
            _row(sheet, table.columns, widths, weight="bold")
        _row(sheet, row, widths, coloured=coloured)
    if note:
        sheet.y -= LINE
        sheet.lines(note)
    yield sheet


def _row(sheet: Sheet, cells: Sequence[str], widths: Sequence[float], coloured: bool = False, **style: Any) -> None:
    x, height = MARGIN, _height(cells, widths)
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if coloured and number:
            sheet.box(x, width, height, COLOURS.get(cell.split(":")[0], UNTRIED))
        sheet.y -= LINE / 4
        sheet.text(x + 0.03, "\n".join(_wrapped(cell, width)), **style)
        sheet.y += LINE / 4
        x += width
    sheet.y -= height


def _height(cells: Sequence[str], widths: Sequence[float]) -> float:
    lines = max(len(_wrapped(cell, width)) for cell, width in zip(cells, widths, strict=True))
    return (lines + 0.5) * LINE


def _wrapped(cell: str, width: float) -> list[str]:
    return textwrap.wrap(cell, _characters(width - 0.06, POINTS)) or [""]


def _widths(table: Table) -> list[float]:
    """Widths of the columns in inches, by their longest cells."""
    rows = [table.columns, *table.rows]
    longest = [min(LONGEST, max(6, *(len(row[column]) for row in rows))) for column in range(len(table.columns))]
    return [(WIDTH - 2 * MARGIN) * length / sum(longest) for length in longest]


def _characters(width: float, size: float) -> int:
    """How many characters of that size fit into so many inches."""
    return max(4, int(width * 72 / (0.56 * size)))


def _captioned(plate: Plate) -> Figure:
    """The figure with its caption below it."""
    figure = plate.figure
    words = textwrap.fill(plate.caption, _characters(figure.get_figwidth(), POINTS))
    figure.text(0.5, -0.02, words, size=POINTS, ha="center", va="top", in_layout=False)
    return figure
