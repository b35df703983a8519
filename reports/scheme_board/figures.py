"""The figures of the board: ciphertext to break against block size, and effective against nominal bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from wrongkey.evaluation.run_folder.strength import Strength
from wrongkey.printable import printable
from wrongkey.reports.figures.strength import strength_caption, strength_figure
from wrongkey.reports.figures.style import INK, LINES, MARKERS, legend_below, middle, new_figure, scheme_colours, styled
from wrongkey.reports.scheme_board.gather import on_ciphertext, seconds_to_break
from wrongkey.reports.scheme_board.names import plain_label
from wrongkey.reports.scheme_board.schema import Row, SchemeBoard
from wrongkey.reports.scheme_board.table import name_of
from wrongkey.reports.strength.runs import NAMES, StrengthRun, ordered
from wrongkey.reports.strength.words import short_words

BROKEN, HELD, UNCLEAR = "broken", "not shown to break", "weakened or undecided"
UNBROKEN = {HELD: "^", UNCLEAR: "D"}  # marks
STEP = 0.06  # of a line above the next one of the same values, as a factor of the seconds
BETWEEN = 0.6  # the most that all lines at one amount take of the way to the next amount
SECONDS_CAPTION = (
    "Seconds of ciphertext with which an attack on ciphertext alone breaks a scheme, against block size M; a line for "
    "each scheme. Only the amounts of the protocol were tried, so that a mark is an upper end; marks of the same "
    "amount stand above each other. An open mark stands at the most that was tried: an arrow where it is not shown to "
    "break, a diamond where it is weakened or undecided."
)


def seconds_figure(board: SchemeBoard) -> Figure | None:
    """Draw the fewest seconds of ciphertext that break, against block size, a line for each scheme.

    Returns
    -------
    Figure or None
        Made without pyplot; None where no attack on ciphertext was run.
    """
    lines = _lines(board)
    if not lines:
        return None
    step = _step(_amounts(lines), len(lines))
    colours = scheme_colours([scheme for scheme, _ in lines])
    with styled():
        figure = new_figure(6.4, 4.4)
        axes = figure.subplots()
        handles = []
        for number, ((scheme, name), points) in enumerate(lines.items()):
            look: dict[str, Any] = {"color": colours[scheme], "marker": MARKERS[number % len(MARKERS)]}
            line = LINES[(number + number // len(MARKERS)) % len(LINES)]  # no two lines look alike
            shift = step * ((len(lines) - 1) / 2 - number)  # in the order of the legend
            _draw(axes, _apart_from(points, shift), look, line)
            handles.append(Line2D([], [], **look, linestyle=line, markersize=7, label=middle(name, 40)))
        states = {state for points in lines.values() for _, state in points.values()}
        for state in (one for one in UNBROKEN if one in states):
            mark: dict[str, Any] = {"marker": UNBROKEN[state], "markerfacecolor": "white"}
            handles.append(Line2D([], [], color=INK, **mark, linestyle="none", label=state))
        _finish(axes, sorted({size for points in lines.values() for size in points}), _amounts(lines))
        legend_below(figure, handles)
    return figure


def seconds_words(board: SchemeBoard) -> str:
    """What the figure shows, in values."""
    parts = []
    for (_, name), points in _lines(board).items():
        values = [
            f"M = {size}: {seconds:g} s" if state == BROKEN else f"M = {size}: {state} with {seconds:g} s"
            for size, (seconds, state) in sorted(points.items())
        ]
        parts.append(f"{name}: {', '.join(values)}.")
    return " ".join(parts)


def strength_of(board: SchemeBoard) -> list[StrengthRun]:
    """The strengths that the rows keep, as reports read them from run folders.

    Of a scheme that the board has with several codes, the name tells them apart, so that they have marks of their own.
    """
    found = []
    for row in board.rows:
        if row.strength is not None:
            content = Strength.model_validate(row.strength)
            shown = {name: printable(getattr(content, name)) for name in NAMES}
            if (name := name_of(row, board)) != plain_label(row.scheme, row.label):
                shown["scheme"] = name
            content = content.model_copy(update=shown)
            found.append(StrengthRun(Path(f"{row.scheme}-m{row.block}"), content, {}, ""))
    return ordered(found)


def figures_of(board: SchemeBoard) -> Mapping[str, tuple[Figure, str, str]]:
    """Figure, caption and words of each figure that can be drawn, by the name of its files."""
    found: dict[str, tuple[Figure, str, str]] = {}
    if (figure := seconds_figure(board)) is not None:
        found["seconds-to-break"] = (figure, SECONDS_CAPTION, seconds_words(board))
    strengths = strength_of(board)
    if (figure := strength_figure(strengths)) is not None:
        words = " ".join(f"{run.label}: {short_words(run)}." for run in strengths)
        found["strength"] = (figure, strength_caption(strengths), words)
    return found


Points = Mapping[float, tuple[float, str]]  # block size -> seconds, and whether they break


def _lines(board: SchemeBoard) -> dict[tuple[str, str], Points]:
    """The points of each scheme and code, by the scheme and the name that stands in the legend."""
    lines: dict[tuple[str, str], dict[float, tuple[float, str]]] = {}
    for row in board.rows:
        if not row.reference and row.block is not None and (point := _point(row)):
            lines.setdefault((row.scheme, name_of(row, board)), {})[row.block] = point
    return dict(lines)


def _point(row: Row) -> tuple[float, str] | None:
    """The fewest seconds that break; where none do, the most that were tried; None where nothing was."""
    if (seconds := seconds_to_break(row)) is not None:
        return seconds, BROKEN
    tried = on_ciphertext(row)
    if not tried:
        return None
    return max(seconds for seconds, _ in tried), HELD if {verdict for _, verdict in tried} == {HELD} else UNCLEAR


def _apart_from(points: Points, shift: float) -> Points:
    """The points moved up by a factor, so that lines of the same values stand above each other."""
    return {size: (seconds * math.exp(shift), state) for size, (seconds, state) in points.items()}


def _step(amounts: list[float], lines: int) -> float:
    """Logarithm of the factor between two lines of the same values."""
    gaps = [math.log(more / less) for less, more in pairwise(amounts)]
    return min([STEP, *(BETWEEN * gap / lines for gap in gaps)])


def _draw(axes: Axes, points: Points, look: Mapping[str, Any], line: Any) -> None:
    broken = sorted((size, seconds) for size, (seconds, state) in points.items() if state == BROKEN)
    if broken:
        axes.plot(*zip(*broken, strict=True), **look, linestyle=line, markersize=7)
    for size, (seconds, state) in points.items():
        if state != BROKEN:
            mark: dict[str, Any] = {"marker": UNBROKEN[state], "markerfacecolor": "white"}
            axes.plot(size, seconds, **mark, color=look["color"], markersize=8, linestyle="none")


def _amounts(lines: Mapping[tuple[str, str], Points]) -> list[float]:
    return sorted({round(seconds, 1) for points in lines.values() for seconds, _ in points.values()})


def _finish(axes: Axes, sizes: list[float], amounts: list[float]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis, ticks in ((axes.xaxis, sizes), (axes.yaxis, _apart(amounts))):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 100 else f"{value:g}")
    axes.set_xlabel("Block size M")
    axes.set_ylabel("seconds of ciphertext to break")


def _apart(values: list[float]) -> list[float]:
    """Ticks that are at least a quarter apart, so that their numbers do not overlap."""
    kept: list[float] = []
    for value in values:
        if not kept or value >= 1.25 * kept[-1]:
            kept.append(value)
    return kept
