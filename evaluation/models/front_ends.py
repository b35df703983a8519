"""Log-mel and log-linear spectrograms in torch, the front ends of the models that read spectrograms.

The user computes them before encryption: a spectrogram `(bins, frames)` is the query. Frames are centred on the
multiples of the hop, silence around the recording, periodic Hann window as long as the FFT; logarithms are natural.
Nothing is random and nothing depends on other recordings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.adapters.ge2e_network import slaney_mel_bank

MOST_FFT = 2**16  # samples of a window: four seconds at 16 kHz
MOST_BANK = 2**24  # frequencies times mel bands, 128 MiB as they are made


@dataclass(frozen=True)
class LogMel:
    """`log(max(power, floor))` in mel bands: `LogMel(16_000, 512, 160, 64)(waveform)`.

    sample_rate: hertz of the waveforms; n_fft, hop: samples of a window and between windows; bins: mel bands of
    equal area from 0 Hz to half the sample rate (Slaney's scale); floor: the least power, which silence gets.
    """

    sample_rate: int = 16_000
    n_fft: int = 400
    hop: int = 160
    bins: int = 80
    floor: float = 1e-10

    def __post_init__(self) -> None:
        _check(self.sample_rate, self.n_fft, self.hop, self.bins, self.floor)

    def __call__(self, waveform: Tensor) -> Tensor:
        """Waveforms `(..., samples)` to `(..., bins, frames)`, frames = 1 + samples // hop."""
        bank = _bank(self.sample_rate, self.n_fft, self.bins).to(waveform)
        return (bank @ power(waveform, self.n_fft, self.hop)).clamp(min=self.floor).log()


@dataclass(frozen=True)
class LogLinear:
    """`log(max(power, floor))` of the first `bins` frequencies of the FFT, `n_fft // 2 + 1` at most."""

    sample_rate: int = 16_000
    n_fft: int = 512
    hop: int = 160
    bins: int = 256
    floor: float = 1e-10

    def __post_init__(self) -> None:
        _check(self.sample_rate, self.n_fft, self.hop, self.bins, self.floor)
        if self.bins > self.n_fft // 2 + 1:
            raise BadInput(
                f"An FFT of {self.n_fft} has {self.n_fft // 2 + 1} frequencies: bins {self.bins} is too many."
            )

    def __call__(self, waveform: Tensor) -> Tensor:
        """Waveforms `(..., samples)` to `(..., bins, frames)`, frames = 1 + samples // hop."""
        return power(waveform, self.n_fft, self.hop)[..., : self.bins, :].clamp(min=self.floor).log()


def power(waveform: Tensor, n_fft: int, hop: int) -> Tensor:
    """Power spectrogram `(..., n_fft // 2 + 1, 1 + samples // hop)` of waveforms `(..., samples)`."""
    window = torch.hann_window(n_fft, dtype=waveform.dtype, device=waveform.device)
    spectrum = torch.stft(waveform, n_fft, hop, window=window, center=True, pad_mode="constant", return_complex=True)
    return spectrum.real.square() + spectrum.imag.square()


def standardised(spectrogram: Tensor) -> Tensor:
    """Spectrograms `(..., bins, frames)`, each less its mean and over its deviation; a constant one becomes zeros."""
    deviation, mean = torch.std_mean(spectrogram, dim=(-2, -1), correction=0, keepdim=True)
    return (spectrogram - mean) / deviation.clamp(min=1e-5)


def whole_clips(spectrogram: Tensor, frames: int) -> Tensor:
    """Cuts a spectrogram `(bins, any)` into clips `(clips, bins, frames)`.

    A last clip of less than half its frames is left out unless it is the only one; any other is filled with the
    beginning again.
    """
    extent = spectrogram.shape[1]
    clips = max((2 * extent + frames) // (2 * frames), 1)
    return split(spectrogram.repeat(1, -(-clips * frames // extent))[:, : clips * frames], frames)


def split(spectrogram: Tensor, frames: int) -> Tensor:
    """Clips `(clips, bins, frames)` that stand side by side in `(bins, clips · frames)`."""
    clips: Tensor = spectrogram.unflatten(1, (-1, frames)).transpose(0, 1)  # type: ignore[no-untyped-call]
    return clips.contiguous()


def joined(clips: Tensor) -> Tensor:
    """The inverse of `split`."""
    return clips.transpose(0, 1).flatten(1)


def _check(sample_rate: int, n_fft: int, hop: int, bins: int, floor: float) -> None:
    for name, value in (("sample_rate", sample_rate), ("n_fft", n_fft), ("hop", hop), ("bins", bins)):
        if value < 1:
            raise BadInput(f"A spectrogram with {name} = {value} is not possible: give at least 1.")
    if n_fft > MOST_FFT or n_fft // 2 * bins > MOST_BANK:
        raise BadInput(
            f"A spectrogram with n_fft = {n_fft} and bins = {bins} is not possible: give {MOST_FFT} samples at most, "
            f"and {MOST_BANK} frequencies times bins."
        )
    if not 0 < floor < float("inf"):
        raise BadInput(f"A spectrogram with floor = {floor} is not possible: give a power above zero.")


@lru_cache(maxsize=8)
def _bank(sample_rate: int, n_fft: int, bins: int) -> Tensor:
    return torch.from_numpy(slaney_mel_bank(sample_rate, n_fft, bins)).float()
