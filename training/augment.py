"""Augmentation of training crops: gain, a random spectral slope, background noise. All seeded by the caller.

Everything here happens after pre-emphasis; filters commute, and the noise is as loud as the network hears it.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft  # in float32, six times as fast as NumPy's

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio
from wrongkey.evaluation.models.bundled.asv_raw import PRE_EMPHASIS

Waves = npt.NDArray[np.float32]
NOISE_SECONDS = 5
KNOTS = 7  # of the random frequency response


def open_noises(esc50: Path) -> Waves:
    """Read the ESC-10 clips (CC BY 3.0) of an ESC-50 folder, pre-emphasised: `(400, 80000)` at 16 kHz."""
    table = next((path for path in (esc50 / "esc50.csv", esc50 / "meta" / "esc50.csv") if path.is_file()), None)
    if table is None:
        raise BadInput(f"{esc50}: no esc50.csv there; give the folder of ESC-50.")
    with table.open(newline="") as stream:
        names = [row["filename"] for row in csv.DictReader(stream) if row["esc10"] == "True"]
    files = [path for name in names for path in (esc50 / "audio").glob(f"{Path(name).stem}.*")]
    if not files:
        raise BadInput(f"{table}: no ESC-10 clips beside it in audio/; fetch ESC-50 again.")
    return np.stack([emphasised(np.resize(load_audio(path, channels="mix"), NOISE_SECONDS * 16_000)) for path in files])


def emphasised(waves: Waves) -> Waves:
    """Apply pre-emphasis along the last axis, as in the models' front end."""
    out = waves.copy()
    out[..., 1:] -= PRE_EMPHASIS * waves[..., :-1]
    return out


def random_response(rng: np.random.Generator, count: int, bins: int, decibels: float) -> Waves:
    """Draw smooth random gains `(count, bins)`: normal values in dB at a few knots, joined by straight lines."""
    knots = rng.normal(0, decibels, (count, KNOTS)).astype(np.float32)
    place = np.linspace(0, KNOTS - 1, bins)
    left = np.minimum(place.astype(int), KNOTS - 2)
    share = (place - left).astype(np.float32)
    curve = knots[:, left] * (1 - share) + knots[:, left + 1] * share
    return np.asarray(10 ** (curve / 20), dtype=np.float32)


def filtered(rng: np.random.Generator, waves: Waves, decibels: float = 4.0) -> Waves:
    """Filter each wave by its own random zero-phase response (another microphone, another room)."""
    spectrum = scipy.fft.rfft(waves)
    spectrum *= random_response(rng, len(waves), spectrum.shape[1], decibels)
    return np.asarray(scipy.fft.irfft(spectrum, waves.shape[1]), dtype=np.float32)


def with_noise(
    rng: np.random.Generator, waves: Waves, noises: Waves, snr_db: tuple[float, float] = (5.0, 25.0)
) -> Waves:
    """Add to each wave a part of a random noise clip, or in a quarter of cases white noise, at a random SNR.

    `waves` are `(batch, samples)`, `noises` are `(clips, samples)` and longer; silent parts become white noise.
    """
    batch, samples = waves.shape
    noise = rng.standard_normal((batch, samples), dtype=np.float32)
    for row in range(batch):
        if len(noises) and rng.random() < 0.75:
            start = int(rng.integers(noises.shape[1] - samples + 1))
            stretch = noises[int(rng.integers(len(noises))), start : start + samples]
            if np.square(stretch).mean() > 1e-8:
                noise[row] = stretch
    snr = rng.uniform(*snr_db, (batch, 1)).astype(np.float32)
    ratio = level(waves) / np.maximum(level(noise), 1e-6)
    return np.asarray(waves + noise * ratio * 10 ** (-snr / 20), dtype=np.float32)


def level(waves: Waves) -> Waves:
    """Return the root mean square of each wave, `(batch, 1)`."""
    return np.asarray(np.sqrt(np.square(waves).mean(axis=1, keepdims=True)), dtype=np.float32)


def augmented(rng: np.random.Generator, waves: Waves, noises: Waves) -> Waves:
    """Augment crops by the training recipe: two thirds filtered, half noisy, the level varied by about 3 dB.

    The result is normalised to a root mean square of about one.
    """
    waves = waves.copy()
    chosen = rng.random(len(waves)) < 2 / 3
    if chosen.any():
        waves[chosen] = filtered(rng, waves[chosen])
    chosen = rng.random(len(waves)) < 0.5
    if chosen.any():
        waves[chosen] = with_noise(rng, waves[chosen], noises)
    gain = 10 ** (rng.normal(0, 3, (len(waves), 1)) / 20)
    return np.asarray(waves * gain / np.maximum(level(waves), 1e-6), dtype=np.float32)
