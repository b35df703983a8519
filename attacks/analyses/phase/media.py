"""Reconstructed speech for ears and eyes: .wav files, and spectrograms as .npz."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.attacks.analyses.phase.cases import MagnitudeCase
from wrongkey.attacks.analyses.phase.gabor import Gabor, TorchGabor
from wrongkey.attacks.harness.listeners import RATE
from wrongkey.encoded_audio import encoded
from wrongkey.evaluation.corpora import Utterance
from wrongkey.files import PRIVATE, atomic_write, explained_errors, file_name

RANGE = 80  # dB below the loudest that a spectrogram keeps


def write_media(
    folder: Path,
    utterance: Utterance,
    plain: Tensor,
    reconstructions: Mapping[tuple[MagnitudeCase, str], Tensor],
    gabor: Gabor,
) -> None:
    """The plain utterance and its reconstructions as .wav; the magnitudes of those, in whole dB, as .npz.

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
            again = TorchGabor(gabor.lattice).analyse(signal).abs()
            _write_levels(folder / f"{name}.npz", {"given": case.magnitude, "reconstructed": again})


def write_decryptions(
    folder: Path, utterance: Utterance, scheme: str, block_size: int, pictures: Mapping[str, Tensor]
) -> None:
    """Magnitudes `(bins, frames)` of an utterance, plain, encrypted and decrypted (Fig. 7), in one .npz.

    Whole dB below the loudest of the first picture, so that pictures can be compared; names are those of `pictures`.
    """
    loudest = next(iter(pictures.values())).max()
    name = "-".join((file_name(utterance.id), scheme, str(block_size), "decryptions"))
    with explained_errors(folder, "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        _write_levels(folder / f"{name}.npz", pictures, loudest)


def _write_levels(path: Path, magnitudes: Mapping[str, Tensor], loudest: Tensor | None = None) -> None:
    levels = {name: _decibel(each, each.max() if loudest is None else loudest) for name, each in magnitudes.items()}
    with atomic_write(path, mode=PRIVATE) as file:
        np.savez_compressed(file, allow_pickle=False, **levels)


def _write_wav(path: Path, signal: Tensor) -> None:
    """16 bits; a signal that would clip is scaled down to full scale."""
    samples = (signal / signal.abs().max().clamp(min=1)).numpy()
    content = encoded(samples, RATE, "WAV", "PCM_16")
    with atomic_write(path, mode=PRIVATE) as file:
        file.write(content)


def _decibel(magnitude: Tensor, loudest: Tensor) -> NDArray[np.int8]:
    """Whole decibels relative to `loudest`, from -RANGE to +40."""
    levels = 20 * (magnitude / loudest.clamp(min=1e-30)).clamp(min=10 ** (-RANGE / 20), max=100).log10()
    return levels.round().numpy().astype(np.int8)
