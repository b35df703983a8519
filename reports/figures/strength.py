"""Effective bits of keys against their nominal bits: what a key space promises, and what guessing must really do."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from wrongkey.evaluation.run_folder.strength import Estimate
from wrongkey.reports.figures.beside import Mark, name_marks
from wrongkey.reports.figures.score_axes import Handles
from wrongkey.reports.figures.style import (
    GREY,
    INK,
    MARKERS,
    ShownFigure,
    legend_below,
    middle,
    new_figure,
    scheme_colours,
    short,
    styled,
)
from wrongkey.reports.strength.runs import StrengthRun

LINEAR = 8.0  # bits up to which both axes are linear; beyond they are logarithmic
MOST_TICKS = 8  # powers of two on an axis
ASIDE = 9.0  # points between marks at the same nominal bits
MOST_NAMED = 14  # marks; more have no room for their models' names


def strength_figure(runs: Sequence[StrengthRun]) -> Figure | None:
    """Draw effective bits against nominal bits, a mark for each run, with its interval.

    Effective bits are those of the smallest distance for which a run has any. Colour and mark: the scheme. Hollow:
    synthetic voices, or not known. On the diagonal nothing works but the key itself; of a continuum, what lies within
    its tolerance. Both axes are linear up to eight bits and logarithmic beyond, so that it is a straight line. A
    continuum that cannot be counted stands at the right.

    Parameters
    ----------
    runs : sequence of StrengthRun
        Of `find_strength`.

    Returns
    -------
    Figure or None
        Made without pyplot; None where no run has effective bits.

    Examples
    --------
    >>> from wrongkey.reports import find_strength
    >>> strength_figure(find_strength([])) is None
    True
    """
    drawn = [(run, run.nearest) for run in runs if run.nearest]
    if not drawn:
        return None
    with styled():
        figure = new_figure(5.2, 4.2)
        axes = figure.subplots()
        counted = [run.found.nominal_bits for run, _ in drawn if run.found.nominal_bits is not None]
        most = max([LINEAR, *counted])
        edge = _farther(most, 0.15) if len(counted) < len(drawn) else None
        _draw_diagonal(axes, most)
        places = [edge if run.found.nominal_bits is None else run.found.nominal_bits for run, _ in drawn]
        looks = _looks([run.found.scheme for run, _ in drawn])
        marks = []
        for number, ((run, nearest), place) in enumerate(zip(drawn, places, strict=True)):
            aside = ASIDE * (places[:number].count(place) - (places.count(place) - 1) / 2)
            name = _name(run) if len(drawn) <= MOST_NAMED else f"{run.found.block_size}"
            look = looks[run.found.scheme]
            marks.append(_draw_run(figure, axes, run, nearest, float(place or 0), aside, name, look))
        _finish(axes, [nearest for _, nearest in drawn], most, edge)
        axes.set_ylabel(f"effective bits {_near(runs)}".rstrip())
        legend_below(figure, _legend([run for run, _ in drawn], looks))
        name_marks(figure, axes, marks, 0.85 * matplotlib.rcParams["legend.fontsize"])
    return figure


def strength_caption(runs: Sequence[StrengthRun]) -> str:
    """What the figure shows, how to read it, and which runs are missing."""
    named = "model and block size M" if sum(bool(run.nearest) for run in runs) <= MOST_NAMED else "block size M"
    near = _near(runs) or "each to within its smallest distance"
    caption = (
        f"Effective against nominal bits of a key, {near}; beside each mark its {named}, and a bar for its interval. "
        "On the dashed line nothing works but the key itself (of a continuum, what lies within its tolerance); the "
        "farther below, the cheaper is guessing than the key space promises. Axes are logarithmic above "
        f"{LINEAR:g} bits."
    )
    if any(run.recordings != "real" for run in runs if run.nearest):
        caption += " Hollow: synthetic voices, or not known to be real; no evidence."
    left_out = [run.label for run in runs if not run.nearest]
    return caption + (f" Not drawn, because no bits are given: {'; '.join(left_out)}." if left_out else "")


def _near(runs: Sequence[StrengthRun]) -> str:
    """Such as "to within 1 point"; "" where that is not the same for all runs."""
    near = {run.metric.distance_words(run.nearest.within) for run in runs if run.nearest}
    return f"to within {near.pop()}" if len(near) == 1 else ""


def _draw_diagonal(axes: Axes, most: float) -> None:
    """Where effective bits are nominal bits, on axes that make it a straight line."""
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=1.2, base=2)
    axes.set_yscale("symlog", linthresh=LINEAR, linscale=1.2, base=2)
    bits = np.geomspace(LINEAR, max(2 * most, 2 * LINEAR), 64)
    bits = np.concatenate([[0.0], bits])
    axes.plot(bits, bits, color=INK, linestyle=(0, (5, 2)), linewidth=1.0, zorder=2)


def _draw_run(
    figure: ShownFigure,
    axes: Axes,
    run: StrengthRun,
    nearest: Estimate,
    nominal: float,
    aside: float,
    name: str,
    look: dict[str, Any],
) -> Mark:
    """One mark with its interval, moved by some points to the side."""
    moved = axes.transData + ScaledTranslation(aside / 72, 0, figure.dpi_scale_trans)
    bits = nearest.bits or 0.0
    low = bits if nearest.bits_low is None else nearest.bits_low
    high = bits if nearest.bits_high is None else nearest.bits_high
    face = look["color"] if run.recordings == "real" else "white"
    axes.plot([nominal] * 2, [low, high], color=look["color"], linewidth=1.6, transform=moved, zorder=3)
    for end in {low, high} - {bits}:
        axes.plot(nominal, end, "_", color=look["color"], markersize=6, transform=moved, zorder=3)
    axes.plot(
        nominal, bits, **look, linestyle="none", markersize=7, markerfacecolor=face, markeredgewidth=1.4,
        transform=moved, zorder=5,
    )  # fmt: skip
    return Mark(name, nominal, bits, moved)


def _finish(axes: Axes, estimates: Sequence[Estimate], most: float, edge: float | None) -> None:
    """Limits, ticks and labels; `edge`: where keys stand that cannot be counted."""
    highest = max(max(one.bits or 0.0, one.bits_high or 0.0) for one in estimates)
    axes.set_xlim(0, _farther(edge or most, 0.12))
    axes.set_ylim(0, max(1.25 * highest, LINEAR))
    for axis, end in ((axes.xaxis, most), (axes.yaxis, max(1.25 * highest, LINEAR))):
        powers = 2.0 ** np.arange(3, np.floor(np.log2(end)) + 1)
        axis.set_minor_locator(NullLocator())
        axis.set_major_locator(FixedLocator([0.0, 2.0, 4.0, *powers[:: -(-len(powers) // MOST_TICKS)]]))
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    if edge is not None:
        axes.axvline((most * edge) ** 0.5, color=GREY, linewidth=0.8)
        axes.text(
            edge, -0.035, "not\ncountable", ha="center", va="top", transform=axes.get_xaxis_transform(),
            size=matplotlib.rcParams["xtick.labelsize"],
        )  # fmt: skip
    axes.set_xlabel("nominal bits of the key")


def _farther(bits: float, share: float) -> float:
    """What lies farther right on the axis by a share of its length, which is 2.4 octaves up to `LINEAR`."""
    return float(bits * 2 ** (share * (2.4 + np.log2(bits / LINEAR))))


def _looks(schemes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and mark of each scheme: no two have the same mark, up to six."""
    colours = scheme_colours(schemes)
    return {
        scheme: {"color": colours[scheme], "marker": MARKERS[number % len(MARKERS)]}
        for number, scheme in enumerate(dict.fromkeys(schemes))
    }


def _legend(runs: Sequence[StrengthRun], looks: dict[str, dict[str, Any]]) -> Handles:
    """Schemes, what is hollow, and the diagonal."""
    names = {run.found.scheme: middle(run.scheme_name, 36) for run in runs}
    handles: Handles = [
        Line2D([], [], **looks[scheme], linestyle="none", markersize=7, label=name) for scheme, name in names.items()
    ]
    if any(run.recordings != "real" for run in runs):
        hollow: Any = {"marker": "o", "markerfacecolor": "white", "markeredgecolor": INK, "linestyle": "none"}
        handles.append(Line2D([], [], **hollow, markersize=7, label="hollow: no real speech"))
    handles.append(Line2D([], [], color=INK, linestyle=(0, (5, 2)), linewidth=1.0, label="effective = nominal"))
    return handles


def _name(run: StrengthRun) -> str:
    """Model and block size, the latter once: "asv-raw10", "asr-words, M = 10"."""
    found = run.found
    size = "" if found.model.endswith(str(found.block_size)) else f", M = {found.block_size}"
    return f"{short(found.model, 18)}{size}"
