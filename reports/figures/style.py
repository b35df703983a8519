"""How figures look and how they are written: seaborn's theme, two styles, colours, marks and files.

Figures are matplotlib `Figure` objects that seaborn draws into; pyplot holds none of them, so nothing global is left
behind. Each is made by `new_figure`, which notebooks show. Names from run folders are drawn as they are (no mathematics
in dollar signs). A scheme has the colour of its base in every figure, and no other thing has a colour: options are told
apart by hatching and marks, runs by marks, groups of keys by greys. Every colour has a contrast of 3 to 1 or more on
white, and the paper's schemes differ in lightness, so that they are told apart in greyscale. Files are the same bytes
every time.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from wrongkey.errors import BadInput
from wrongkey.files import atomic_write
from wrongkey.keys.labels import FAMILY, taken_apart
from wrongkey.printable import printable

# First come matplotlib's own defaults: a user's matplotlibrc, or one in the working directory, changes no report.
_DEFAULTS = {
    name: value
    for name, value in matplotlib.rcParamsDefault.items()
    if name not in ("backend", "backend_fallback", "interactive", "toolbar")
}
STYLE: Any = {
    **_DEFAULTS,
    **sns.axes_style("ticks"),
    **sns.plotting_context("paper", font_scale=0.94),
    "font.sans-serif": _DEFAULTS["font.sans-serif"],  # seaborn prefers Arial, which few servers have
    "axes.titlesize": 8,
    "legend.fontsize": 8,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "text.parse_math": False,
    "pdf.fonttype": 42,  # TrueType, which publishers ask for
    "svg.fonttype": "none",  # real text
    "svg.hashsalt": "wrongkey",
}
_IEEE: Any = {
    **STYLE,
    "font.family": ["serif", "DejaVu Sans"],
    # STIX comes with matplotlib and has the shapes of Times; a browser that shows the SVG may have others of its width.
    "font.serif": ["STIXGeneral", "Times New Roman", "Liberation Serif", "Nimbus Roman", "DejaVu Serif"],
    **dict.fromkeys(
        ("font.size", "axes.labelsize", "axes.titlesize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 8
    ),
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "axes.labelpad": 2,
    "legend.labelspacing": 0.25,
    "grid.linewidth": 0.4,
}
COLOURS = {"rom": "#004488", "shuffling": "#AD8800", "flipping": "#AA3F55"}
MORE_COLOURS = ("#117733", "#2F93B5", "#5B3A8C", "#8C5A2B", "#777777")  # of other bases
HATCHES = ("", "////", "....", "xxxx", "----")  # of a base, and of its schemes with options
GREY = "#777777"
INK = "#1a1a1a"
GREYS = ("#333333", "#8a8a8a")  # of groups and runs that are no schemes
MARKERS = ("o", "s", "D", "v", "P", "X")
LINES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 3)))
DPI = 200  # of a PNG, and of what is rasterised in the other files
SHOWN_DPI = 110  # in a notebook


@dataclass(frozen=True)
class Style:
    """A way to draw figures: matplotlib's settings, and the widths of columns (inches) that figures are fitted to."""

    name: str
    settings: Any
    columns: tuple[float, ...] = ()
    linespacing: float = 1.2  # of lines, times what the font asks for
    wider: float = 0.0  # by what share a font is wider that a browser takes for a missing one

    def size(self, width: float, height: float) -> tuple[float, float]:
        """Width and height in inches of a figure that asks for these on the screen.

        In a paper it gets the narrowest column that is at least half as wide, or the widest one.
        """
        column = next((one for one in self.columns if one >= width / 2), self.columns[-1]) if self.columns else width
        return column, height * min(1.0, (column / width) ** 0.25)


STYLES = {style.name: style for style in (Style("screen", STYLE), Style("ieee", _IEEE, (3.5, 7.16), 0.95, 0.3))}
_current = ContextVar("style", default=STYLES["screen"])


class ShownFigure(Figure):
    """A figure that keeps the style it was made in, and that notebooks show."""

    def __init__(self, style: Style, width: float, height: float) -> None:
        super().__init__(figsize=style.size(width, height), layout="constrained")
        self.style = style

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        _write(self, file, "png", dpi=SHOWN_DPI)
        return file.getvalue()


class Files(NamedTuple):
    """The files of one figure."""

    png: Path
    svg: Path
    pdf: Path


@contextmanager
def styled(name: str | None = None) -> Iterator[Style]:
    """Draw the figures of a `with` block in a style.

    Parameters
    ----------
    name : "screen" or "ieee", optional
        "ieee": columns of 3.5 or 7.16 inches, 8 points, serif. By default the style that is in force, "screen" outside
        of any block.

    Yields
    ------
    Style
        The style.

    Raises
    ------
    BadInput
        If there is no such style.

    Examples
    --------
    >>> with styled("ieee"):
    ...     float(new_figure(6.4, 4.4).get_figwidth())
    3.5
    """
    if name is not None and name not in STYLES:
        raise BadInput(f"There is no style {printable(name)}: give {' or '.join(STYLES)}.")
    style = _current.get() if name is None else STYLES[name]
    token = _current.set(style)
    try:
        with matplotlib.rc_context(style.settings):
            yield style
    finally:
        _current.reset(token)


def new_figure(width: float, height: float) -> ShownFigure:
    """Make an empty figure in the style in force; draw in it inside of the same `styled` block.

    Parameters
    ----------
    width, height : float
        Inches on the screen. In a paper the width is a column's, and the height shrinks with it.

    Returns
    -------
    ShownFigure
        Made without pyplot; notebooks show it, `save_figure` writes it.
    """
    return ShownFigure(_current.get(), width, height)


def scheme_colours(schemes: Iterable[str]) -> dict[str, str]:
    """Scheme -> colour, that of its base: fixed for the family, in order of appearance for a user's own schemes."""
    bases = {scheme: taken_apart(scheme).base for scheme in schemes}
    others = [base for base in dict.fromkeys((*FAMILY, *bases.values())) if base not in COLOURS]
    colours = COLOURS | {base: MORE_COLOURS[i % len(MORE_COLOURS)] for i, base in enumerate(others)}
    return {scheme: colours[base] for scheme, base in bases.items()}


def scheme_hatches(schemes: Iterable[str]) -> dict[str, str]:
    """Scheme -> hatching, which tells schemes of one base apart: none without options."""
    names = dict.fromkeys(name for scheme in schemes for name in (taken_apart(scheme).base, scheme))
    bases = [taken_apart(name).base for name in names]
    return {name: HATCHES[bases[:i].count(bases[i]) % len(HATCHES)] for i, name in enumerate(names)}


def lighter(colour: str, amount: float) -> tuple[float, float, float]:
    """The colour mixed with white: opaque, so that it prints the same everywhere."""
    red, green, blue = (1 - (1 - part) * (1 - amount) for part in to_rgb(colour))
    return red, green, blue


def tidy(name: str) -> str:
    """A name on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def short(name: str, most: int = 28) -> str:
    """A tidy name of at most `most` characters."""
    name = tidy(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def middle(name: str, most: int = 60) -> str:
    """A tidy name of at most `most` characters, of which a longer one loses its middle."""
    name = tidy(name)
    return name if len(name) <= most else f"{name[: most // 2]}…{name[len(name) - (most - most // 2 - 1) :]}"


def wrapped(text: str, width: float, size: float) -> str:
    """Text in lines of at most so many inches: broken at spaces, and a longer word after - _ / or anywhere."""
    lines, line = [], ""
    for part in re.findall(r"\s*[^\s/_-]+[/_-]*|\s*[/_-]+", text):
        if line and text_width((line + part).strip(), size) > width:
            lines.append(line.strip())
            line = ""
        line += part
        while text_width(line.strip(), size) > width and len(line.strip()) > 1:
            whole = line.strip()
            fits = next((n for n in range(len(whole) - 1, 1, -1) if text_width(whole[:n], size) <= width), 1)
            lines.append(whole[:fits])
            line = whole[fits:]
    return "\n".join([*lines, line.strip()])


def text_width(text: str, size: float) -> float:
    """The width in inches of one line of text of so many points, in the font of the style in force."""
    prop = FontProperties(family=matplotlib.rcParams["font.family"], size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(printable(text), prop, ismath=False)
    return float(width) / 72


def legend_below(figure: Figure, handles: Sequence[Artist]) -> None:
    """One legend below the axes, in as many columns as the longest label leaves room for."""
    size = matplotlib.rcParams["legend.fontsize"]
    handle = 2.6  # times the size of the text
    longest = max(text_width(str(one.get_label()), size) for one in handles)
    columns = int(figure.get_figwidth() / (longest + size * (handle + 2.8) / 72))
    columns = max(1, min(len(handles), columns))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, frameon=False, handlelength=handle)


def save_figure(figure: Figure, folder: Path, name: str) -> Files:
    """Write a figure as PNG, SVG and PDF, the same bytes every time.

    Parameters
    ----------
    figure : Figure
        A figure of this package, in the style it was made in, or any other matplotlib figure. Its texts are made
        printable.
    folder : Path
        Created where it does not exist.
    name : str
        Of the files, without a suffix.

    Returns
    -------
    Files
        `png` (200 dpi), `svg` (with real text) and `pdf` (with TrueType fonts).
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(*(folder / f"{name}.{form}" for form in Files._fields))
    for form, path in zip(Files._fields, files, strict=True):
        with atomic_write(path) as file:
            _write(figure, file, form, DPI)
    return files


# Entries that would differ from day to day, or from one version of matplotlib to the next.
_NO_METADATA: dict[str, Any] = {
    "png": {"Software": None},
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
}


def _write(figure: Figure, file: Any, form: str, dpi: int) -> None:
    """Write one file of a figure in the style it was made in."""
    style = figure.style if isinstance(figure, ShownFigure) else STYLES["screen"]
    FigureCanvasAgg(figure)
    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text(), keep="\n"))
    with matplotlib.rc_context(style.settings):
        figure.savefig(file, format=form, dpi=dpi, metadata=_NO_METADATA[form])
