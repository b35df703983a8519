"""The figures of the analyses: distance of weak and strong keys (paper, Fig. 10), what orders the errors, and
decryption with near keys (Fig. 7, and beyond). In the style of `wrongkey.reports.figures.violins`."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from wrongkey.reports.analyses import Analysis
from wrongkey.reports.figures.density import density, spread
from wrongkey.reports.figures.violins import COLOURS, HALF_WIDTH, STYLE

LOW, HIGH = "#BB5566", "#004488"  # keys that work, keys that protect
GREY = "#777777"
RUN_COLOURS = ("#004488", "#BB5566", "#DDAA33", "#117733", "#88CCEE", "#882255")
RUN_MARKERS = ("o", "s", "D", "v", "P", "X")
MOST_RUNS = len(RUN_COLOURS)
NEAR_MARKS = {"one transposition": "P", "one flipped sign": "X", "incorrect key": "."}
Values = NDArray[np.float64]


def distance_figure(analyses: Sequence[Analysis]) -> Figure | None:
    """Euclidean distance of speech in the low-error (left half) and the high-error group (right half) of each run.

    None where no run has groups.
    """
    shown = [analysis for analysis in analyses if analysis.about.get("groups")]
    if not shown:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(4.6, 1.5 + 1.3 * len(shown)), 4.2), layout="constrained")
        axes = figure.subplots()
        for place, analysis in enumerate(shown):
            for side, group, colour in ((-1, "low", LOW), (1, "high", HIGH)):
                values = analysis.rows.loc[analysis.rows["group"] == group, "euclidean"].to_numpy(dtype=np.float64)
                _half_violin(axes, place, side, values, colour)
        axes.set_xticks(range(len(shown)), ["\n".join(textwrap.wrap(analysis.label, 15)) for analysis in shown])
        axes.set(xlim=(-0.6, len(shown) - 0.4), ylabel="distance of speech, ‖X K′ - X K‖ / ‖X‖", ylim=(0, None))
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        handles = [Patch(color=LOW, alpha=0.6, label="low error: the keys that work best (a quarter)")]
        handles += [Patch(color=HIGH, alpha=0.6, label="high error: the keys that work worst (a quarter)")]
        figure.legend(handles=handles, loc="outside lower center", ncols=1, frameon=False, fontsize=8)
    return figure


def correlation_figure(analyses: Sequence[Analysis]) -> Figure | None:
    """Rank correlation of every measure with the error, with its 95 % interval over keys; one mark per run."""
    shown = [analysis for analysis in analyses if analysis.measures][:MOST_RUNS]
    if not shown:
        return None
    labels = {entry["name"]: entry for analysis in shown for entry in analysis.measures}
    names = list(labels)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 1.2 + 0.3 * len(names)), layout="constrained")
        axes = figure.subplots()
        for number, analysis in enumerate(shown):
            shift = (number - (len(shown) - 1) / 2) * 0.7 / max(len(shown), 3)
            for entry in analysis.measures:
                y = names.index(entry["name"]) + shift
                colour = RUN_COLOURS[number]
                axes.plot([entry["low"], entry["high"]], [y, y], color=colour, linewidth=1.8, solid_capstyle="butt")
                axes.plot(entry["correlation"], y, RUN_MARKERS[number], color=colour, markersize=4.5)
        axes.set_yticks(range(len(names)), [_measure_label(labels[name]) for name in names])
        axes.invert_yaxis()
        axes.axvline(0, color="#444444", linewidth=1)
        axes.set(xlim=(-1.03, 1.03), xlabel="rank correlation with the error")
        axes.grid(axis="both", color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)
        handles = [
            Line2D([], [], color=RUN_COLOURS[i], marker=RUN_MARKERS[i], linewidth=1.8, label=analysis.label)
            for i, analysis in enumerate(shown)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def scatter_figure(analyses: Sequence[Analysis]) -> Figure | None:
    """Error of every key against the Euclidean distance of the paper, and against the measure that orders it best."""
    shown = [analysis for analysis in analyses if analysis.strongest][:MOST_RUNS]
    if not shown:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 0.4 + 2.5 * len(shown)), layout="constrained")
        grid = figure.subplots(len(shown), 2, squeeze=False, sharey="row")
        for row, analysis in zip(grid, shown, strict=True):
            known = {entry["name"]: entry for entry in analysis.measures}
            strongest = analysis.strongest
            assert strongest is not None
            for axes, entry in zip(row, (known.get("euclidean"), strongest), strict=True):
                if entry is None:
                    axes.set_axis_off()
                    continue
                colour = COLOURS.get(analysis.scheme, GREY)
                axes.plot(analysis.rows[entry["name"]], analysis.rows["error"], ".", color=colour, markersize=3.5)
                axes.set_xlabel(_measure_label(entry), fontsize=8)
                half = " (other half)" if entry.get("held_out") else ""
                axes.set_title(f"{analysis.label}: {entry['correlation']:.2f}{half}", fontsize=8)
                axes.grid(color="#e4e4e4", linewidth=0.6)
                axes.set_axisbelow(True)
            row[0].set_ylabel(analysis.error_name)
    return figure


def near_figure(analyses: Sequence[Analysis]) -> Figure | None:
    """SNR, STOI and score of decryption against the error of the key: curves of geodesic steps, marks of other keys."""
    shown = analyses[:MOST_RUNS]
    if not shown:
        return None
    panels = [("snr", "SNR after decryption (dB)"), ("stoi", "intelligibility (STOI)"), ("score", shown[0].score_name)]
    panels = [(name, text) for name, text in panels if any(len(_near(a, name, "geodesic step")) for a in shown)]
    if not panels:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.2 + 2.9 * len(panels), 4.3), layout="constrained")
        for axes, (name, text) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for number, analysis in enumerate(shown):
                _draw_near(axes, analysis, name, RUN_COLOURS[number])
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator([0.01, 0.03, 0.1, 0.3, 1, 2]))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set(xlabel="relative error of the key", ylabel=text)
            axes.grid(color="#e4e4e4", linewidth=0.6)
            axes.set_axisbelow(True)
        handles: list[Any] = [
            Line2D([], [], color=RUN_COLOURS[i], marker="o", markersize=4, label=analysis.label)
            for i, analysis in enumerate(shown)
        ]
        marks = {"one transposition": "two elements swapped", "one flipped sign": "one sign flipped"}
        handles += [
            Line2D([], [], color=GREY, marker=mark, linestyle="none", label=marks.get(kind, kind))
            for kind, mark in NEAR_MARKS.items()
        ]
        if any(name == "score" for name, _ in panels):
            handles.append(Line2D([], [], color=GREY, linestyle=":", label="plain model"))
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
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
    columns = 3
    rows = -(-len(chosen) // columns)
    plain = pictures[("plain", None)]["value"]
    low, high = float(plain.min()), float(plain.max())
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 0.4 + 1.75 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for number, (axes, (name, step)) in enumerate(zip(grid.flat, chosen, strict=False)):
            values = pictures[name, step].pivot(index="bin", columns="frame", values="value").to_numpy()
            axes.set_axis_on()
            image = axes.imshow(
                values, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high, interpolation="none"
            )
            image.set_gid(f"picture-{number}")  # by default named after its content, which plain and decrypted share
            axes.set(xticks=[], yticks=[])
            title = name if name in ("plain", "encrypted") else f"decrypted: {name}"
            axes.set_title(title if step is None else f"{title} of {step:g}", fontsize=8)
    return figure


def _half_violin(axes: Axes, place: float, side: int, values: Values, colour: str) -> None:
    """One group: a density on its side, its median and quartiles; few values are dots."""
    shape = density(values)
    if shape is None:
        across = place + side * (0.06 + HALF_WIDTH * (spread(values, max(np.ptp(values), 1e-9) / 25) + 1) / 2)
        axes.plot(across, values, "o", color=colour, markeredgecolor="white", markersize=5)
    else:
        grid, heights = shape
        axes.fill_betweenx(grid, place, place + side * HALF_WIDTH * heights, facecolor=colour, alpha=0.55, linewidth=0)
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    x = place + side * 0.05
    axes.plot([x, x], [low, high], color="#1a1a1a", linewidth=4, solid_capstyle="butt", zorder=4)
    axes.plot(x, middle, "o", color="white", markeredgecolor="#1a1a1a", markersize=5, zorder=5)


def _draw_near(axes: Axes, analysis: Analysis, metric: str, colour: str) -> None:
    steps = _near(analysis, metric, "geodesic step")
    if len(steps):
        grouped = steps.groupby("step")
        x = grouped["error"].median()
        axes.fill_between(x, grouped["value"].min(), grouped["value"].max(), color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, grouped["value"].median(), "-o", color=colour, markersize=4, linewidth=1.5)
    for kind, mark in NEAR_MARKS.items():
        other = _near(analysis, metric, kind)
        axes.plot(other["error"], other["value"], mark, color=colour, markersize=5, alpha=0.7, markeredgewidth=0)
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
