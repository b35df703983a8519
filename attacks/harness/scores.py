"""How near a recovered key is: the error of the key, and what decryption with it sounds like.

A waveform's global sign is heard by nobody, so for blocks of samples both measures take the better of the two signs;
a spectrogram's sign is not free.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.keys.blocks import Blocks


def key_error(estimate: Matrix, key: Matrix, blocks: Blocks) -> float:
    """Relative error `‖K̂ - K‖_F / ‖K‖_F` of keys `(N, N)`: 0 to 2, about √2 for an unrelated key."""
    error = float(np.linalg.norm(estimate - key))
    if blocks == "samples":
        error = min(error, float(np.linalg.norm(estimate + key)))
    return error / float(np.linalg.norm(key))


def snr(plain: Tensor, decrypted: Tensor, blocks: Blocks) -> float:
    """Signal-to-noise ratio in dB of decrypted speech, `(samples,)` or `(bins, frames)`, capped at 150.

    The signal's mean is no part of a spectrogram's signal: a log-mel that is the constant mean scores 0 dB.
    """
    signal = plain if blocks == "samples" else plain - plain.mean()
    noise = ((decrypted - plain) ** 2).sum()
    if blocks == "samples":
        noise = torch.minimum(noise, ((decrypted + plain) ** 2).sum())
    power = float((signal**2).sum())
    return float(10 * np.log10(max(power, 1e-30) / max(float(noise), power * 1e-15, 1e-45)))


def stoi(plain: Tensor, decrypted: Tensor, rate: int) -> float:
    """Short-time objective intelligibility of a waveform, 0 to 1 (Taal et al., 2011), by pystoi.

    NaN where the speech is too short for it (less than 30 frames, about 0.4 s).
    """
    import warnings

    from pystoi import stoi as measure

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(measure(plain.double().numpy(), decrypted.double().numpy(), rate, extended=False))
        except RuntimeWarning:
            return float("nan")
