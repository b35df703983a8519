"""The figures of a report: drawn one after the other, each written before the next is drawn."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from wrongkey.reports.analyses import Analysis
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.content.gather import Gathered, Group
from wrongkey.reports.content.schema import Figure as Facts
from wrongkey.reports.figures.analyses import (
    correlation_figure,
    example_figure,
    near_figure,
    scatter_figure,
)
from wrongkey.reports.figures.attacks import block_size_curves, seconds_figure
from wrongkey.reports.figures.block_size import block_size_figure
from wrongkey.reports.figures.confusion import confusion_figure
from wrongkey.reports.figures.panels import panel_caution
from wrongkey.reports.figures.strength import strength_caption, strength_figure
from wrongkey.reports.figures.style import save_figure, styled
from wrongkey.reports.figures.survival import survival_figure, survival_words
from wrongkey.reports.figures.violins import violin_figure
from wrongkey.reports.paper.figures import paper_figures
from wrongkey.reports.statistics.key_statistics import FEW_KEYS, KeyStatistics
from wrongkey.reports.strength.runs import StrengthRun
from wrongkey.reports.strength.words import short_words

PAPER_SECTIONS = {"keys": ("fig10",), "leaks": ("fig3", "fig4", "fig5", "fig6"), "phase": ("fig7", "fig8")}


@dataclass(frozen=True)
class Drawn:
    """A figure of the section `anchor`; `alt`: what it shows, with values."""

    anchor: str
    name: str
    caption: str
    alt: str
    figure: Figure

    @property
    def facts(self) -> Facts:
        """What `report.json` says about it."""
        return Facts(name=self.name, caption=self.caption, alt=self.alt)


def draw_all(
    found: Gathered,
    folder: Path,
    look: str = "screen",
    also: Callable[[Drawn], None] | None = None,
    *,
    real: bool = False,
) -> dict[str, list[Facts]]:
    """Draw every figure and write its files into `folder`.

    Parameters
    ----------
    found : Gathered
        What the figures are about.
    folder : Path
        Where the files go.
    look : {"screen", "ieee"}
        Size and type of figures.
    also : callable, optional
        Called with each figure after it is written.
    real : bool
        Whether real people's speech is drawn: a spectrogram can be turned back into speech.

    Returns
    -------
    dict
        The figures of each section, by its anchor.
    """
    drawn: dict[str, list[Facts]] = {}
    with styled(look):
        for one in figures(found, real):
            save_figure(one.figure, folder, one.name)
            drawn.setdefault(one.anchor, []).append(one.facts)
            if also:
                also(one)
    return drawn


def figures(found: Gathered, real: bool = False) -> Iterator[Drawn]:
    """Every figure that these runs have data for."""
    for group in found.groups:
        if group.main:
            yield from _of_scores(group)
    yield from _of_strength(found.strengths)
    yield from _of_attacks(found.attacks)
    yield from _of_analyses(found.analyses, real)


def file_stem(title: str) -> str:
    """A title as the name of a file: "Confusion 1, ROM" becomes "confusion-1-rom"."""
    return re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")


def _of_scores(group: Group) -> Iterator[Drawn]:
    results, metric = group.results, group.metric
    keys, best = ("incorrect keys", "best wrong key") if group.keyed else (
        "random keys, encrypted waveforms into the plain model", "key that hides least"
    )  # fmt: skip
    line = "correct key; it must lie on the star" if group.keyed else "plain speech into the plain model"
    marks = f"Star: plain model. Triangle: the {best}."
    caption = (
        f"{metric.label} under {keys}, one shape per run; {metric.safer} is safer for the owner. "
        f"{marks} Horizontal line: {line}."
    )
    if any(result.n < FEW_KEYS for result in results):
        caption += f" Runs of fewer than {FEW_KEYS} keys show every key as a dot."
    caption = f"{caption} {panel_caution(results)}".rstrip()
    values = " ".join(_values(result, best) for result in results)
    yield Drawn(group.anchor, f"violins-{group.anchor}", caption, f"{metric.axis}. {values}", violin_figure(results))
    if compared := [result for result in results if result.plain is not None]:
        caption = f"Share of {keys} that come within a distance of the plain model, with its 95 % band."
        alt = f"{caption} {survival_words(compared)}"
        yield Drawn(group.anchor, f"survival-{group.anchor}", caption, alt, survival_figure(compared))
    if len({result.run.block_size for result in results}) > 1:
        caption = f"{metric.label} against block size M: median and 5–95 % of the {keys}. {marks}"
        caption = f"{caption} {panel_caution(results)}".rstrip()
        yield Drawn(
            group.anchor, f"block-size-{group.anchor}", caption, f"{caption} {values}", block_size_figure(results)
        )
    for number, result in enumerate(results, start=1):
        figure = confusion_figure(result)
        if figure is not None:
            caption = (
                f"{result.label}: shares of the clips of each class in percent, by the plain model and under the "
                f"{best}."
            )
            name = file_stem(f"confusion-{number}-{result.label[:60]}{'' if group.keyed else '-plain-model'}")
            yield Drawn(group.anchor, name, caption, caption, figure)


def _values(result: KeyStatistics, best: str) -> str:
    """What a violin shows, in numbers."""
    words, quantiles = result.metric.words, result.quantiles
    plain = "" if result.plain is None else f", plain model {words(result.plain.value)}"
    return (
        f"{result.label}: median {words(result.median)}, middle half {words(quantiles[0.25])} to "
        f"{words(quantiles[0.75])}, {best} {words(result.worst.score.value)}{plain}."
    )


def _of_strength(runs: Sequence[StrengthRun]) -> Iterator[Drawn]:
    if figure := strength_figure(runs):
        caption = strength_caption(runs)
        values = " ".join(f"{run.label}: {short_words(run)}." for run in runs)
        yield Drawn("strength", "strength", caption, f"{caption} {values}", figure)


def _of_attacks(runs: Sequence[AttackRun]) -> Iterator[Drawn]:
    if figure := seconds_figure(runs):
        caption = (
            "Ciphertext-only attacks against seconds of ciphertext of one speaker: share of keys recovered, and SNR of "
            "the decrypted speech, median and quartiles over keys and victims."
        )
        yield Drawn("attacks", "attacks-seconds", caption, f"{caption} The tables below have the values.", figure)
    if figure := block_size_curves(runs):
        caption = "Ciphertext-only attacks against block size M, each with the most seconds that it was given."
        yield Drawn("attacks", "attacks-block-size", caption, f"{caption} The tables below have the values.", figure)


def _of_analyses(analyses: Sequence[Analysis], real: bool) -> Iterator[Drawn]:
    keys = [analysis for analysis in analyses if analysis.name == "keys"]
    if figure := scatter_figure(keys):
        caption = (
            "Every incorrect key: its error against the distance of the paper’s Fig. 10, and against the measure that "
            "orders the errors best. Titles: rank correlation; of the best measure on the half of the keys that did "
            "not choose it (“other half”), or on the same keys that chose it, which is optimistic."
        )
        yield _analysis("keys", "analysis-scatter", caption, figure, keys)
    if figure := correlation_figure(keys):
        caption = (
            "What orders the errors of incorrect keys: rank correlation of each measure, with its 95 % "
            "interval over keys. Positive: the larger the measure, the larger the error, and the better the protection."
        )
        yield _analysis("keys", "analysis-correlations", caption, figure, keys)
    near = [analysis for analysis in analyses if analysis.name == "decryption"]
    for number, task in enumerate(dict.fromkeys(str(analysis.about.get("metric")) for analysis in near)):
        same = [analysis for analysis in near if str(analysis.about.get("metric")) == task]
        if figure := near_figure(same):
            caption = (
                "Decryption, and the encrypted model’s score, with keys near the correct one. Lines: median over "
                "random directions of geodesic steps, with their range."
            )
            yield _analysis(
                "decryption", f"analysis-near-keys{f'-{number + 1}' if number else ''}", caption, figure, near
            )
    for number, analysis in enumerate(near):
        if not (real or analysis.recordings == "synthetic"):
            continue
        if figure := example_figure(analysis):
            caption = f"{analysis.label}: one utterance, encrypted, and decrypted with one key of each kind (Fig. 7)."
            yield _analysis("decryption", f"analysis-decryption-{number + 1}", caption, figure, near)
    for one in paper_figures(analyses, real=real):
        kind = next(kind for kind, names in PAPER_SECTIONS.items() if one.name.startswith(names))
        yield Drawn(f"analysis-{kind}", one.name, one.caption, one.alt, one.figure)


def _analysis(kind: str, name: str, caption: str, figure: Figure, shown: Sequence[Analysis]) -> Drawn:
    """A figure of the analyses of one kind; their sentences say in numbers what it shows."""
    said = " ".join(f"{one.label}: {one.sentences[0]}" for one in shown if one.sentences)
    return Drawn(f"analysis-{kind}", name, caption, f"{caption} {said}".rstrip(), figure)
