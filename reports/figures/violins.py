"""Scores over incorrect keys as violins (paper, Figs. 9 and 11)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from wrongkey.keys.labels import scheme_label
from wrongkey.reports.figures.density import has_density, outline
from wrongkey.reports.figures.panels import Panel, ordered, panels
from wrongkey.reports.figures.score_axes import (
    Handles,
    draw_chance,
    draw_plain,
    finish_score_axes,
    one_metric,
    shared_legend,
)
from wrongkey.reports.figures.style import (
    INK,
    legend_below,
    lighter,
    middle,
    new_figure,
    scheme_colours,
    scheme_hatches,
    short,
    styled,
    tidy,
    wrapped,
)
from wrongkey.reports.statistics.key_statistics import FEW_KEYS, Array, KeyStatistics
from wrongkey.reports.tables import keys_text

HALF_WIDTH = 0.38  # of a violin, where neighbours are 1 apart
STAR_WIDTH = 0.15  # half a star, on the same scale
FEW_RUNS = 6  # up to this many runs each gets ROOMY inches, else TIGHT
ROOMY, TIGHT = 1.05, 0.76
MARGIN = 0.6  # inches of the axis on the left
POINTS = 256  # of a density
QUARTILES: Any = {"color": INK, "linewidth": 5, "solid_capstyle": "butt"}  # the bar of the middle half
MEDIAN: Any = {"marker": "o", "color": "white", "markersize": 4.2}
LEFT = 4  # matplotlib's CARETLEFT: a triangle that points left


def violin_figure(results: Sequence[KeyStatistics]) -> Figure:
    """Draw one violin per run: the scores of its incorrect keys, with median and quartiles inside.

    Star: plain model. Horizontal mark: correct key, which must coincide with the star; where the model carries no
    key, plain speech, at the star. Triangle: the incorrect key that works best. Dotted line: chance, where the metric
    has one. A density ends at the smallest and the largest score; runs of fewer than 30 keys show every score as a dot
    instead. Runs are ordered by model, scheme and block size, and those of another corpus or other trials stand in a
    panel of their own (`panel_caution` says so in a caption).

    Parameters
    ----------
    results : sequence of KeyStatistics
        One or more runs of one metric (`summarise_all`).

    Returns
    -------
    Figure
        Made without pyplot; `save_figure` writes it.

    Raises
    ------
    ValueError
        The runs are of more than one metric.
    """
    metric = one_metric(results)
    results, shown = ordered(results), panels(results)
    with styled() as style:
        each = ROOMY if len(results) <= FEW_RUNS else TIGHT
        figure = new_figure(max(4.6, 1.5 + each * len(results)), 4.2)
        grid = figure.subplots(1, len(shown), sharey=True, squeeze=False, width_ratios=[len(p.results) for p in shown])
        room = (figure.get_figwidth() - MARGIN) / (len(results) + 0.4 * len(shown))  # inches of a violin
        schemes = list(dict.fromkeys(result.run.scheme for result in results))
        colours, hatches = scheme_colours(schemes), scheme_hatches(schemes)
        for axes, panel in zip(grid[0], shown, strict=True):
            for position, result in enumerate(panel.results):
                _draw_run(axes, position, result, colours[result.run.scheme], hatches[result.run.scheme])
            draw_chance(axes, metric)
            axes.set_xlim(-0.7, len(panel.results) - 0.3)
            _label_runs(axes, panel, room, style.linespacing)
        finish_score_axes(grid[0], metric)
        legend_below(figure, _legend(results, colours, hatches) + shared_legend(results, metric, LEFT))
    return figure


def _draw_run(axes: Axes, position: int, result: KeyStatistics, colour: str, hatch: str) -> None:
    """The scores of one run and the marks beside them."""
    worst = result.worst.score.value
    if has_density(result.values):
        edge = _draw_violin(axes, position, result.values, colour, hatch, worst)
    else:
        edge = _draw_dots(axes, position, result.values, colour)
    beside = max(edge, position + STAR_WIDTH) + 0.02  # where neither shape nor star covers it
    axes.plot(beside, worst, marker=LEFT, color=colour, markersize=7, zorder=6)
    reached = result.correct if result.run.keyed else result.plain
    if reached is not None:
        ends = [position - HALF_WIDTH, position + HALF_WIDTH]
        axes.plot(ends, [reached.value] * 2, color=INK, linewidth=1.4, zorder=6)
    if result.plain is not None:
        draw_plain(axes, position, result.plain.value)


def _draw_violin(axes: Axes, position: int, values: Array, colour: str, hatch: str, worst: float) -> float:
    """A violin that ends at the smallest and the largest score; returns its right edge at the worst of them."""
    scores, density = outline(values, POINTS)
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    shape = {"coords": scores, "vals": density, "median": median, "min": scores[0], "max": scores[-1]}
    shape["mean"] = median  # matplotlib asks for it, and draws none
    drawn: Any = axes.violin([shape], [position], widths=2 * HALF_WIDTH, showextrema=False)
    drawn["bodies"][0].set(facecolor=lighter(colour, 0.45), edgecolor=colour, linewidth=1.0, alpha=1, hatch=hatch)
    axes.plot([position] * 2, [low, high], **QUARTILES)
    axes.plot(position, median, **MEDIAN)
    return position + HALF_WIDTH * float(np.interp(worst, scores, density))


def _draw_dots(axes: Axes, position: int, values: Array, colour: str) -> float:
    """A dot for every key and a line at their median; returns the line's right end."""
    shown = values[:FEW_KEYS]  # more than these are all alike, and a row of dots says so
    sns.swarmplot(
        x=np.full(len(shown), position),
        y=shown,
        native_scale=True,
        color=colour,
        edgecolor="white",
        linewidth=0.8,
        size=6,
        warn_thresh=1,
        ax=axes,
        zorder=4,
    )
    ends = [position - 0.75 * HALF_WIDTH, position + 0.75 * HALF_WIDTH]
    axes.plot(ends, [float(np.median(values))] * 2, color=INK, linewidth=1.6, zorder=3)
    return ends[1]


def _label_runs(axes: Axes, panel: Panel, room: float, linespacing: float) -> None:
    """What each run is, below it, and what the panel's runs asked, above them."""
    size = matplotlib.rcParams["xtick.labelsize"]
    labels = [_run_label(result, 0.95 * room, size) for result in panel.results]
    axes.set_xticks(range(len(labels)), labels, parse_math=False, linespacing=linespacing)
    axes.tick_params(axis="x", length=0, pad=4)
    axes.set_xlabel("")
    if panel.title:
        width = room * (len(panel.results) + 0.2)
        axes.set_title(wrapped(panel.title, width, matplotlib.rcParams["axes.titlesize"]))


def _run_label(result: KeyStatistics, room: float, size: float) -> str:
    """Model, scheme, block size; whatever else tells the run apart; unusual variant and number of keys."""
    keys = f"{keys_text(result)} key{'s' if result.n != 1 else ''}"
    model, variant = result.run.model, result.run.variant_label
    rest = result.label.removeprefix(f"{model}, ")
    if variant:
        rest = rest.replace(f", {result.run.variant_words}", "", 1)
    parts = [middle(model), *map(middle, rest.split(", ")), short(variant), keys]
    return "\n".join(wrapped(part, room, size) for part in parts if part)


def _legend(results: Sequence[KeyStatistics], colours: Mapping[str, str], hatches: Mapping[str, str]) -> Handles:
    """Schemes where there are several, what is inside a violin, and the horizontal line."""
    schemes = list(dict.fromkeys(result.run.scheme for result in results))
    handles: Handles = []
    if len(schemes) > 1:
        for scheme in schemes:
            name, colour = tidy(scheme_label(scheme)), colours[scheme]
            look: Any = {"facecolor": lighter(colour, 0.45), "edgecolor": colour, "hatch": hatches[scheme]}
            handles.append(Patch(label=name, **look))
    if any(has_density(result.values) for result in results):
        dot: Any = {"marker": "o", "markersize": 5, "markerfacecolor": "white", "markeredgewidth": 1}
        handles.append(Line2D([], [], **QUARTILES, **dot, label="median, quartiles"))
    if not all(has_density(result.values) for result in results):
        handles.append(Line2D([], [], color=INK, linewidth=1.6, marker="o", label="each key, median"))
    keyed = {result.run.keyed for result in results}
    names = [name for name, is_keyed in (("correct key", True), ("plain speech", False)) if is_keyed in keyed]
    handles.append(Line2D([], [], color=INK, linewidth=1.4, label=" or ".join(names)))
    return handles
