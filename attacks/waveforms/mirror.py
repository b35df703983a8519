"""The mirrored spectrum: for an even block size two keys explain a ciphertext, and voices tell which of them is right.

K and diag(1, -1, 1, ...) K decrypt x_n and (-1)^n x_n, whose spectra are mirrored at a quarter of the sampling rate.
Both are spectra of sounds, so no criterion of stationarity tells them apart. Energy would, but pre-emphasis and
whitening move it. Harmonics stay: those of voices are clear at low frequencies and lost in breath at high ones. With r
the autocorrelation of a segment whose power spectrum was divided by its envelope, voices have

    v = sum of r(l) r(l + 1) over the lags l of pitch > 0,

and the mirrored spectrum, with (-1)^l r(l), has exactly -v. In bands without sound one would hear what a key that is
nearly right lets through of the others; they are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wrongkey.attacks.solvers.powers import moving_mean, power
from wrongkey.attacks.waveforms.polyphase_settings import PolyphaseSettings

NOT_TOLD = "Voices do not tell this key from that of the mirrored spectrum."


def mirrored(key: Tensor) -> Tensor:
    """The key (N, N), N even, that decrypts the mirrored spectrum."""
    signs = 1 - 2 * (torch.arange(len(key), dtype=key.dtype) % 2)
    return signs[:, None] * key


def upright(key: Tensor, segments: Tensor, rate: float, settings: PolyphaseSettings) -> tuple[Tensor, float]:
    """Of a key (N, N), N even, and its mirror image the one that decrypts voices, and by how much: see `harmonics`."""
    found = harmonics(segments @ key.mT, rate, settings)
    return (key, found) if found >= 0 else (mirrored(key), -found)


def harmonics(segments: Tensor, rate: float, settings: PolyphaseSettings) -> float:
    """Mean of v over decrypted segments (s, blocks, N), in standard errors as if segments did not overlap."""
    speech = segments.flatten(1)
    powers = power(torch.fft.rfft(speech, 2 * speech.shape[1]))
    envelope = moving_mean(powers, round(settings.envelope * 2 * speech.shape[1] / rate))
    shortest, longest = (round(seconds * rate) for seconds in settings.pitch)
    r = torch.fft.irfft(powers / (envelope + settings.empty * powers.mean()))[:, shortest:longest]
    v = (r[:, :-1] * r[:, 1:]).sum(1)
    return float(v.mean() / v.std().clamp_min(1e-30) * len(v) ** 0.5) if len(v) > 1 else 0.0
