"""How figures look and how they are written: seaborn's theme, colours, marks and files.

Figures are matplotlib `Figure` objects that seaborn draws into; pyplot holds none of them, so nothing global is left
behind. Names from run folders are drawn as they are (no mathematics in dollar signs). Colours keep different lightness
in greyscale (Paul Tol's high-contrast scheme), and a scheme has the same colour in every figure. SVG files are the same
bytes every time.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from wrongkey.files import atomic_write
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
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "text.parse_math": False,
    "svg.hashsalt": "wrongkey",
}
COLOURS = {"rom": "#004488", "shuffling": "#DDAA33", "flipping": "#BB5566"}
MORE_COLOURS = ("#117733", "#88CCEE", "#882255", "#777777")  # of a user's own schemes
GREY = "#777777"
INK = "#1a1a1a"
MARKERS = ("o", "s", "D", "v", "P", "X")
LINES = ("-", "--", ":", "-.")


def scheme_colours(schemes: Iterable[str]) -> dict[str, str]:
    """Scheme -> colour: fixed for the paper's schemes, in order of appearance for a user's own."""
    own = [scheme for scheme in dict.fromkeys(schemes) if scheme not in COLOURS]
    return COLOURS | {scheme: MORE_COLOURS[i % len(MORE_COLOURS)] for i, scheme in enumerate(own)}


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


def legend_below(figure: Figure, handles: Sequence[Artist]) -> None:
    """One legend below the axes, in as many columns as the longest label leaves room for."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = min(len(handles), max(1, int(figure.get_figwidth() / (0.6 + 0.062 * longest))))
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=columns, frameon=False, fontsize=8, handlelength=2.6
    )


def save_figure(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write a figure as PNG and as SVG, the same bytes every time.

    Parameters
    ----------
    figure : Figure
        A figure of this package, or any other matplotlib figure. Its texts are made printable.
    folder : Path
        Created where it does not exist.
    name : str
        Of both files, without a suffix.

    Returns
    -------
    tuple of Path
        `<name>.png` (200 dpi) and `<name>.svg`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    FigureCanvasAgg(figure)
    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text(), keep="\n"))
    with matplotlib.rc_context(STYLE):
        with atomic_write(png) as file:
            figure.savefig(file, format="png", dpi=200, metadata={"Software": None})
        with atomic_write(svg) as file:
            figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return png, svg
