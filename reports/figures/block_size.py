"""Scores against block size M, a line for each series of runs."""

import math
from collections.abc import Sequence
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from wrongkey.reports.figures.score_axes import (
    Handles,
    draw_chance,
    draw_plain,
    finish_score_axis,
    one_metric,
    shared_legend,
)
from wrongkey.reports.figures.style import INK, LINES, MARKERS, legend_below, new_figure, scheme_colours, short, styled
from wrongkey.reports.metrics import Metric
from wrongkey.reports.runs import SCHEME_NAMES
from wrongkey.reports.statistics.key_statistics import KeyStatistics

CARETUP, CARETDOWN = 6, 7  # matplotlib's triangles with their tip at the value
WIDE = 10  # factor that block sizes span beyond which their axis is logarithmic


class Series(NamedTuple):
    """What the runs on one line have in common."""

    family: str
    corpus: str
    variant: str
    blocks: str
    scheme: str

    @classmethod
    def of(cls, result: KeyStatistics) -> "Series":
        """The series of a run."""
        run = result.run
        return cls(run.family, run.corpus, run.variant_label, run.blocks, run.scheme)

    @property
    def line(self) -> tuple[str, str, str, str]:
        """What decides marker and line style; the scheme decides the colour."""
        return self.family, self.corpus, self.variant, self.blocks

    def label(self, others: Sequence["Series"]) -> str:
        """Family and scheme, and what else differs between the series of the figure."""
        parts = [self.family, SCHEME_NAMES.get(self.scheme, self.scheme)]
        if len({other.corpus for other in others}) > 1:
            parts.append(self.corpus)
        if len({other.blocks for other in others}) > 1:
            parts.append(self.blocks)
        return ", ".join(short(part) for part in (*parts, self.variant) if part)


class _Sideways:
    """Moves a series a little to the side, so that marks at the same block size stand next to each other."""

    def __init__(self, step: float, logarithmic: bool) -> None:
        self.step, self.logarithmic = step, logarithmic

    def __call__(self, size: int) -> float:
        return size * math.exp(self.step) if self.logarithmic else size + self.step


def block_size_figure(results: Sequence[KeyStatistics]) -> Figure:
    """Draw scores against block size M: median and 5–95 % band over incorrect keys.

    One line per scheme, model family, corpus, threat variant and way to cut blocks. Triangle: the incorrect key that
    works best. Star: plain model. M is on a logarithmic axis where it spans more than a factor of ten.

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
    series = _series(results)
    sizes = sorted({result.run.block_size for result in results})
    logarithmic = sizes[-1] / sizes[0] > WIDE
    with styled():
        figure = new_figure(6.4, 4.4)
        axes = figure.subplots()
        looks = _looks(list(series))
        for number, (key, members) in enumerate(series.items()):
            _draw_series(axes, members, _sideways(number, len(series), sizes, logarithmic), looks[key])
        lines = dict.fromkeys(key.line for key in series)
        for line, linestyle in zip(lines, cycle(LINES)):
            ordered = sorted(results, key=lambda result: result.run.block_size)
            _draw_plain_line(axes, [r for r in ordered if Series.of(r).line == line], linestyle)
        _label_sizes(axes, sizes, logarithmic)
        draw_chance(axes, metric)
        finish_score_axis(axes, metric)
        handles: Handles = [
            Line2D([], [], **looks[key], markersize=7, markeredgecolor="white", label=key.label(list(series)))
            for key in series
        ]
        handles.append(Patch(facecolor="#bbbbbb", label="line: median; band: 5–95 % of keys"))
        legend_below(figure, handles + shared_legend(results, metric, _tip(metric)))
    return figure


def _series(results: Sequence[KeyStatistics]) -> dict[Series, list[KeyStatistics]]:
    """The runs of each line by block size, lines in the order of the runs."""
    series: dict[Series, list[KeyStatistics]] = {Series.of(result): [] for result in results}
    for result in sorted(results, key=lambda r: r.run.block_size):
        series[Series.of(result)].append(result)
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
    """Median, 5–95 % band and bars, and the worst key, of the runs of one line."""
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
    plain = {m.run.block_size: m.plain.value for m in members if m.plain is not None}
    axes.plot(list(plain), list(plain.values()), color=INK, linestyle=linestyle, linewidth=0.8, zorder=3)
    for size, value in plain.items():
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
