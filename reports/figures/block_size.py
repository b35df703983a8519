"""Scores against block size M, a line for each series of runs."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from wrongkey.keys.labels import scheme_label, taken_apart
from wrongkey.reports.figures.panels import Asked, ordered, panels
from wrongkey.reports.figures.score_axes import (
    Handles,
    draw_chance,
    draw_plain,
    finish_score_axes,
    one_metric,
    shared_legend,
)
from wrongkey.reports.figures.style import INK, LINES, MARKERS, legend_below, middle, new_figure, scheme_colours, styled
from wrongkey.reports.metrics import Metric
from wrongkey.reports.statistics.key_statistics import KeyStatistics

CARETUP, CARETDOWN = 6, 7  # matplotlib's triangles with their tip at the value
WIDE = 10  # factor that block sizes span beyond which their axis is logarithmic


class Series(NamedTuple):
    """What the runs on one line have in common."""

    family: str
    variant: str
    blocks: str
    scheme: str
    asked: Asked
    run: str = ""  # where another run of the same block size is on the line already

    @classmethod
    def of(cls, result: KeyStatistics) -> "Series":
        """The series of a run."""
        run = result.run
        return cls(run.family, run.variant_label, run.blocks, run.scheme, Asked.of(run))

    @property
    def line(self) -> tuple[str, str, str, str, Asked, str]:
        """What decides marker and line style; the scheme's base decides the colour."""
        options = self.scheme.removeprefix(taken_apart(self.scheme).base)
        return self.family, self.variant, self.blocks, options, self.asked, self.run

    def label(self, others: Sequence["Series"], panel: str) -> str:
        """Family and scheme, the title of the panel, and what else tells the line from others of the figure."""
        parts = [self.family, scheme_label(self.scheme), panel]
        if len({other.blocks for other in others}) > 1:
            parts.append(self.blocks)
        return ", ".join(middle(part, 40) for part in (*parts, self.variant, self.run) if part)


class _Sideways:
    """Moves a series a little to the side, so that marks at the same block size stand next to each other."""

    def __init__(self, step: float, logarithmic: bool) -> None:
        self.step, self.logarithmic = step, logarithmic

    def __call__(self, size: int) -> float:
        return size * math.exp(self.step) if self.logarithmic else size + self.step


def block_size_figure(results: Sequence[KeyStatistics]) -> Figure:
    """Draw scores against block size M: median and 5–95 % band over incorrect keys.

    One line per scheme, model family, threat variant and way to cut blocks, and one panel per corpus and set of trials
    (`panel_caution` says so in a caption). Triangle: the incorrect key that works best. Star: plain model. M is on a
    logarithmic axis where it spans more than a factor of ten.

    Parameters
    ----------
    results : sequence of KeyStatistics
        Runs of one metric (`summarise_all`), as a rule of several block sizes.

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
    series = series_of(results)
    sizes = sorted({result.run.block_size for result in results})
    logarithmic = sizes[-1] / sizes[0] > WIDE
    shown = panels(results)
    with styled():
        figure = new_figure(6.4 + 2.2 * (len(shown) - 1), 4.4)
        grid = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        looks = _looks(list(series))
        titles = {Asked.of(panel.results[0].run): panel.title for panel in shown}
        for axes, (asked, title) in zip(grid, titles.items(), strict=True):
            drawn = {key: members for key, members in series.items() if key.asked == asked}
            for number, (key, members) in enumerate(drawn.items()):
                _draw_series(axes, members, _sideways(number, len(drawn), sizes, logarithmic), looks[key])
            for line in dict.fromkeys(key.line for key in drawn):
                of_line = [key for key in drawn if key.line == line]
                members = [member for key in of_line for member in drawn[key]]
                _draw_plain_line(axes, members, looks[of_line[0]]["linestyle"])
            _label_sizes(axes, sizes, logarithmic)
            draw_chance(axes, metric)
            axes.set_title(title)
        finish_score_axes(grid, metric)
        handles: Handles = [
            Line2D(
                [],
                [],
                **looks[key],
                markersize=7,
                markeredgecolor="white",
                label=key.label(list(series), titles[key.asked]),
            )
            for key in series
        ]
        handles.append(Patch(facecolor="#bbbbbb", label="line: median; band: 5–95 % of keys"))
        legend_below(figure, handles + shared_legend(results, metric, _tip(metric)))
    return figure


def series_of(results: Sequence[KeyStatistics]) -> dict[Series, list[KeyStatistics]]:
    """The runs of each line by block size, ordered; a second run of a block size begins a line of its own."""
    series: dict[Series, list[KeyStatistics]] = {}
    for result in ordered(results):
        key = Series.of(result)
        if any(other.run.block_size == result.run.block_size for other in series.get(key, [])):
            key = key._replace(run=result.run.name)
        series.setdefault(key, []).append(result)
    return series


def _looks(series: Sequence[Series]) -> dict[Series, dict[str, Any]]:
    """Colour by scheme; marker and line style by everything else."""
    colours = scheme_colours(key.scheme for key in series)
    lines = list(dict.fromkeys(key.line for key in series))
    looks = {}
    for key in series:
        number = lines.index(key.line)
        marker, linestyle = MARKERS[number % len(MARKERS)], LINES[number % len(LINES)]
        looks[key] = {"color": colours[key.scheme], "marker": marker, "linestyle": linestyle}
    return looks


def _draw_series(axes: Axes, members: list[KeyStatistics], sideways: _Sideways, look: dict[str, Any]) -> None:
    """Median, 5–95 % band and bars, and the best wrong key, of the runs of one line."""
    x = np.concatenate([np.full(member.n, sideways(member.run.block_size)) for member in members])
    y = np.concatenate([member.values for member in members])
    shared: Any = {"x": x, "y": y, "estimator": "median", "errorbar": ("pi", 90), "legend": False, "ax": axes}
    band = {"alpha": 0.14, "linewidth": 0, "zorder": 1}
    sns.lineplot(**shared, err_style="band", err_kws=band, markersize=7, linewidth=1.6, zorder=4, **look)
    bars = {"elinewidth": 4, "zorder": 2}
    colour = look["color"]
    sns.lineplot(
        **shared, err_style="bars", err_kws=bars, color=colour, alpha=0.55, linestyle="", solid_capstyle="butt"
    )
    x, worst = np.array([(sideways(m.run.block_size), m.worst.score.value) for m in members]).T
    tip = _tip(members[0].metric)
    axes.plot(x, worst, marker=tip, color=colour, markeredgecolor="white", markersize=8, linestyle="none", zorder=8)


def _draw_plain_line(axes: Axes, members: list[KeyStatistics], linestyle: str) -> None:
    """The plain models of runs that differ in scheme and block size only, joined in their line style."""
    points = {(m.run.block_size, m.plain.value) for m in members if m.plain is not None}
    x, y = np.array(sorted(points)).reshape(-1, 2).T
    if len(set(x)) == len(x):  # one plain model at each block size
        axes.plot(x, y, color=INK, linestyle=linestyle, linewidth=0.8, zorder=3)
    for size, value in points:
        draw_plain(axes, size, value)


def _label_sizes(axes: Axes, sizes: Sequence[int], logarithmic: bool) -> None:
    """A tick for every block size and no others."""
    if logarithmic:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(size) for size in sizes])
    axes.margins(x=0.09)
    axes.set_xlabel("Block size M")


def _sideways(number: int, count: int, sizes: Sequence[int], logarithmic: bool) -> _Sideways:
    """The place of one series among `count`: 1.6 % of the axis apart, around the block size itself."""
    span = math.log(sizes[-1] / sizes[0]) if logarithmic else float(sizes[-1] - sizes[0])
    return _Sideways((number - (count - 1) / 2) * 0.016 * span, logarithmic)


def _tip(metric: Metric) -> int:
    """The triangle whose tip touches the worst score from outside the distribution."""
    return CARETUP if metric.higher_is_safer else CARETDOWN
