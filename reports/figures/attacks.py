"""The curves of the attacks: success against seconds of ciphertext, and against block size."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from wrongkey.evaluation.run_folder.successes import numbers
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED
from wrongkey.keys.labels import scheme_label, taken_apart
from wrongkey.printable import printable
from wrongkey.reports.attacks.rows import AttackRun, Outcome
from wrongkey.reports.figures.style import LINES, MARKERS, legend_below, new_figure, scheme_colours, styled

SIZE = (8.6, 4.4)  # inches, of two panels side by side


Kind = tuple[str, str, str]  # attack, variant, quality


def seconds_figure(runs: Sequence[AttackRun]) -> Figure | None:
    """Share of keys recovered, and SNR after decryption (median, quartiles), against seconds of ciphertext.

    One line per attack, variant, quality and run: the colour is the scheme, the marker the attack, and the line style
    the run. None where no attack was given several durations.
    """
    lines = [(run, outcomes) for run in runs for outcomes in _timed(run)]
    if not lines:
        return None
    names = _names([run for run, _ in lines])
    looks = _looks([(run.scheme, outcomes[0].kind, names[run.folder]) for run, outcomes in lines])
    with styled():
        figure = new_figure(*SIZE)
        shares, levels = figure.subplots(1, 2)
        for (run, outcomes), look in zip(lines, looks, strict=True):
            seconds = [(_seconds(outcome), outcome) for outcome in outcomes]
            label = ", ".join(filter(None, (f"{names[run.folder]}: {outcomes[0].kind[0]}", *outcomes[0].kind[1:])))
            _draw_line(shares, levels, seconds, label, look, quartiles=True)
        ticks = sorted({_seconds(outcome) for _, outcomes in lines for outcome in outcomes})
        shares.set_ylabel(f"keys recovered, %\n(error < {RECOVERED:g} or SNR ≥ {DECRYPTED:.0f} dB)")
        _finish(figure, shares, levels, ticks, "seconds of ciphertext of one speaker")
    return figure


def block_size_curves(runs: Sequence[AttackRun]) -> Figure | None:
    """Share of keys recovered and SNR against block size M, from ciphertext, each attack at its most seconds.

    One line per attack, variant, quality and scheme, apart for what is read by each family of models and for each
    corpus; None where no attack from ciphertext ran at two block sizes.
    """
    lines: dict[tuple[Kind, str, str, int], dict[int, Outcome]] = {}
    for run in runs:
        for timed in _timed(run):
            line = (timed[-1].kind, run.scheme, _subject(run))
            # Another run of the same block size begins a line of its own.
            again = next(n for n in range(len(runs)) if run.block_size not in lines.get((*line, n), {}))
            lines.setdefault((*line, again), {})[run.block_size] = timed[-1]
    lines = {key: points for key, points in lines.items() if len(points) > 1}
    if not lines:
        return None
    subjects = {subject for _, _, subject, _ in lines}
    looks = _looks([(scheme, kind, f"{subject} {again}") for kind, scheme, subject, again in lines])
    with styled():
        figure = new_figure(*SIZE)
        shares, levels = figure.subplots(1, 2)
        for ((kind, scheme, subject, again), points), look in zip(lines.items(), looks, strict=True):
            parts = [*kind, scheme_label(scheme), subject if len(subjects) > 1 else ""]
            label = ", ".join(filter(None, (*parts, f"run {again + 1}" if again else "")))
            _draw_line(shares, levels, sorted(points.items()), label, look, quartiles=False)
        ticks = sorted({size for points in lines.values() for size in points})
        shares.set_ylabel("keys recovered, %")
        _finish(figure, shares, levels, ticks, "block size M")
    return figure


def _names(runs: Sequence[AttackRun]) -> dict[Path, str]:
    """A name for each run's folder: its label, with corpus and folder as far as they tell runs apart."""
    folders = {run.folder: run for run in runs}
    names = {folder: run.label for folder, run in folders.items()}
    for more in (lambda run: str(run.setting.get("corpus")), lambda run: printable(run.folder.name), None):
        twins = {name for name in names.values() if list(names.values()).count(name) > 1}
        for number, (folder, run) in enumerate(folders.items(), start=1):
            if names[folder] in twins:
                names[folder] += f", {more(run)}" if more else f" ({number})"
    return names


def _subject(run: AttackRun) -> str:
    """What speech is attacked, and by which family of models it is read."""
    model = str(run.setting.get("model") or "").removesuffix(str(run.block_size)).rstrip("-_ ")
    return ", ".join(filter(None, (model, str(run.setting.get("corpus") or ""))))


def _looks(lines: Sequence[tuple[str, Kind, str]]) -> list[dict[str, Any]]:
    """A look for each line of (scheme, kind of attack, run): no two are the same.

    Lines that lie on each other are told apart too: their markers are of different sizes, and hollow.
    """
    colours = scheme_colours(scheme for scheme, _, _ in lines)
    kinds = list(dict.fromkeys(kind for _, kind, _ in lines))
    looks = []
    for scheme, kind, run in lines:
        base = taken_apart(scheme).base
        runs = list(dict.fromkeys((one, other) for one, _, other in lines if taken_apart(one).base == base))
        number, colour = kinds.index(kind), colours[scheme]
        looks.append(
            {
                "color": colour,
                "marker": MARKERS[number % len(MARKERS)],
                "markersize": 9 - number % len(MARKERS),
                "markerfacecolor": "none" if number // len(MARKERS) % 2 == 0 else colour,
                "markeredgecolor": colour,
                "linestyle": LINES[runs.index((scheme, run)) % len(LINES)],
                "linewidth": 1.5 + runs.index((scheme, run)) // len(LINES),
            }
        )
    return looks


def _draw_line(
    shares: Axes,
    levels: Axes,
    points: Sequence[tuple[float, Outcome]],
    label: str,
    look: dict[str, Any],
    quartiles: bool,
) -> None:
    """One attack in both panels, by places on the horizontal axis: shares, and medians of the SNR over trials."""
    look = {**look, "legend": False}
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
    legend_below(figure, shares.get_legend_handles_labels()[0])


def _ticks(axes: Axes, ticks: Sequence[float], label: str) -> None:
    """A logarithmic axis with these ticks and no others."""
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])


def _timed(run: AttackRun) -> list[list[Outcome]]:
    """The outcomes of each attack that was given two or more durations of ciphertext, by seconds."""
    found: dict[Kind, list[Outcome]] = {}
    for outcome in run.outcomes:
        if outcome.wants_key and np.isfinite(_seconds(outcome)):
            found.setdefault(outcome.kind, []).append(outcome)
    return [sorted(timed, key=_seconds) for timed in found.values() if len(set(map(_seconds, timed))) > 1]


def _seconds(outcome: Outcome) -> float:
    """Seconds of ciphertext of an outcome; NaN where it is all that there is, or none."""
    value = float(outcome.rows["given_seconds"].iloc[0] or np.nan) if "given_seconds" in outcome.rows else np.nan
    return value if np.isfinite(value) else float("nan")
