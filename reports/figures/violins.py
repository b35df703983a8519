"""The figures: scores over incorrect keys as violins (paper, Figs. 9 and 11) and scores against block size.

Drawn with matplotlib's objects and no pyplot, so nothing global is left behind. Names from run folders are
drawn as they are (no mathematics in dollar signs). Colours keep different lightness in greyscale (Paul Tol's
high-contrast scheme); a scheme has the same colour in every figure. SVG files are the same bytes every time.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, ScalarFormatter

from wrongkey.files import write_atomically
from wrongkey.printable import printable
from wrongkey.reports.figures.density import density as density
from wrongkey.reports.figures.density import spread as spread
from wrongkey.reports.metrics import Metric
from wrongkey.reports.runs import SCHEME_NAMES
from wrongkey.reports.statistics.key_statistics import KeyStatistics
from wrongkey.reports.tables import keys_text

HALF_WIDTH = 0.38  # of a violin, where neighbours are 1 apart
STAR_WIDTH = 0.15  # half a star, on the same scale
LEVEL_LABELS = 6  # so many runs have room for level labels
# matplotlib's own defaults first: a matplotlibrc of the user's, or of the working directory, changes no report.
STYLE: Any = {
    **{
        name: value
        for name, value in matplotlib.rcParamsDefault.items()
        if name not in ("backend", "backend_fallback", "interactive", "toolbar")
    },
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
    "svg.hashsalt": "wrongkey",
}
COLOURS = {"rom": "#004488", "shuffling": "#DDAA33", "flipping": "#BB5566"}
_MORE_COLOURS = ("#117733", "#88CCEE", "#882255", "#777777")
MARKERS = ("o", "s", "D", "v", "P", "X")
LINES = ("-", "--", ":", "-.")
_INK = "#1a1a1a"
_CHANCE: Any = {"color": "#444444", "linestyle": ":", "linewidth": 1.3}
_LOGARITHMIC_ABOVE = 100.0  # percent, of an axis whose scores go far beyond
_FAR_BEYOND = 250.0
_TICKS = (0, 20, 40, 60, 80, 100, 200, 500, 1000, 2000, 5000, 10_000)


def violin_figure(results: Sequence[KeyStatistics]) -> Figure:
    """One violin per run: the scores of its incorrect keys, with median and quartiles inside.

    Star: plain model. Horizontal mark: correct key, which must coincide with the star; where the model carries no
    key, plain speech, at the star. Triangle: the incorrect key that works best. Dotted line: chance, where the metric
    has one. A density ends at the smallest and the largest score; runs of fewer than `FEW_KEYS` keys show every score
    as a dot instead.
    """
    metric = _one_metric(results)
    with matplotlib.rc_context(STYLE):
        tilted = len(results) > LEVEL_LABELS
        width = max(4.6, 1.5 + (0.66 if tilted else 1.05) * len(results))
        figure = Figure(figsize=(width, 5.4 if tilted else 4.2), layout="constrained")
        axes = figure.subplots()
        colours = scheme_colours(results)
        for position, result in enumerate(results):
            _draw_distribution(axes, position, result, colours[result.run.scheme])
        _draw_chance(axes, metric)
        axes.set_xlim(-0.7, len(results) - 0.3)
        _label_runs(axes, results, tilted)
        _finish_score_axis(axes, metric)
        _legend(figure, _violin_legend(results, colours, metric))
    return figure


def block_size_figure(results: Sequence[KeyStatistics]) -> Figure:
    """Score against block size M: median and 5–95 % band over incorrect keys.

    One line per scheme, model family, corpus, threat variant and way to cut blocks. Triangle: the incorrect key that
    works best. Star: plain model. M is on a logarithmic axis where it spans more than a factor of ten.
    """
    metric = _one_metric(results)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        colours = scheme_colours(results)
        series = _series(results)
        sizes = sorted({result.run.block_size for result in results})
        logarithmic = sizes[-1] / sizes[0] > 10
        lines = list(dict.fromkeys(key.line for key in series))
        corpora, blocks = {key.corpus for key in series}, {key.blocks for key in series}
        handles: list[Line2D | Patch] = []
        for number, (key, members) in enumerate(series.items()):
            look: dict[str, Any] = {
                "color": colours[key.scheme],
                "marker": MARKERS[lines.index(key.line) % len(MARKERS)],
                "linestyle": LINES[lines.index(key.line) % len(LINES)],
            }
            shift = _shift(number, len(series), sizes, logarithmic)
            _draw_series(axes, members, shift, look)
            name = [key.family, SCHEME_NAMES.get(key.scheme, key.scheme), key.corpus if len(corpora) > 1 else ""]
            name += [key.blocks if len(blocks) > 1 else "", key.variant]
            label = ", ".join(_short(part) for part in name if part)
            handles.append(Line2D([], [], **look, markeredgecolor="white", label=label))
        for line, linestyle in zip(lines, cycle(LINES)):
            ordered = sorted(results, key=lambda result: result.run.block_size)
            _draw_plain_line(axes, [r for r in ordered if _Key.of(r).line == line], linestyle)
        if logarithmic:
            axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([str(size) for size in sizes])
        axes.margins(x=0.09)
        axes.set_xlabel("Block size M")
        _draw_chance(axes, metric)
        _finish_score_axis(axes, metric)
        handles.append(Patch(facecolor="#bbbbbb", label="line: median; band: 5–95 % of keys"))
        handles += _shared_legend(results, metric, _tip(metric))
        _legend(figure, handles)
    return figure


def save_figure(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write `<name>.png` (200 dpi) and `<name>.svg` into `folder` and return both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    FigureCanvasAgg(figure)
    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text(), keep="\n"))
    with matplotlib.rc_context(STYLE):
        write_atomically(png, lambda file: figure.savefig(file, format="png", dpi=200, metadata={"Software": None}))
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        write_atomically(svg, lambda file: figure.savefig(file, format="svg", metadata=nothing))
    return png, svg


def scheme_colours(results: Sequence[KeyStatistics]) -> dict[str, str]:
    """Scheme -> colour: fixed for the paper's schemes, in order of appearance for a user's own."""
    others = [scheme for scheme in dict.fromkeys(r.run.scheme for r in results) if scheme not in COLOURS]
    return COLOURS | {scheme: _MORE_COLOURS[i % len(_MORE_COLOURS)] for i, scheme in enumerate(others)}


def _draw_distribution(axes: Axes, position: int, result: KeyStatistics, colour: str) -> None:
    shape = density(result.values)
    if shape is not None:
        grid, heights = shape
        half = HALF_WIDTH * heights
        axes.fill_betweenx(
            grid,
            position - half,
            position + half,
            facecolor=_lighter(colour, 0.45),
            edgecolor=colour,
            linewidth=1.0,
        )
        low, high = result.quantiles[0.25], result.quantiles[0.75]
        axes.plot([position] * 2, [low, high], color=_INK, linewidth=5, solid_capstyle="butt", zorder=4)
        axes.plot(position, result.median, "o", color="white", markeredgecolor=_INK, markersize=5, zorder=5)
    else:
        reach = max(float(np.ptp(result.values)), 0.02 * abs(result.median), 1e-9)
        across = position + HALF_WIDTH * spread(result.values, reach / 25)
        axes.plot(across, result.values, "o", color=colour, markeredgecolor="white", markersize=6, zorder=4)
        ends = [position - 0.75 * HALF_WIDTH, position + 0.75 * HALF_WIDTH]
        axes.plot(ends, [result.median] * 2, color=_INK, linewidth=1.6, zorder=3)
    worst = result.worst.score.value
    wide = 0.75 if shape is None else float(np.interp(worst, *shape))
    beside = position + max(HALF_WIDTH * wide, STAR_WIDTH) + 0.02  # where neither shape nor star covers it
    axes.plot(beside, worst, marker=4, color=colour, markersize=7, zorder=6)  # a triangle that points left
    reached = result.correct if result.run.keyed else result.plain
    if reached is not None:
        ends = [position - HALF_WIDTH, position + HALF_WIDTH]
        axes.plot(ends, [reached.value] * 2, color=_INK, linewidth=1.4, zorder=6)
    if result.plain is not None:
        _draw_plain(axes, position, result.plain.value)


def _draw_plain(axes: Axes, x: float, value: float) -> None:
    axes.plot(x, value, "*", color=_INK, markeredgecolor="white", markeredgewidth=0.7, markersize=13, zorder=7)


def _draw_chance(axes: Axes, metric: Metric) -> None:
    """The dotted line of chance, on white so that a grid line at the same score does not fill its gaps."""
    if metric.chance is not None:
        axes.axhline(metric.chance, color="white", linewidth=1.8, zorder=0.6)
        axes.axhline(metric.chance, **_CHANCE, zorder=0.7)


def _tip(metric: Metric) -> Any:
    """The marker whose tip touches the worst score from outside: matplotlib's CARETUP or CARETDOWN."""
    return 6 if metric.higher_is_safer else 7


def _draw_series(axes: Axes, members: list[KeyStatistics], shift: "_Shift", look: dict[str, Any]) -> None:
    """One line against block size: the runs of one `_Key`."""
    x = [shift(member.run.block_size) for member in members]
    colour, tip = look["color"], _tip(members[0].metric)
    low, high = ([member.quantiles[q] for member in members] for q in (0.05, 0.95))
    if len(members) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0, zorder=1)
    axes.vlines(x, low, high, color=colour, alpha=0.55, linewidth=4, zorder=2)
    medians = [member.median for member in members]
    axes.plot(x, medians, **look, markersize=7, markeredgecolor="white", linewidth=1.6, zorder=4)
    worst = [member.worst.score.value for member in members]
    axes.plot(x, worst, marker=tip, color=colour, markeredgecolor="white", markersize=8, linestyle="none", zorder=8)


def _draw_plain_line(axes: Axes, members: list[KeyStatistics], linestyle: str) -> None:
    """The plain models of runs that differ in scheme and block size only, joined in their line style."""
    plain = {m.run.block_size: m.plain.value for m in members if m.plain is not None}
    axes.plot(list(plain), list(plain.values()), color=_INK, linestyle=linestyle, linewidth=0.8, zorder=3)
    for size, value in plain.items():
        _draw_plain(axes, size, value)


class _Shift:
    """Moves a series a little sideways, so that marks at the same block size stand next to each other."""

    def __init__(self, step: float, logarithmic: bool) -> None:
        self.step, self.logarithmic = step, logarithmic

    def __call__(self, size: int) -> float:
        return size * math.exp(self.step) if self.logarithmic else size + self.step


def _shift(number: int, count: int, sizes: Sequence[int], logarithmic: bool) -> _Shift:
    span = math.log(sizes[-1] / sizes[0]) if logarithmic else float(sizes[-1] - sizes[0])
    return _Shift((number - (count - 1) / 2) * 0.016 * span, logarithmic)


class _Key(NamedTuple):
    """What the runs on one line of the figure over block sizes have in common."""

    family: str
    corpus: str
    variant: str
    blocks: str
    scheme: str

    @classmethod
    def of(cls, result: KeyStatistics) -> "_Key":
        run = result.run
        return cls(run.family, run.corpus, run.variant_label, run.blocks, run.scheme)

    @property
    def line(self) -> tuple[str, str, str, str]:
        """What decides marker and line style; the scheme decides the colour."""
        return self.family, self.corpus, self.variant, self.blocks


def _series(results: Sequence[KeyStatistics]) -> dict[_Key, list[KeyStatistics]]:
    """The runs of each line by block size, lines in the order of the runs."""
    series: dict[_Key, list[KeyStatistics]] = {_Key.of(result): [] for result in results}
    for result in sorted(results, key=lambda r: r.run.block_size):
        series[_Key.of(result)].append(result)
    return series


def _finish_score_axis(axes: Axes, metric: Metric) -> None:
    """Label, grid and limits, from a little below 0; logarithmic above 100 % where a word error rate goes far beyond.

    Nothing is clipped: a rate of 900 % is drawn where it is, and does not press everything below 100 % together.
    """
    axes.set_ylabel(f"{metric.axis}  ({metric.safer} is safer)")
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    low, high = axes.get_ylim()
    if metric.unit == "%" and high > _FAR_BEYOND:
        axes.set_yscale("symlog", linthresh=_LOGARITHMIC_ABOVE, linscale=2)
        axes.yaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if tick <= 1.05 * high]))
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel(f"{metric.axis}, logarithmic above 100\n({metric.safer} is safer)")
        axes.set_ylim(-4, 1.15 * high)
        return
    axes.set_ylim(max(low, -0.04 * high) if low < 0 else min(low, 0.0 - 0.02 * high), high + 0.02 * (high - low))


def _label_runs(axes: Axes, results: Sequence[KeyStatistics], tilted: bool) -> None:
    labels = [_run_label(result, tilted) for result in results]
    axes.set_xticks(range(len(results)))
    axes.set_xticklabels(
        labels,
        rotation=60 if tilted else 0,
        va="center" if tilted else "top",
        multialignment="right" if tilted else "center",
        ha="right" if tilted else "center",
        rotation_mode="anchor" if tilted else "default",
        parse_math=False,
    )
    axes.tick_params(axis="x", length=0, pad=13 if tilted else 4)


def _run_label(result: KeyStatistics, tilted: bool) -> str:
    """Model, scheme, block size; whatever else tells the run apart; unusual variant and number of keys, never cut."""
    keys = f"{keys_text(result)} key{'s' if result.n != 1 else ''}"
    model, variant = result.run.model, result.run.variant_label
    rest = result.label.removeprefix(f"{model}, ")
    if variant:
        rest = rest.replace(f", {result.run.variant_words}", "", 1)
        keys = f"{_short(variant, 24) if tilted else textwrap.fill(_short(variant), 15)}\n{keys}"
    if tilted:
        return f"{_short(model, 24)}\n{_short(rest, 24)}\n{keys}"
    lines = [line for part in (model, *rest.split(", ")) for line in textwrap.wrap(_tidy(part), 15)]
    return "\n".join([*lines[:6], keys])


def _violin_legend(
    results: Sequence[KeyStatistics], colours: Mapping[str, str], metric: Metric
) -> list[Line2D | Patch]:
    schemes = list(dict.fromkeys(result.run.scheme for result in results))
    handles: list[Line2D | Patch] = []
    if len(schemes) > 1:
        handles += [
            Patch(
                facecolor=_lighter(colours[s], 0.45),
                edgecolor=colours[s],
                label=SCHEME_NAMES.get(s, _tidy(s)),
            )
            for s in schemes
        ]
    if any(density(result.values) is not None for result in results):
        handles.append(
            Line2D(
                [],
                [],
                color=_INK,
                linewidth=5,
                marker="o",
                markerfacecolor="white",
                label="median, quartiles",
            )
        )
    if any(density(result.values) is None for result in results):
        handles.append(Line2D([], [], color=_INK, linewidth=1.6, marker="o", label="each key, median"))
    keyed = {result.run.keyed for result in results}
    names = [name for name, is_keyed in (("correct key", True), ("plain speech", False)) if is_keyed in keyed]
    handles.append(Line2D([], [], color=_INK, linewidth=1.4, label=" or ".join(names)))
    return handles + _shared_legend(results, metric, 4)


def _shared_legend(results: Sequence[KeyStatistics], metric: Metric, marker: Any) -> list[Line2D | Patch]:
    best = "best incorrect key" if any(result.run.keyed for result in results) else "key that hides least"
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=_INK, marker="*", markersize=11, linestyle="none", label="plain model"),
        Line2D([], [], color="#555555", marker=marker, markersize=7, linestyle="none", label=best),
    ]
    if metric.chance is not None:
        handles.append(Line2D([], [], **_CHANCE, label="chance"))
    return handles


def _legend(figure: Figure, handles: Sequence[Line2D | Patch]) -> None:
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = min(len(handles), max(1, int(figure.get_figwidth() / (0.6 + 0.062 * longest))))
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=columns, frameon=False, fontsize=8, handlelength=2.6
    )


def _one_metric(results: Sequence[KeyStatistics]) -> Metric:
    """The metric of all results, without a chance where classifiers choose from differently many classes."""
    metrics = {result.metric for result in results}
    if len({metric.name for metric in metrics}) != 1:
        raise ValueError(f"a figure shows one metric, not {len(metrics)}")
    return metrics.pop() if len(metrics) == 1 else replace(results[0].metric, chance=None)


def _lighter(colour: str, amount: float) -> tuple[float, float, float]:
    """The colour mixed with white: opaque, so that it prints the same everywhere."""
    red, green, blue = (1 - (1 - part) * (1 - amount) for part in to_rgb(colour))
    return red, green, blue


def _short(name: str, most: int = 28) -> str:
    name = _tidy(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def _tidy(name: str) -> str:
    """A name on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())
