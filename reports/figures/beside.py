"""Names beside the marks of a figure, each on the side where it hides least."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox, Transform

from wrongkey.reports.figures.style import INK, text_width

GAP, MARK = 6.0, 10.0  # points from a mark to its name, and of a mark
SIDES = (("left", "center", 1, 0), ("right", "center", -1, 0), ("center", "bottom", 0, 1), ("center", "top", 0, -1))


class Mark(NamedTuple):
    """A mark at `(x, y)` of `transform`, and its name."""

    name: str
    x: float
    y: float
    transform: Transform


def name_marks(figure: Figure, axes: Axes, marks: Sequence[Mark], size: float) -> None:
    """Write the name of every mark to its right; where that would hide another mark or name, to another side.

    Parameters
    ----------
    figure : Figure
        Whose other parts are all drawn: its layout decides where marks lie.
    axes : Axes
        In which the marks are.
    marks : sequence of Mark
        In the order in which names are placed.
    size : float
        Of the type, in points.
    """
    figure.draw_without_rendering()
    points = 72 / figure.dpi
    places = [points * mark.transform.transform((mark.x, mark.y)) for mark in marks]
    taken = [Bbox.from_bounds(x - MARK / 2, y - MARK / 2, MARK, MARK) for x, y in places]
    right = points * figure.bbox.x1
    for mark, (x, y) in zip(marks, places, strict=True):
        width = 72 * text_width(mark.name, size)
        boxes = [_box(x + GAP * dx, y + GAP * dy, dx, dy, width, size) for _, _, dx, dy in SIDES]
        hidden = [sum(_area(box, other) for other in taken) + max(0.0, box.x1 - right) * size for box in boxes]
        side = hidden.index(min(hidden))
        taken.append(boxes[side])
        across, along, dx, dy = SIDES[side]
        where: Any = {"xycoords": mark.transform, "xytext": (GAP * dx, GAP * dy), "textcoords": "offset points"}
        text = axes.annotate(
            mark.name, (mark.x, mark.y), **where, ha=across, va=along, size=size, color=INK, parse_math=False, zorder=6
        )
        text.set_in_layout(False)  # the marks stay where they are


def _box(x: float, y: float, dx: int, dy: int, width: float, height: float) -> Bbox:
    """The room of a text that begins there and goes on in the direction (dx, dy), or lies around it."""
    return Bbox.from_bounds(x + (dx - 1) / 2 * width, y + (dy - 1) / 2 * height, width, height)


def _area(one: Bbox, other: Bbox) -> float:
    both = Bbox.intersection(one, other)
    return 0.0 if both is None else float(both.width * both.height)
