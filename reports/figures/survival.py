"""How many random keys come how near to the plain model: survival curves of guesses, on a logarithmic axis."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from wrongkey.keys.labels import taken_apart
from wrongkey.reports.figures.score_axes import Handles, one_metric
from wrongkey.reports.figures.style import (
    INK,
    MARKERS,
    Style,
    legend_below,
    new_figure,
    scheme_colours,
    short,
    styled,
    text_width,
)
from wrongkey.reports.metrics import Metric
from wrongkey.reports.statistics.key_statistics import KeyStatistics, count_words
from wrongkey.reports.statistics.survival import Survival, predicted, survival
from wrongkey.reports.tables import significant

SHOWN = 0.5  # share of the keys from which nobody asks how many guesses it takes
BELOW = 30.0  # a tail is drawn down to this part of what one key of a run weighs
MOST_BANDS = 6  # of runs; more would hide each other
BAND: Any = {"alpha": 0.14, "linewidth": 0}
NEAR: Any = {"color": INK, "linestyle": ":", "linewidth": 1.3}
TAIL: Any = {"linestyle": (0, (3, 1.5)), "linewidth": 0.9}
LINES: tuple[Any, ...] = ("-", (0, (5, 1.6)), "-.", (0, (6, 1.2, 1.2, 1.2, 1.2, 1.2)), (0, (10, 3)))  # none is dotted


def survival_figure(results: Sequence[KeyStatistics]) -> Figure:
    """Draw the share of each run's keys that come within a distance of the plain model, with its 95 % band.

    A colour is a base of schemes, a kind of line a block size; further runs of both have marks. Where the fitted tail
    can be trusted, it goes on, thin and dashed, below the nearest key. Dotted: the metric's smallest distance. The axis
    ends where every second key comes that near. More than six runs have no bands, which would hide each other.

    Parameters
    ----------
    results : sequence of KeyStatistics
        One or more runs of one metric (`summarise_all`), each with a score of the plain model.

    Returns
    -------
    Figure
        Made without pyplot; `save_figure` writes it.

    Raises
    ------
    ValueError
        The runs are of more than one metric.
    BadInput
        A run has no score of the plain model.
    """
    metric = one_metric(results)
    with styled() as style:
        figure = new_figure(5.2, 4.2)
        axes = figure.subplots()
        handles: Handles = []
        curves, tails = [survival(result) for result in results], [predicted(result) for result in results]
        for curve, tail, result, look in zip(curves, tails, results, _looks(results), strict=True):
            if len(results) <= MOST_BANDS:
                _draw_bands(axes, curve, tail, 1 / result.n, look["color"])
            seen = np.where(curve.share > 0, curve.share, np.nan)
            axes.plot(curve.distance, seen, drawstyle="steps-post", markevery=max(1, len(seen) // 8), **look)
            if tail is not None:
                axes.plot(tail.distance, tail.share, color=look["color"], **TAIL)
            handles.append(Line2D([], [], label=short(result.label, 44), **look))
        if any(tails):
            handles.append(Line2D([], [], color=INK, label="fitted tail", **TAIL))
        near = metric.distances[0]
        axes.axvline(near, **NEAR)
        handles.append(Line2D([], [], label=f"within {metric.distance_words(near)}", **NEAR))
        _finish(axes, metric, curves, max(result.n for result in results), any(tails))
        _leave_room(axes, style)
        legend_below(figure, handles)
    return figure


def survival_words(results: Sequence[KeyStatistics]) -> str:
    """The figure in words, for who does not see it: how many keys of each run come within the metric's distances."""
    return " ".join(_words(result) for result in results)


def _words(result: KeyStatistics) -> str:
    curve, metric = survival(result), result.metric
    tail, said = predicted(result), []
    for distance in metric.distances:
        at = _place(curve, distance)
        low, high = (significant(100 * end[at], 2) for end in (curve.low, curve.high))
        share = f"{round(curve.share[at] * result.n):,} of {result.n:,} keys"
        said.append(f"{share} [{low}, {high} %] within {metric.distance_words(distance)}")
        if tail is not None and distance in tail.distance:
            said[-1] += f" (1 in {count_words(1 / tail.share[_place(tail, distance)])} by the fitted tail)"
    return f"{result.label}: {', '.join(said)}."


def _place(curve: Survival, distance: float) -> int:
    return int(np.flatnonzero(curve.distance == distance)[0])


def _looks(results: Sequence[KeyStatistics]) -> list[dict[str, Any]]:
    """Colour by base, kind of line by block size; marks tell runs apart that share both."""
    colours = scheme_colours(result.run.scheme for result in results)
    sizes = sorted({result.run.block_size for result in results})
    seen: Counter[tuple[str, int]] = Counter()  # of base and block size
    looks = []
    for run in (result.run for result in results):
        alike = taken_apart(run.scheme).base, run.block_size
        again = seen[alike]
        seen[alike] += 1
        looks.append(
            {
                "color": colours[run.scheme],
                "linestyle": LINES[sizes.index(run.block_size) % len(LINES)],
                "linewidth": 1.6,
                "marker": MARKERS[(again - 1) % len(MARKERS)] if again else "",
                "markersize": 5,
            }
        )
    return looks


def _draw_bands(axes: Axes, curve: Survival, tail: Survival | None, one: float, colour: str) -> None:
    """The 95 % intervals; `one`: the share that one key is."""
    low = np.maximum(curve.low, one / BELOW)  # no logarithm reaches 0
    axes.fill_between(curve.distance, low, curve.high, step="post", color=colour, **BAND)
    if tail is not None:
        axes.fill_between(tail.distance, tail.low, tail.high, color=colour, **BAND)


def _leave_room(axes: Axes, style: Style) -> None:
    """Keep the label of the ordinate away from its longest number, also where a browser lacks the font."""
    numbers = [_one_in(share) for share in axes.get_yticks() if share >= axes.get_ylim()[0]]
    longest = max(text_width(number, matplotlib.rcParams["ytick.labelsize"]) for number in numbers)
    axes.yaxis.labelpad += 72 * style.wider * longest


def _one_in(share: float) -> str:
    return f"1 in {1 / share:,.0f}" if share < 1 else "all"


def _finish(axes: Axes, metric: Metric, curves: Sequence[Survival], keys: int, tails: bool) -> None:
    """Axes, their limits and labels; `keys`: of the largest run."""
    axes.set_yscale("log")
    axes.set_ylim(1 / (BELOW * keys) if tails else 0.7 / keys, 1.0)
    middle = max(float(curve.distance[curve.share <= SHOWN].max(initial=0.0)) for curve in curves)
    axes.set_xlim(0.0, max(middle, 2 * metric.distances[0]))
    axes.yaxis.set_major_locator(LogLocator(10, numticks=12))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: _one_in(share)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("random keys that come this near")
    unit = "points" if metric.unit == "%" else metric.unit
    axes.set_xlabel(f"{metric.label}: distance from the plain model{f' ({unit})' if unit else ''}")
