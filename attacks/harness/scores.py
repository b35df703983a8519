"""How near a recovered key is: the error of the key, and what decryption with it sounds like.

The global sign of a waveform is inaudible, so for blocks of samples both measures take the better of the two signs; a
spectrogram's sign is not free.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.keys.blocks import Blocks


def key_error(estimate: Matrix, key: Matrix, blocks: Blocks | str) -> float:
    """Relative error `‖K̂ - K‖_F / ‖K‖_F` of keys `(N, N)`: 0 to 2, about √2 for an unrelated key.

    Examples
    --------
    >>> key_error(-np.eye(3), np.eye(3), "samples"), key_error(-np.eye(3), np.eye(3), "frames")
    (0.0, 2.0)
    """
    error = float(np.linalg.norm(estimate - key))
    if Blocks.named(blocks) is Blocks.SAMPLES:
        error = min(error, float(np.linalg.norm(estimate + key)))
    return error / float(np.linalg.norm(key))


def snr(plain: Tensor, decrypted: Tensor, blocks: Blocks | str) -> float:
    """Signal-to-noise ratio in dB of decrypted speech, `(samples,)` or `(bins, frames)`, capped at 150.

    The mean of a spectrogram does not count as signal: a log-mel spectrogram that is its own mean everywhere scores
    0 dB.
    """
    waveform = Blocks.named(blocks) is Blocks.SAMPLES
    signal = plain if waveform else plain - plain.mean()
    noise = ((decrypted - plain) ** 2).sum()
    if waveform:
        noise = torch.minimum(noise, ((decrypted + plain) ** 2).sum())
    power = float((signal**2).sum())
    return float(10 * np.log10(max(power, 1e-30) / max(float(noise), power * 1e-15, 1e-45)))


def stoi(plain: Tensor, decrypted: Tensor, rate: int) -> float:
    """Short-time objective intelligibility of a waveform, 0 to 1 (Taal et al., 2011), by pystoi.

    NaN where the speech is too short for it: shorter than 30 frames, about 0.4 s.
    """
    import warnings

    from pystoi import stoi as measure

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(measure(plain.double().numpy(), decrypted.double().numpy(), rate, extended=False))
        except RuntimeWarning:
            return float("nan")
