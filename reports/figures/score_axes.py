"""What the figures of scores share: the axis of the metric, the line of chance, the star of the plain model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

from wrongkey.reports.figures.style import INK
from wrongkey.reports.metrics import Metric
from wrongkey.reports.statistics.key_statistics import KeyStatistics

Handles = list[Line2D | Patch]

CHANCE: Any = {"color": "#444444", "linestyle": ":", "linewidth": 1.3}
LOGARITHMIC_ABOVE = 100.0  # percent, of an axis whose scores go far beyond
FAR_BEYOND = 250.0
TICKS = (0, 20, 40, 60, 80, 100, 200, 500, 1000, 2000, 5000, 10_000)


def one_metric(results: Sequence[KeyStatistics]) -> Metric:
    """The metric of all results, without a chance level where classifiers choose from different numbers of classes."""
    metrics = {result.metric for result in results}
    if len({metric.name for metric in metrics}) != 1:
        raise ValueError(f"a figure shows one metric, not {len(metrics)}")
    return metrics.pop() if len(metrics) == 1 else replace(results[0].metric, chance=None)


def draw_plain(axes: Axes, x: float, value: float) -> None:
    """A star for the plain model."""
    axes.plot(x, value, "*", color=INK, markeredgecolor="white", markeredgewidth=0.7, markersize=13, zorder=7)


def draw_chance(axes: Axes, metric: Metric) -> None:
    """The dotted line of chance, on white so that a grid line at the same score does not fill its gaps."""
    if metric.chance is not None:
        axes.axhline(metric.chance, color="white", linewidth=1.8, zorder=0.6)
        axes.axhline(metric.chance, **CHANCE, zorder=0.7)


def finish_score_axes(panels: Sequence[Axes], metric: Metric) -> None:
    """Label and limits of the vertical axis that panels share; logarithmic above 100 % where word error rates go far.

    Nothing is clipped: a rate of 900 % is drawn where it is, and does not compress everything below 100 %.
    """
    for axes in panels:
        axes.grid(False, axis="x")
        axes.set_ylabel("")
    axes = panels[0]
    low, high = axes.get_ylim()
    if metric.unit == "%" and high > FAR_BEYOND:
        axes.set_yscale("symlog", linthresh=LOGARITHMIC_ABOVE, linscale=2)
        axes.yaxis.set_major_locator(FixedLocator([tick for tick in TICKS if tick <= 1.05 * high]))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel(f"{metric.axis}, logarithmic above 100\n({metric.safer} is safer)")
        axes.set_ylim(-4, 1.15 * high)
        return
    axes.set_ylabel(f"{metric.axis}  ({metric.safer} is safer)")
    axes.set_ylim(_bottom(low, high), high + 0.02 * (high - low))


def _bottom(low: float, high: float) -> float:
    """Just below 0, so that a score of 0 is seen whole; never much lower, as no score is negative."""
    if low < 0:
        return max(low, -0.04 * high)
    return -0.02 * high


def shared_legend(results: Sequence[KeyStatistics], metric: Metric, marker: Any) -> Handles:
    """Legend entries for the plain model, for the key that works best (drawn with `marker`), and for chance."""
    best = "best wrong key" if any(result.run.keyed for result in results) else "key that hides least"
    handles: Handles = [
        Line2D([], [], color=INK, marker="*", markersize=11, linestyle="none", label="plain model"),
        Line2D([], [], color="#555555", marker=marker, markersize=7, linestyle="none", label=best),
    ]
    if metric.chance is not None:
        handles.append(Line2D([], [], **CHANCE, label="chance"))
    return handles
