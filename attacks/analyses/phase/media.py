"""Reconstructed speech for ears and eyes: .wav files, and spectrograms as .npz."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.attacks.analyses.phase.cases import MagnitudeCase
from wrongkey.attacks.analyses.phase.gabor import Gabor, TorchGabor
from wrongkey.attacks.harness.listeners import RATE
from wrongkey.evaluation.corpora import Utterance
from wrongkey.files import atomic_write, explained_errors, file_name


def write_media(
    folder: Path,
    utterance: Utterance,
    plain: Tensor,
    reconstructions: Mapping[tuple[MagnitudeCase, str], Tensor],
    gabor: Gabor,
) -> None:
    """The plain utterance and its reconstructions as .wav; the magnitudes of those by PGHI, in whole dB, as .npz.

    An .npz holds what was `given` and what was `reconstructed`, each `(bins, frames)` int8.
    """
    with explained_errors(folder, "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        stem = file_name(utterance.id)
        _write_wav(folder / f"{stem}-original.wav", plain)
        for (case, method), signal in reconstructions.items():
            labels = (stem, case.scheme, str(case.block_size or ""), case.condition, method)
            name = "-".join(label for label in labels if label)
            _write_wav(folder / f"{name}.wav", signal)
            if method == "pghi":
                again = TorchGabor(gabor.lattice).analyse(signal).abs()
                arrays = {"given": _decibel(case.magnitude), "reconstructed": _decibel(again)}
                with atomic_write(folder / f"{name}.npz") as file:
                    np.savez_compressed(file, allow_pickle=False, **arrays)


def _write_wav(path: Path, signal: Tensor) -> None:
    """16 bits; a signal that would clip is scaled down to full scale."""
    samples = (signal / signal.abs().max().clamp(min=1)).numpy()
    with atomic_write(path) as file:
        soundfile.write(file, samples, RATE, subtype="PCM_16", format="WAV")


def _decibel(magnitude: Tensor) -> NDArray[np.int8]:
    """Decibels relative to the loudest, from -80 to 0."""
    levels = 20 * (magnitude / magnitude.max().clamp(min=1e-30)).clamp(min=1e-4).log10()
    return levels.round().numpy().astype(np.int8)
