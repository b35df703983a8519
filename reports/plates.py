"""Spectrogram plates: small pictures of clips, in which one colour means one level throughout a row.

The clips of a row are coloured on one scale: of waveforms the loudest 70 dB, from 0 Hz at the bottom to half the rate.
"""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from wrongkey.reports.spectrogram import magnitudes

RANGE = 70.0  # dB
WINDOW, HOP = 0.025, 0.015  # seconds
COLOURS = 32  # of magma, which is perceptually uniform: a step is about 2 dB
MOST_PIXELS = 2000  # along either axis

Levels = NDArray[np.float64]


def spectrogram(waveform: Levels, rate: int) -> Levels:
    """Power `(bins, frames)` of a waveform `(samples,)`, from 0 Hz to half the rate, by 25 ms Hann windows.

    Parameters
    ----------
    waveform
        Samples; shorter ones than a window are filled with silence.
    rate
        In hertz.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> power = spectrogram(tone, 16000)
    >>> power.shape[0], int(power.mean(1).argmax()) * 8000 // 200
    (201, 1000)
    """
    return magnitudes(waveform, int(WINDOW * rate), max(1, int(HOP * rate))) ** 2


def of_powers(powers: Sequence[Levels]) -> list[bytes]:
    """Plates of power spectrograms, each `(bins, frames)`, on one scale of `RANGE` dB below the loudest of all."""
    loudest = max(float(power.max()) for power in powers) or 1.0
    return [_png(10 * np.log10(np.maximum(power / loudest, 1e-30)), -RANGE, 0.0) for power in powers]


def of_arrays(arrays: Sequence[Levels]) -> list[bytes]:
    """Plates of arrays `(bins, frames)` on one linear scale, from the first to the last percentile of all."""
    low, high = np.quantile(np.concatenate([array.ravel() for array in arrays]), [0.01, 0.99])
    return [_png(array, float(low), float(high)) for array in arrays]


def _png(levels: Levels, low: float, high: float) -> bytes:
    """An indexed PNG with the first bin at the bottom."""
    shares = np.clip((levels - low) / ((high - low) or 1.0), 0, 1)[-MOST_PIXELS:, :MOST_PIXELS]
    image = Image.fromarray(np.rint(shares * (COLOURS - 1)).astype(np.uint8)[::-1].copy(), mode="P")
    palette = colormaps["magma"](np.linspace(0, 1, COLOURS), bytes=True)[:, :3]
    image.putpalette(palette.tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
