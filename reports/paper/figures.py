"""The paper's Figs. 3 to 8 and 10 of what analyses found, each with a caption and a text that stands for it.

Figs. 3 and 4: waveforms encrypted by Shuffling, and by Flipping and ROM. 5 and 6: spectrograms so encrypted. 7: a
spectrogram decrypted with the correct, near and incorrect keys. 8: speech reconstructed from an encrypted spectrogram.
10: distances of keys with low and with high error.

A spectrogram can be turned back into speech, so that those of real people are drawn only where that is asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wrongkey.keys.labels import scheme_label
from wrongkey.reports.analyses import Analysis
from wrongkey.reports.figures.analyses import distance_figure
from wrongkey.reports.figures.spectrograms import HOP, WINDOW, Plate, Scale, decibels, levels_of, plate_figure
from wrongkey.reports.paper.media import RATE, Kept, Rebuilt, kept_by_leaks, kept_by_phase

SECONDS = 2.0  # of an utterance that are shown of waveforms
CLOSER = 1.0  # seconds of spectrograms, and up to half the bins: so much is seen without leaving pixels out
SHUFFLING = ("shuffling",)  # has figures of its own in the paper
METHODS = {"pghi": "PGHI", "griffin-lim": "Griffin-Lim"}
SCALE = Scale(HOP / RATE, RATE / WINDOW / 1000)

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PaperFigure:
    """A figure with the words beside it.

    Attributes
    ----------
    name : str
        As `wrongkey reproduce` calls it, "fig3"; with a number behind it where several runs have one.
    caption : str
        Below the figure.
    alt : str
        Instead of it, for those who do not see it.
    figure : Figure
        The figure.
    """

    name: str
    caption: str
    alt: str
    figure: Figure


def paper_figures(analyses: Sequence[Analysis], *, real: bool = False) -> list[PaperFigure]:
    """Draw the figures of the paper that some analyses have the data of.

    Parameters
    ----------
    analyses : sequence of Analysis
        Of `find_analyses`.
    real : bool
        Whether speech is drawn that is of real people, or may be.

    Returns
    -------
    list of PaperFigure
        By number; often empty.

    Raises
    ------
    BadInput
        If a file that an analysis kept is broken.
    """
    found = []
    for analysis in analyses:
        if real or analysis.recordings == "synthetic":
            found += [*_of_leaks(analysis), *_of_phase(analysis)]
    keys = [analysis for analysis in analyses if analysis.name == "keys"]
    if figure := distance_figure(keys):
        caption = (
            "Distance between the speech under the correct key and under an incorrect one, for the quarter of the keys "
            "with the least error and the quarter with the largest (the paper’s Fig. 10). Bars: middle half; dots: "
            "medians."
        )
        found.append(PaperFigure("fig10", caption, _distance_words(keys), figure))
    return _numbered(sorted(found, key=lambda one: int(one.name.removeprefix("fig"))))


def _of_leaks(analysis: Analysis) -> Iterator[PaperFigure]:
    """Figs. 3 to 6 of one analysis."""
    if analysis.name != "leaks":
        return
    for blocks, shuffled, others in (("samples", "fig3", "fig4"), ("tiles", "fig5", "fig6")):
        kept = kept_by_leaks(analysis.folder, blocks)
        if kept is None:
            continue
        for name, wanted in ((shuffled, True), (others, False)):
            chosen = {key: array for key, array in kept.encrypted.items() if (key[0] in SHUFFLING) == wanted}
            if chosen:
                yield _encrypted_figure(name, kept, chosen, blocks)


def _encrypted_figure(name: str, kept: Kept, chosen: dict[tuple[str, int], Array], blocks: str) -> PaperFigure:
    """An utterance, plain and encrypted: waveforms with their spectrograms, or spectrograms alone."""
    waves = blocks == "samples"
    start, end = _excerpt(kept.plain, waves)
    arrays = {"plain": kept.plain, **{f"{scheme_label(s)}\nM = {size}": array for (s, size), array in chosen.items()}}
    parts = {title: array[..., start:end] for title, array in arrays.items()}
    loudest = float(np.abs(parts["plain"]).max()) or 1.0
    if waves:
        # Full scale is the loudest sample of all, so that no waveform is clipped.
        peak = max(float(np.abs(part).max()) for part in parts.values()) or 1.0
        level = _loudest_magnitude(parts["plain"])
        plates = [Plate(title, part / peak, levels_of(part, level)) for title, part in parts.items()]
    else:
        plates = [Plate(title, None, _lower(decibels(part, loudest))) for title, part in parts.items()]
    kind = "Waveforms and their spectrograms" if waves else "Spectrograms"
    schemes = " and ".join(dict.fromkeys(scheme_label(scheme) for scheme, _ in chosen))
    caption = (
        f"{kind} of the utterance {kept.utterance}, plain and encrypted by {schemes} (the paper’s Fig. {name[3:]}). "
        "Levels are below the loudest of the plain one."
    )
    others = [(title.replace("\n", ", "), part) for title, part in list(parts.items())[1:]]
    words = "; ".join(f"{title}: {_alike(parts['plain'], part)}" for title, part in others)
    figure = plate_figure(plates, RATE, SCALE, close=waves)
    return PaperFigure(name, caption, f"{kind} side by side. Correlation with plain speech: {words}.", figure)


def _of_phase(analysis: Analysis) -> Iterator[PaperFigure]:
    """Figs. 7 and 8 of one analysis, of ROM at the smallest block size where there is a choice."""
    if analysis.name != "phase":
        return
    rebuilt = min(kept_by_phase(analysis.folder), key=lambda one: (one.scheme != "rom", one.block_size), default=None)
    if rebuilt is None:
        return
    yield _decryption_figure(rebuilt)
    if rebuilt.waveforms and rebuilt.original is not None:
        yield _reconstruction_figure(rebuilt, rebuilt.original)


def _decryption_figure(rebuilt: Rebuilt) -> PaperFigure:
    plain = rebuilt.decryptions["plain"]
    start, end = _excerpt(10 ** (plain / 20), False)
    plates = [
        Plate(name if name in ("plain", "encrypted") else f"decrypted:\n{name}", None, _lower(levels[:, start:end]))
        for name, levels in rebuilt.decryptions.items()
    ]
    how = f"{scheme_label(rebuilt.scheme)} at M = {rebuilt.block_size}"
    caption = (
        f"The spectrogram of {rebuilt.utterance} encrypted by {how} and decrypted with the correct key, keys near it "
        "and an incorrect one (the paper’s Fig. 7). Levels are below the loudest of the plain one."
    )
    others = list(rebuilt.decryptions.items())[1:]
    words = "; ".join(f"{name}: {float(np.abs(levels - plain).mean()):.1f} dB" for name, levels in others)
    alt = f"Spectrograms side by side. Mean difference from the plain one: {words}."
    return PaperFigure("fig7", caption, alt, plate_figure(plates, RATE, SCALE))


def _reconstruction_figure(rebuilt: Rebuilt, original: Array) -> PaperFigure:
    plain = rebuilt.decryptions["plain"]
    start, end = _excerpt(10 ** (plain / 20), False)

    def plate(title: str, waveform: Array | None, levels: Array) -> Plate:
        part = None if waveform is None else waveform[start * HOP : end * HOP]
        return Plate(title, part, _lower(levels[:, start:end]))

    plates = [plate("original", original, plain), plate("encrypted", None, rebuilt.decryptions["encrypted"])]
    plates += [
        plate(f"reconstructed by\n{METHODS[method]}", waveform, rebuilt.levels[method])
        for method, waveform in rebuilt.waveforms.items()
    ]
    how = f"{scheme_label(rebuilt.scheme)} at M = {rebuilt.block_size}"
    caption = (
        f"Speech reconstructed from the spectrogram of {rebuilt.utterance}, encrypted by {how} (the paper’s Fig. 8). "
        "Levels are below the loudest of each picture’s speech."
    )
    words = "; ".join(
        f"{METHODS[method]}: {_alike(original, waveform)}" for method, waveform in rebuilt.waveforms.items()
    )
    alt = f"Waveforms above spectrograms. Correlation of the reconstructed waveforms with the original: {words}."
    return PaperFigure("fig8", caption, alt, plate_figure(plates, RATE, SCALE))


def _excerpt(plain: Array, waves: bool) -> tuple[int, int]:
    """The seconds of an utterance with the most energy, as first and last sample or frame."""
    length = int(SECONDS * RATE) if waves else int(CLOSER * RATE / HOP)
    energy = np.square(plain) if waves else np.square(plain).sum(0)
    total = np.concatenate([[0.0], np.cumsum(energy)])
    if len(energy) <= length:
        return 0, len(energy)
    start = int(np.argmax(total[length:] - total[:-length]))
    return start, start + length


def _lower(levels: Array) -> Array:
    """The lower half of a spectrogram, where voices are."""
    return levels[: max(1, len(levels) // 2)]


def _loudest_magnitude(waveform: Array) -> float:
    """Of a waveform's spectrogram."""
    return float(10 ** (levels_of(waveform, 1.0).max() / 20))


def _alike(plain: Array, other: Array) -> str:
    """The correlation of two arrays of one length, or of their common beginning."""
    length = min(plain.size, other.size)
    one, two = plain.ravel()[:length], other.ravel()[:length]
    return "0.00" if not (one.std() and two.std()) else f"{float(np.corrcoef(one, two)[0, 1]):.2f}"


def _distance_words(analyses: Sequence[Analysis]) -> str:
    """The medians of both groups of each run."""
    found = []
    for analysis in analyses:
        groups = analysis.about.get("groups")
        if groups:
            low, high = (groups[group]["median"] for group in ("low", "high"))
            found.append(f"{analysis.label}: {low:.2f} for low-error keys, {high:.2f} for high-error keys")
    return f"Median distances. {'; '.join(found)}."


def _numbered(figures: Sequence[PaperFigure]) -> list[PaperFigure]:
    """The figures, with a number behind a name that an earlier one has."""
    seen: dict[str, int] = {}
    numbered = []
    for one in figures:
        seen[one.name] = seen.get(one.name, 0) + 1
        name = one.name if seen[one.name] == 1 else f"{one.name}-{seen[one.name]}"
        numbered.append(PaperFigure(name, one.caption, one.alt, one.figure))
    return numbered
