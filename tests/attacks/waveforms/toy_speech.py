"""A toy speaker: resonances that change ten times a second, and a decaying spectrum."""

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

RATE = 16_000


def toy_speech(seconds: float, seed: int) -> np.ndarray:
    """A waveform (samples,)."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(int(seconds * 10)):
        formants = rng.uniform((200, 900, 2200), (900, 2200, 3800))
        poles = 0.97 * np.exp(2j * np.pi * formants / RATE)
        poly = np.real(np.poly(np.concatenate([poles, poles.conj(), [0.9]])))
        part = lfilter([1.0], poly, rng.standard_normal(RATE // 10))
        parts.append(part / part.std())
    return np.concatenate(parts)


def toy_blocks(size: int, seconds: float, seed: int) -> list[Tensor]:
    """One sequence of blocks (t, size)."""
    speech = toy_speech(seconds, seed)
    whole = len(speech) // size * size
    return [torch.from_numpy(speech[:whole].reshape(-1, size))]
