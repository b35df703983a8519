"""A report as a PDF document: headline and board, then every figure, then the tables.

matplotlib writes it: the figures are its own vectors already, and no other library draws those into a document without
turning them into pixels or losing their text. Type is embedded whole (`pdf.fonttype` 42), as journals ask.
"""

import textwrap
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from wrongkey.reports.content.schema import Table
from wrongkey.reports.figures.style import STYLE
from wrongkey.reports.page.drawn import Drawn
from wrongkey.reports.page.texts import BOARD, tables_of

WIDTH, HEIGHT, MARGIN = 11.69, 8.27, 0.6  # A4 across, in inches
POINTS = 7.5  # size of type
LINE = 1.35 * POINTS / 72  # height of a line in inches
COLOURS = {"Broken": "#fbe3e1", "Weakened": "#fdf0d3", "Held here": "#dff2e6", "Unclear": "#ffffff"}
UNTRIED = "#f0f0f0"
LONGEST = 46  # characters of a cell that a column is made wide enough for


class Document:
    """Sheets that are filled from the top; `y` is where it goes on, in inches from the bottom of the sheet."""

    def __init__(self, pages: Any) -> None:
        self.pages = pages
        self.figure = Figure(figsize=(WIDTH, HEIGHT))
        self.y = HEIGHT - MARGIN

    def next(self) -> None:
        """Write this sheet, and begin another."""
        self.pages.savefig(self.figure)
        self.figure = Figure(figsize=(WIDTH, HEIGHT))
        self.y = HEIGHT - MARGIN

    def has_room(self, height: float) -> bool:
        """Whether so many inches are left on this sheet."""
        return self.y - height >= MARGIN

    def lines(self, words: str, size: float = POINTS, **style: Any) -> None:
        """A paragraph as wide as the page."""
        wrapped = textwrap.wrap(words, _characters(WIDTH - 2 * MARGIN, size)) or [""]
        height = (len(wrapped) * 1.3 + 0.5) * size / 72
        if not self.has_room(height):
            self.next()
        self._text(MARGIN, "\n".join(wrapped), size, **style)
        self.y -= height

    def row(self, cells: Sequence[str], widths: Sequence[float], coloured: bool = False, **style: Any) -> None:
        """A row of a table; where it is coloured, each cell by the word that it begins with."""
        x, height = MARGIN, _height(cells, widths)
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            if coloured and number:
                place = (x / WIDTH, (self.y - height) / HEIGHT)
                colour = COLOURS.get(cell.split(":")[0], UNTRIED)
                box = Rectangle(place, width / WIDTH, height / HEIGHT, facecolor=colour, edgecolor="white")
                self.figure.add_artist(box)
            self._text(x + 0.03, "\n".join(_wrapped(cell, width)), POINTS, down=LINE / 4, **style)
            x += width
        self.y -= height

    def table(self, table: Table, coloured: bool = False) -> None:
        """A table with its caption, and its heading again on each further sheet."""
        widths = _widths(table)
        if not self.has_room(_height(table.columns, widths) + 6 * LINE):
            self.next()
        self.lines(table.caption, 10, weight="bold")
        self.row(table.columns, widths, weight="bold")
        for row in table.rows:
            if not self.has_room(_height(row, widths)):
                self.next()
                self.row(table.columns, widths, weight="bold")
            self.row(row, widths, coloured=coloured)
        self.y -= 2 * LINE

    def _text(self, x: float, words: str, size: float, down: float = 0.0, **style: Any) -> None:
        y = (self.y - down) / HEIGHT
        self.figure.text(x / WIDTH, y, words, size=size, va="top", linespacing=1.25, **style)


def write_pdf(content: Mapping[str, Any], figures: Sequence[Drawn]) -> bytes:
    """The document; the same bytes for the same report."""
    file = BytesIO()
    with matplotlib.rc_context({**STYLE, "pdf.fonttype": 42}):
        facts = {"Title": f"wrongkey: {content['title']}", "CreationDate": None}
        with PdfPages(file, metadata=facts) as pages:
            document = Document(pages)
            _first(document, content)
            document.next()
            for drawn in figures:
                pages.savefig(_captioned(drawn), bbox_inches="tight", pad_inches=0.3)
            for heading, table in tables_of(content):
                if heading != BOARD:
                    document.table(table)
            document.next()
    return file.getvalue()


def _first(document: Document, content: Mapping[str, Any]) -> None:
    """Title, headline, cautions, facts, and the board."""
    document.lines(content["title"], 18, weight="bold")
    document.lines(content["headline"], 11)
    for caution in content["cautions"]:
        document.lines(f"⚠ {caution}", 8, color="#744700")
    document.lines(" · ".join(content["facts"]), 8, color="#555555")
    if content["board"]:
        document.table(next(table for heading, table in tables_of(content) if heading == BOARD), coloured=True)
        document.lines(content["criteria"])


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


def _captioned(drawn: Drawn) -> Figure:
    """The figure with its caption below it."""
    figure = drawn.figure
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the caption moves nothing
    words = textwrap.fill(drawn.caption, _characters(figure.get_figwidth(), POINTS))
    figure.text(0.5, -0.02, words, size=POINTS, ha="center", va="top")
    return figure
