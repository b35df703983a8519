"""The curves of the attacks: success against seconds of ciphertext, and against block size."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from wrongkey.reports.attacks.rows import AttackRun, Outcome
from wrongkey.reports.attacks.successes import DECRYPTED, KEY_ERROR
from wrongkey.reports.figures.violins import COLOURS, LINES, MARKERS, STYLE
from wrongkey.reports.runs import SCHEME_NAMES

GREY = "#777777"


def seconds_figure(runs: Sequence[AttackRun]) -> Figure | None:
    """Share of keys recovered, and SNR after decryption (median, quartiles), against seconds of ciphertext.

    One line per attack and run; None where no attack was given several amounts.
    """
    lines = [(run, outcomes) for run in runs for outcomes in _timed(run)]
    if not lines:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 4.4), layout="constrained")
        shares, levels = figure.subplots(1, 2)
        ticks: set[float] = set()
        sizes = sorted({run.block_size for run, _ in lines})
        for run, outcomes in lines:
            x = [_seconds(outcome) for outcome in outcomes]
            ticks |= set(x)
            look = {
                "color": COLOURS.get(run.scheme, GREY),
                "marker": MARKERS[sizes.index(run.block_size) % len(MARKERS)],
                "linestyle": LINES[sizes.index(run.block_size) % len(LINES)],
            }
            label = f"{run.label}: {outcomes[0].attack}"
            shares.plot(x, [100 * outcome.share for outcome in outcomes], label=label, **look)
            levels.plot(x, [outcome.median("snr") for outcome in outcomes], **look)
            low, high = np.array([outcome.quartiles("snr") for outcome in outcomes]).T
            levels.fill_between(x, low, high, color=look["color"], alpha=0.12, linewidth=0)
        shares.set(ylim=(-3, 103), ylabel=f"keys recovered, % (error < {KEY_ERROR:g} or SNR ≥ {DECRYPTED:.0f} dB)")
        levels.set(ylabel="SNR of the decrypted speech, dB")
        for axes in (shares, levels):
            _ticks(axes, sorted(ticks), "seconds of ciphertext of one speaker")
        figure.legend(loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure


def block_size_curves(runs: Sequence[AttackRun]) -> Figure | None:
    """Share of keys recovered and SNR against block size M, from ciphertext, each attack at its most seconds.

    One line per attack and scheme, apart for speech alone and for what models read; None where no attack from
    ciphertext ran at two block sizes.
    """
    lines: dict[tuple[str, str, bool], dict[int, Outcome]] = {}
    for run in runs:
        for timed in _timed(run):
            key = (timed[-1].attack, run.scheme, bool(run.setting.get("model")))
            lines.setdefault(key, {}).setdefault(run.block_size, timed[-1])
    lines = {key: points for key, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    attacks = list(dict.fromkeys(attack for attack, *_ in lines))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 4.4), layout="constrained")
        shares, levels = figure.subplots(1, 2)
        for (attack, scheme, model), points in lines.items():
            look: dict[str, Any] = {
                "color": COLOURS.get(scheme, GREY),
                "marker": MARKERS[attacks.index(attack) % len(MARKERS)],
                "linestyle": "--" if model else "-",
            }
            sizes = sorted(points)
            label = f"{attack}, {SCHEME_NAMES.get(scheme, scheme)}{', models’ queries' if model else ''}"
            shares.plot(sizes, [100 * points[size].share for size in sizes], label=label, **look)
            levels.plot(sizes, [points[size].median("snr") for size in sizes], **look)
        shares.set(ylim=(-3, 103), ylabel="keys recovered, %")
        levels.set(ylabel="SNR of the decrypted speech, dB")
        ticks = sorted({size for points in lines.values() for size in points})
        for axes in (shares, levels):
            _ticks(axes, ticks, "block size M")
        figure.legend(loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure


def _ticks(axes: Axes, ticks: Sequence[float], label: str) -> None:
    """A logarithmic axis with these ticks and no others."""
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    axes.grid(alpha=0.25)


def _timed(run: AttackRun) -> list[list[Outcome]]:
    """The outcomes of each attack that was given two or more different amounts of ciphertext, by seconds."""
    found: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in run.outcomes:
        if outcome.wants_key and np.isfinite(_seconds(outcome)):
            found.setdefault(outcome.case[:2], []).append(outcome)
    return [sorted(timed, key=_seconds) for timed in found.values() if len(set(map(_seconds, timed))) > 1]


def _seconds(outcome: Outcome) -> float:
    """Seconds of ciphertext of an outcome; NaN where it is all there is, or none."""
    value = float(outcome.rows["given_seconds"].iloc[0] or np.nan) if "given_seconds" in outcome.rows else np.nan
    return value if np.isfinite(value) else float("nan")
