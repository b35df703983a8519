"""Front ends that take out of a waveform what attacks on waveforms use: its spectral envelope, its magnitudes.

Each takes a waveform ``(samples,)`` and gives one of the same length, level and type. They look at Hann windows of
`WINDOW_SECONDS` at any sample rate.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from wrongkey.errors import BadInput
from wrongkey.keys.preparations import WINDOW_SECONDS

# Of the largest magnitude: what lies lower is rounding, and dividing by it would make speech of it.
FLOOR = 1e-8
# Added to the autocorrelation at lag 0, relative to it: coded speech has empty bands, which no prediction is exact for.
WHITE_NOISE = 1e-6


def window_of(rate: int) -> int:
    """Samples of a window at ``rate`` samples per second, an even number."""
    return max(2 * round(WINDOW_SECONDS * rate / 2), 4)


def flattened(waveform: Tensor, rate: int, bins: int) -> Tensor:
    """Divide the magnitudes of the STFT by their mean over ``bins`` neighbouring bins.

    Parameters
    ----------
    waveform
        ``(samples,)``.
    rate
        Samples per second.
    bins
        Bins of the mean, 1 to half a window + 1. With one bin all magnitudes become 1 (``phase_only``).

    Raises
    ------
    BadInput
        For more bins than the STFT has.
    """
    most = window_of(rate) // 2 + 1
    if bins > most:
        raise BadInput(
            f"The option flat={bins} smooths over more bins than an STFT of {WINDOW_SECONDS * 1000:g} ms has at "
            f"{rate:,} Hz: give 1 to {most}."
        )
    spectrum = _stft(waveform, rate)
    magnitude = spectrum.abs()
    envelope = _mean_over(magnitude, bins).clamp_min(_floor(magnitude))
    return _levelled(_istft(spectrum / envelope, rate, len(waveform)), waveform)


def phase_only(waveform: Tensor, rate: int) -> Tensor:
    """Set all magnitudes of the STFT to 1; see `flattened`."""
    return flattened(waveform, rate, 1)


def prediction_error(waveform: Tensor, rate: int, order: int) -> Tensor:
    """What linear prediction of ``order`` coefficients leaves of each window, overlapped by half and added.

    Parameters
    ----------
    waveform
        ``(samples,)``.
    rate
        Samples per second.
    order
        Coefficients, 1 to half a window.

    Raises
    ------
    BadInput
        For a higher order.
    """
    window = window_of(rate)
    if order > window // 2:
        raise BadInput(
            f"The option lpc={order} predicts from more than half of a window of {WINDOW_SECONDS * 1000:g} ms at "
            f"{rate:,} Hz: give 1 to {window // 2}."
        )
    hop = window // 2
    behind = hop + -len(waveform) % hop  # silence, so that two windows see every sample
    padded = functional.pad(waveform.double(), (hop + order, behind))
    frames = padded.unfold(0, order + window, hop)  # each with the samples before it: (frames, order + window)
    shape = torch.hann_window(window, dtype=torch.float64)
    coefficients = _predictors(frames[:, order:] * shape, order)
    error = frames[:, order:].clone()
    for lag in range(1, order + 1):
        error -= coefficients[:, lag - 1, None] * frames[:, order - lag : order - lag + window]
    length = hop + len(waveform) + behind
    added = functional.fold((error * shape).mT[None], (1, length), (1, window), stride=(1, hop)).flatten()
    return _levelled(added[hop : hop + len(waveform)], waveform)


def _predictors(windows: Tensor, order: int) -> Tensor:
    """Coefficients ``(frames, order)`` of the least-squares prediction, by the autocorrelation method."""
    power = torch.fft.rfft(windows, 2 * windows.shape[-1]).abs() ** 2
    r = torch.fft.irfft(power)[:, : order + 1]
    lag = torch.arange(order)
    matrices = r[:, (lag[:, None] - lag).abs()]
    least = r[:, 0] * WHITE_NOISE + torch.finfo(r.dtype).tiny  # of silence: 0 = 0
    return torch.linalg.solve(matrices + least[:, None, None] * torch.eye(order, dtype=r.dtype), r[:, 1:])


def _mean_over(magnitude: Tensor, bins: int) -> Tensor:
    """Moving mean of ``(bins, frames)`` along the bins; at the ends over those that there are."""
    around = ((bins - 1) // 2, bins // 2)

    def mean(x: Tensor) -> Tensor:
        return functional.avg_pool1d(functional.pad(x, around)[None], bins, stride=1)[0]

    return (mean(magnitude.mT) / mean(torch.ones_like(magnitude[:, :1]).mT)).mT


def _floor(magnitude: Tensor) -> Tensor:
    return (FLOOR * magnitude.max()).clamp_min(torch.finfo(magnitude.dtype).tiny)


def _stft(waveform: Tensor, rate: int) -> Tensor:
    window = window_of(rate)
    shape = torch.hann_window(window, dtype=torch.float64)
    return torch.stft(waveform.double(), window, window // 4, window=shape, pad_mode="constant", return_complex=True)


def _istft(spectrum: Tensor, rate: int, samples: int) -> Tensor:
    window = window_of(rate)
    shape = torch.hann_window(window, dtype=torch.float64)
    return torch.istft(spectrum, window, window // 4, window=shape, length=samples)


def _levelled(changed: Tensor, waveform: Tensor) -> Tensor:
    """``changed`` at the level and in the type of ``waveform``."""
    level = waveform.double().norm() / changed.norm().clamp_min(torch.finfo(changed.dtype).tiny)
    return (changed * level).to(waveform.dtype)
