"""Energy contours of ciphertext: loudness over time, speech activity and rhythm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.attacks.analyses.phase.gabor import Lattice, TorchGabor
from wrongkey.attacks.analyses.speech import Rows
from wrongkey.attacks.base import Matrix
from wrongkey.attacks.harness.listeners import RATE
from wrongkey.evaluation.corpora import Utterance
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import to_blocks
from wrongkey.keys.key_cut import KeyCut

WINDOW = 0.02  # seconds of a contour's window
QUIET = 1e-6  # of the energy of the loudest window, to which quieter ones are raised
SYLLABLES = (1.0, 16.0)  # hertz of modulation
SINGLE_SAMPLES = KeyCut(Blocks.SAMPLES, 1)  # how the contour of plain speech is cut
LATTICE = Lattice()

Mask = NDArray[np.bool_]


def query_of(waveform: Tensor, blocks: Blocks) -> Tensor:
    """What is encrypted: the waveform `(samples,)` itself, or its magnitude spectrogram `(bins, frames)`."""
    return waveform if blocks is Blocks.SAMPLES else TorchGabor(LATTICE).analyse(waveform).abs()


def contour(query: Tensor, cut: KeyCut, samples: int) -> Matrix:
    """Energy in dB of every WINDOW of a query of `samples` samples, from the energies of its blocks: `(windows,)`.

    The energy of a block counts as evenly spread over its time. Windows quieter than QUIET of the loudest are raised to
    that level.
    """
    energy = to_blocks(query, cut.block_size, cut.blocks).square().sum(-1)
    if cut.blocks is Blocks.SAMPLES:
        edges = np.arange(len(energy) + 1.0) * cut.block_size
    else:
        energy = energy.sum(1 if cut.blocks is Blocks.FRAMES else 0)
        edges = np.arange(len(energy) + 1.0) * (LATTICE.hop * cut.steps) - LATTICE.hop / 2  # frame n is around n hops
    total = np.concatenate([[0.0], np.cumsum(energy.numpy())])
    width = round(WINDOW * RATE)
    windows = np.diff(np.interp(np.arange(0, samples + 1, width), edges, total))
    return 10 * np.log10(np.maximum(windows, max(QUIET * windows.max(initial=0.0), 1e-30)))


def speech_active(levels: Matrix) -> Mask:
    """Which windows hold speech: those above the middle between the 10 % and the 95 % quantile of their levels."""
    return levels > np.quantile(levels, (0.1, 0.95)).mean()


def balanced_accuracy(guessed: Mask, true: Mask) -> float:
    """The mean of the shares of true and of false windows that are guessed right, in percent.

    NaN where all windows are true, or all false.
    """
    if true.all() or not true.any():
        return float("nan")
    return float(50 * (guessed[true].mean() + (~guessed[~true]).mean()))


def modulation(levels: Matrix) -> tuple[Matrix, Matrix]:
    """Frequencies (Hz) and magnitudes of a contour's modulation between SYLLABLES."""
    frequency = np.fft.rfftfreq(len(levels), WINDOW).astype(np.float64)
    inside = (frequency >= SYLLABLES[0]) & (frequency <= SYLLABLES[1])
    spectrum = np.abs(np.fft.rfft((levels - levels.mean()) * np.hanning(len(levels))))
    return frequency[inside], spectrum[inside].astype(np.float64)


def contour_leaks(levels: Matrix, plain: Matrix) -> dict[str, float]:
    """energy, activity, rhythm and rate of a contour against a plain one; the longer one is cut."""
    length = min(len(levels), len(plain))
    levels, plain = levels[:length], plain[:length]
    (frequency, own), (_, true) = modulation(levels), modulation(plain)
    centroids = [float((frequency * m).sum() / max(m.sum(), 1e-30)) for m in (own, true)]
    return {
        "energy": _correlation(levels, plain),
        "activity": balanced_accuracy(speech_active(levels), speech_active(plain)),
        "rhythm": _correlation(own, true),
        "rate": abs(centroids[0] - centroids[1]),
    }


def contour_rows(
    speech: Sequence[Tensor],
    queries: Sequence[Tensor],
    used: Sequence[Utterance],
    scheme: str,
    cut: KeyCut,
    seed: int,
) -> Rows:
    """Contour leaks of every utterance under a key of its own, and what chance gives."""
    plain = [contour(waveform, SINGLE_SAMPLES, len(waveform)) for waveform in speech]
    rows = Rows()
    for number, (waveform, query, utterance) in enumerate(zip(speech, queries, used, strict=True)):
        key = correct_key(scheme, cut.size, seed + number)
        levels = contour(encrypt_query(query, key, blocks=cut.blocks), cut, len(waveform))
        compared = {"encrypted": plain[number]}
        if len(used) > 1:
            compared["chance"] = plain[number - 1]
        for condition, against in compared.items():
            labels = {"condition": condition, "utterance": utterance.id}
            leaks = contour_leaks(levels, against)
            rows += [{**labels, "metric": metric, "value": value} for metric, value in leaks.items()]
    return rows


def _correlation(first: Matrix, second: Matrix) -> float:
    """Pearson's correlation; NaN where one of the two is constant or has fewer than three values."""
    if len(first) < 3 or first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
