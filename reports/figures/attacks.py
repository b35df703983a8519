"""The curves of the attacks: success against seconds of ciphertext, and against block size."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED
from wrongkey.reports.attacks.rows import AttackRun, Outcome
from wrongkey.reports.attacks.successes import numbers
from wrongkey.reports.figures.style import COLOURS, GREY, LINES, MARKERS, new_figure, styled
from wrongkey.reports.runs import SCHEME_NAMES

SIZE = (8.6, 4.4)  # inches, of two panels side by side


def seconds_figure(runs: Sequence[AttackRun]) -> Figure | None:
    """Share of keys recovered, and SNR after decryption (median, quartiles), against seconds of ciphertext.

    One line per attack, variant and run: the colour is the scheme, the marker the attack and the line style the block
    size. None where no attack was given several durations.
    """
    lines = [(run, outcomes) for run in runs for outcomes in _timed(run)]
    if not lines:
        return None
    sizes = sorted({run.block_size for run, _ in lines})
    kinds = list(dict.fromkeys(outcomes[0].kind[:2] for _, outcomes in lines))  # attack and variant
    with styled():
        figure = new_figure(*SIZE)
        shares, levels = figure.subplots(1, 2)
        for run, outcomes in lines:
            attack, variant = outcomes[0].kind[:2]
            look = {
                "color": COLOURS.get(run.scheme, GREY),
                "marker": MARKERS[kinds.index((attack, variant)) % len(MARKERS)],
                "linestyle": LINES[sizes.index(run.block_size) % len(LINES)],
            }
            seconds = [(_seconds(outcome), outcome) for outcome in outcomes]
            label = f"{run.label}: {attack}" + (f", {variant}" if variant else "")
            _draw_line(shares, levels, seconds, label, look, quartiles=True)
        ticks = sorted({_seconds(outcome) for _, outcomes in lines for outcome in outcomes})
        shares.set_ylabel(f"keys recovered, % (error < {RECOVERED:g} or SNR ≥ {DECRYPTED:.0f} dB)")
        _finish(figure, shares, levels, ticks, "seconds of ciphertext of one speaker")
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
    with styled():
        figure = new_figure(*SIZE)
        shares, levels = figure.subplots(1, 2)
        for (attack, scheme, model), points in lines.items():
            look = {
                "color": COLOURS.get(scheme, GREY),
                "marker": MARKERS[attacks.index(attack) % len(MARKERS)],
                "linestyle": "--" if model else "-",
            }
            label = f"{attack}, {SCHEME_NAMES.get(scheme, scheme)}{', models’ queries' if model else ''}"
            _draw_line(shares, levels, sorted(points.items()), label, look, quartiles=False)
        ticks = sorted({size for points in lines.values() for size in points})
        shares.set_ylabel("keys recovered, %")
        _finish(figure, shares, levels, ticks, "block size M")
    return figure


def _draw_line(
    shares: Axes,
    levels: Axes,
    points: Sequence[tuple[float, Outcome]],
    label: str,
    look: dict[str, Any],
    quartiles: bool,
) -> None:
    """One attack in both panels, by places on the horizontal axis: shares, and medians of the SNR over trials."""
    look = {**look, "linewidth": 1.5, "markersize": 6, "legend": False}
    x = [place for place, _ in points]
    sns.lineplot(x=x, y=[100 * outcome.share for _, outcome in points], estimator=None, label=label, ax=shares, **look)
    values = [numbers(outcome.ended, "snr") for _, outcome in points]
    sns.lineplot(
        x=np.repeat(x, [len(some) for some in values]),
        y=np.concatenate(values),
        estimator="median",
        errorbar=("pi", 50) if quartiles else None,
        err_kws={"alpha": 0.12, "linewidth": 0},
        ax=levels,
        **look,
    )


def _finish(figure: Figure, shares: Axes, levels: Axes, ticks: Sequence[float], label: str) -> None:
    """Axes and legend of both panels."""
    shares.set(ylim=(-3, 103))
    levels.set(ylabel="SNR of the decrypted speech, dB")
    for axes in (shares, levels):
        _ticks(axes, ticks, label)
    handles, labels = shares.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=7, frameon=False, handlelength=3)


def _ticks(axes: Axes, ticks: Sequence[float], label: str) -> None:
    """A logarithmic axis with these ticks and no others."""
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])


def _timed(run: AttackRun) -> list[list[Outcome]]:
    """The outcomes of each attack that was given two or more durations of ciphertext, by seconds."""
    found: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in run.outcomes:
        if outcome.wants_key and np.isfinite(_seconds(outcome)):
            found.setdefault(outcome.kind[:2], []).append(outcome)
    return [sorted(timed, key=_seconds) for timed in found.values() if len(set(map(_seconds, timed))) > 1]


def _seconds(outcome: Outcome) -> float:
    """Seconds of ciphertext of an outcome; NaN where it is all that there is, or none."""
    value = float(outcome.rows["given_seconds"].iloc[0] or np.nan) if "given_seconds" in outcome.rows else np.nan
    return value if np.isfinite(value) else float("nan")
