"""The one short-time Fourier transform of pictures; each kind of picture has its own windows, colours and axes."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann


def magnitudes(waveform: NDArray[np.floating], window: int, hop: int) -> NDArray[np.float64]:
    """Magnitudes `(bins, frames)` of a waveform `(samples,)`, from 0 Hz to half the rate.

    Parameters
    ----------
    waveform
        Samples; fewer than a window are filled with silence.
    window, hop
        Samples of a Hann window, and from one to the next.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 0.25 * np.arange(1000))
    >>> size = magnitudes(tone, 100, 50)
    >>> size.shape[0], int(size.mean(1).argmax())
    (51, 25)
    """
    transform = ShortTimeFFT(hann(window, sym=False), hop, 1.0)
    return np.abs(transform.stft(np.pad(waveform, (0, max(0, window - len(waveform))))))
