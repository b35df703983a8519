"""How near decrypted speech is to the plain speech, in decibels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wrongkey.keys.blocks import Blocks


def snr(plain: Tensor, decrypted: Tensor, blocks: Blocks | str) -> float:
    """Signal-to-noise ratio in dB of decrypted speech, `(samples,)` or `(bins, frames)`, capped at 150.

    The global sign of a waveform is inaudible, so the better of the two signs counts. The mean of a spectrogram does
    not count as signal: a log-mel spectrogram that is its own mean everywhere scores 0 dB.
    """
    waveform = Blocks.named(blocks) is Blocks.SAMPLES
    signal = plain if waveform else plain - plain.mean()
    noise = ((decrypted - plain) ** 2).sum()
    if waveform:
        noise = torch.minimum(noise, ((decrypted + plain) ** 2).sum())
    power = float((signal**2).sum())
    return float(10 * np.log10(max(power, 1e-30) / max(float(noise), power * 1e-15, 1e-45)))
