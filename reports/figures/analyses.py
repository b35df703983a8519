"""Figures of the analyses: distance of weak and strong keys (paper, Fig. 10), what orders the errors, near keys.

Decryption with near keys is the paper's Fig. 7, continued beyond the keys that it shows.
"""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from wrongkey.keys.blocks import Blocks
from wrongkey.reports.analyses import Analysis
from wrongkey.reports.figures.density import has_density, narrowing
from wrongkey.reports.figures.spectrograms import Plate, Scale, plate_figure
from wrongkey.reports.figures.style import (
    GREY,
    GREYS,
    INK,
    LINES,
    MARKERS,
    legend_below,
    lighter,
    middle,
    new_figure,
    scheme_colours,
    styled,
    wrapped,
)
from wrongkey.reports.statistics.key_statistics import Array

GROUPS = dict(zip(("low", "high"), GREYS, strict=True))  # keys that work, keys that protect
GROUP_NAMES = {
    "low": "low error: the keys that work best (a quarter)",
    "high": "high error: the keys that work worst (a quarter)",
}
MOST_RUNS = len(MARKERS)  # of one figure: each has a marker of its own, and the colour of its scheme
MOST_POINTS = 5000  # of a scatter plot as vectors; more are a picture in it
NEAR_MARKS = {"one transposition": "P", "one flipped sign": "X", "incorrect key": "o"}
NEAR_NAMES = {"one transposition": "two elements swapped", "one flipped sign": "one sign flipped"}
BODY = 0.45  # of a group's grey in the body of its half violin
EXAMPLE_WINDOW, EXAMPLE_HOP = 256, 128  # samples of the spectrograms of `analyse decryption`
SPLIT_WIDTH = 0.76  # of both halves of a violin, where neighbours are 1 apart


def distance_figure(analyses: Sequence[Analysis]) -> Figure | None:
    """Euclidean distance of speech in the low-error (left half) and the high-error group (right half) of each run.

    None where no run has groups.
    """
    shown = [analysis for analysis in analyses if analysis.about.get("groups")]
    if not shown:
        return None
    with styled() as style:
        figure = new_figure(max(4.6, 1.5 + 1.3 * len(shown)), 4.2)
        axes = figure.subplots()
        size = matplotlib.rcParams["xtick.labelsize"]
        room = (figure.get_figwidth() - 0.8) / len(shown)
        for place, analysis in enumerate(shown):
            for group in GROUPS:
                rows = analysis.rows[analysis.rows["group"] == group]
                _draw_group(axes, place, group, rows["euclidean"].to_numpy(dtype=np.float64))
        labels = [
            "\n".join(wrapped(middle(part), 0.95 * room, size) for part in one.label.split(", ")) for one in shown
        ]
        axes.set_xticks(range(len(shown)), labels, linespacing=style.linespacing)
        axes.set(xlim=(-0.6, len(shown) - 0.4), ylim=(0, None))
        axes.set(xlabel="", ylabel="distance of speech, ‖X K′ - X K‖ / ‖X‖")
        axes.tick_params(axis="x", length=0)
        axes.grid(False, axis="x")
        handles = [
            Patch(facecolor=lighter(GROUPS[group], BODY), edgecolor=GROUPS[group], label=name)
            for group, name in GROUP_NAMES.items()
        ]
        legend_below(figure, handles)
    return figure


def correlation_figure(analyses: Sequence[Analysis]) -> Figure | None:
    """Rank correlation of every measure with the error, with its 95 % interval over keys; one mark per run."""
    shown = [analysis for analysis in analyses if analysis.measures][:MOST_RUNS]
    if not shown:
        return None
    entries = [(number, entry) for number, analysis in enumerate(shown) for entry in analysis.measures]
    labels = {entry["name"]: _measure_label(entry) for _, entry in entries}
    # Three rows for each interval: seaborn takes the median for the mark and the range for the bar.
    ends = pd.DataFrame(
        [
            {"run": number, "measure": entry["name"], "correlation": entry[end]}
            for number, entry in entries
            for end in ("low", "correlation", "high")
        ]
    )
    with styled():
        colours = _run_colours(shown)
        figure = new_figure(7.2, 1.2 + 0.3 * len(labels))
        axes = figure.subplots()
        sns.pointplot(
            ends,
            x="correlation",
            y="measure",
            hue="run",
            order=list(labels),
            orient="y",
            estimator="median",
            errorbar=("pi", 100),
            dodge=0.7 * (len(shown) - 1) / max(len(shown), 3) if len(shown) > 1 else False,
            palette=colours,
            markers=list(MARKERS[: len(shown)]),
            linestyle="none",
            markersize=4.5,
            err_kws={"linewidth": 1.8, "solid_capstyle": "butt"},
            legend=False,
            ax=axes,
        )
        axes.set_yticks(range(len(labels)), list(labels.values()))
        axes.axvline(0, color="#444444", linewidth=1)
        axes.set(xlim=(-1.03, 1.03), xlabel="rank correlation with the error", ylabel="")
        axes.grid(True, axis="both")
        handles = [
            Line2D([], [], color=colours[i], marker=MARKERS[i], markersize=4.5, linewidth=1.8, label=analysis.label)
            for i, analysis in enumerate(shown)
        ]
        legend_below(figure, handles)
    return figure


def scatter_figure(analyses: Sequence[Analysis]) -> Figure | None:
    """Error of every key against the Euclidean distance of the paper, and against the measure that orders it best."""
    shown = [analysis for analysis in analyses if analysis.strongest][:MOST_RUNS]
    if not shown:
        return None
    with styled():
        figure = new_figure(6.6, 0.4 + 2.5 * len(shown))
        grid = figure.subplots(len(shown), 2, squeeze=False, sharey="row")
        room = figure.get_figwidth() / 2 - 0.5  # inches of a title
        for (left, right), analysis, colour in zip(grid, shown, _run_colours(shown), strict=True):
            known = {entry["name"]: entry for entry in analysis.measures}
            _draw_scatter(left, analysis, known.get("euclidean"), colour, room)
            _draw_scatter(right, analysis, analysis.strongest, colour, room)
            left.set_ylabel(analysis.error_name)
    return figure


def near_figure(analyses: Sequence[Analysis]) -> Figure | None:
    """SNR, STOI and score of decryption against the error of the key: curves of geodesic steps, marks of other keys."""
    shown = analyses[:MOST_RUNS]
    if not shown:
        return None
    names = {"snr": "SNR after decryption (dB)", "stoi": "intelligibility (STOI)", "score": shown[0].score_name}
    panels = {
        name: text for name, text in names.items() if any(len(_near(one, name, "geodesic step")) for one in shown)
    }
    if not panels:
        return None
    with styled():
        colours = _run_colours(shown)
        figure = new_figure(2.2 + 2.9 * len(panels), 4.3)
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (name, text) in zip(grid, panels.items(), strict=True):
            for number, analysis in enumerate(shown):
                _draw_near(axes, analysis, name, colours[number], LINES[number])
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator([0.01, 0.03, 0.1, 0.3, 1, 2]))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set(xlabel="relative error of the key", ylabel=text)
        handles: list[Any] = [
            Line2D([], [], color=colours[i], linestyle=LINES[i], marker="o", markersize=4, label=analysis.label)
            for i, analysis in enumerate(shown)
        ]
        handles += [
            Line2D([], [], color=GREY, marker=mark, markersize=5, linestyle="none", label=NEAR_NAMES.get(kind, kind))
            for kind, mark in NEAR_MARKS.items()
        ]
        if "score" in panels:
            handles.append(Line2D([], [], color=GREY, linestyle=":", label="plain model"))
        legend_below(figure, handles)
    return figure


def example_figure(analysis: Analysis) -> Figure | None:
    """Spectrograms of one utterance, plain, encrypted and decrypted with keys nearer and farther (paper, Fig. 7)."""
    table = analysis.companion("decryption-example", ("picture", "step", "frame", "bin", "value"))
    if table is None or table.empty:
        return None
    pictures = {
        (str(name), None if math.isnan(step) else step): rows
        for (name, step), rows in table.groupby(["picture", "step"], dropna=False, sort=False, observed=True)
    }
    steps = sorted(step for _, step in pictures if step is not None)
    chosen: list[tuple[str, float | None]] = [("plain", None), ("encrypted", None), ("correct key", None)]
    chosen += [("geodesic step", step) for step in _spaced(steps[len(steps) // 2 :], 3)]
    chosen += [("one transposition", None), ("one flipped sign", None), ("incorrect key", None)]
    chosen = [key for key in chosen if key in pictures]
    plain = pictures[("plain", None)]["value"]
    rate = _example_rate(analysis)
    if analysis.setting.get("blocks") == Blocks.SAMPLES:
        known = rate or 1
        scale = Scale(EXAMPLE_HOP / known, known / EXAMPLE_WINDOW / 1000, low=float(plain.min()))
        if rate is None:
            scale = Scale(1, 1, "frame", "bin", low=float(plain.min()))
    else:
        scale = Scale(1, 1, "frame", "bin", "value", float(plain.min()), float(plain.max()))
    plates = []
    for name, step in chosen:
        values = pictures[name, step].pivot(index="bin", columns="frame", values="value").to_numpy(dtype=np.float64)
        title = name if name in ("plain", "encrypted") else f"decrypted:\n{name}"
        plates.append(Plate(title if step is None else f"{title} of {step:g}", None, values))
    return plate_figure(plates, rate or 1, scale)


def _example_rate(analysis: Analysis) -> int | None:
    """Samples a second of the speech of `example_figure`; None where an older analysis does not say it."""
    rate = (analysis.about.get("example") or {}).get("rate")
    return rate if isinstance(rate, int) and rate > 0 else None


def _run_colours(analyses: Sequence[Analysis]) -> list[str]:
    """The colour of each run: that of its scheme."""
    colours = scheme_colours(analysis.scheme for analysis in analyses)
    return [colours[analysis.scheme] for analysis in analyses]


def _draw_group(axes: Axes, place: int, group: str, values: Array) -> None:
    """One group of keys: half a violin on its side, with its median and quartiles; few values are dots."""
    shared: Any = {"x": np.full(len(values), place), "y": values, "native_scale": True, "legend": False, "ax": axes}
    shared |= {"hue": np.full(len(values), group), "hue_order": list(GROUPS), "dodge": True}
    if has_density(values):
        sns.violinplot(
            **shared,
            palette={name: lighter(colour, BODY) for name, colour in GROUPS.items()},
            linecolor=GROUPS[group],
            split=True,
            width=SPLIT_WIDTH,
            density_norm="width",
            cut=0,
            gridsize=256,
            bw_adjust=narrowing(values),
            saturation=1,
            linewidth=1,
            inner=None,
        )
    else:
        sns.swarmplot(**shared, palette=GROUPS, edgecolor="white", linewidth=0.8, size=5, warn_thresh=1)
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    x = place + (-0.05 if group == "low" else 0.05)
    axes.plot([x, x], [low, high], color=INK, linewidth=4, solid_capstyle="butt", zorder=4)
    axes.plot(x, middle, "o", color="white", markeredgecolor=INK, markersize=5, zorder=5)


def _draw_scatter(axes: Axes, analysis: Analysis, entry: dict[str, Any] | None, colour: str, room: float) -> None:
    """Error of every key against one measure; nothing where the analysis does not have it."""
    if entry is None:
        axes.set_axis_off()
        return
    x, y = analysis.rows[entry["name"]], analysis.rows["error"]
    many = len(analysis.rows) > MOST_POINTS
    sns.scatterplot(x=x, y=y, color=colour, s=9, linewidth=0, legend=False, rasterized=many, ax=axes)
    size = matplotlib.rcParams["axes.titlesize"]
    axes.set_xlabel(wrapped(_measure_label(entry), room, matplotlib.rcParams["axes.labelsize"]))
    half = " (other half)" if entry.get("held_out") else ""
    axes.set_title(wrapped(f"{middle(analysis.label)}: {entry['correlation']:.2f}{half}", room, size))


def _draw_near(axes: Axes, analysis: Analysis, metric: str, colour: str, line: Any) -> None:
    """One metric of one run: median and range over the keys of each geodesic step, and a mark for every other key."""
    steps = _near(analysis, metric, "geodesic step")
    if len(steps):
        sns.lineplot(
            x=steps.groupby("step")["error"].transform("median"),
            y=steps["value"],
            estimator="median",
            errorbar=("pi", 100),
            err_kws={"alpha": 0.15, "linewidth": 0},
            color=colour,
            marker="o",
            markersize=4,
            markeredgewidth=0,
            linestyle=line,
            linewidth=1.5,
            legend=False,
            ax=axes,
        )
    for kind, mark in NEAR_MARKS.items():
        other = _near(analysis, metric, kind)
        look: Any = {"marker": mark, "s": 12 if mark == "o" else 25, "alpha": 0.7, "linewidth": 0}
        sns.scatterplot(x=other["error"], y=other["value"], color=colour, legend=False, ax=axes, **look)
    if metric == "score" and isinstance(analysis.about.get("plain"), float):
        axes.axhline(analysis.about["plain"], color=colour, linestyle=":", linewidth=1.3)


def _near(analysis: Analysis, metric: str, kind: str) -> pd.DataFrame:
    """Each key of a kind: its step, key error and the median of a metric over utterances; `score` is the task's."""
    rows = analysis.rows[analysis.rows["kind"] == kind]
    name = str(analysis.about.get("metric")) if metric == "score" else metric
    errors = rows[rows["metric"] == "key_error"].groupby("draw")["value"].median()
    values = rows[rows["metric"] == name].groupby("draw")["value"].median()
    steps = rows.groupby("draw")["step"].first()
    return pd.DataFrame({"step": steps, "error": errors, "value": values}).dropna(subset=["error", "value"])


def _measure_label(entry: dict[str, Any]) -> str:
    return f"{entry['label']}{' (needs no key)' if entry.get('keyless') else ''}"


def _spaced(steps: Sequence[float], count: int) -> list[float]:
    """At most `count` of the steps, the first and the last among them."""
    if len(steps) <= count:
        return list(steps)
    return [steps[round(i * (len(steps) - 1) / (count - 1))] for i in range(count)]
