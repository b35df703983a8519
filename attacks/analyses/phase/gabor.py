"""The discrete Gabor transform with a Gaussian window, on which phases are reconstructed.

Conventions are those of LTFAT (Søndergaard, Torrésani, Balazs 2012): signals are periodic with `L` samples, the window
is `g(l) ∝ exp(-π l² / γ)` of unit energy, and with hop `a` and `M` channels

    c(m, n) = Σ_l f(l) g(l - a n) exp(-2πi m l / M),   m = 0 … M/2,   n = 0 … L/a - 1

("frequency-invariant" phase: a sinusoid at the centre of a channel keeps its phase over time). Here `γ = a M`, the
window that is as wide in frames as in bins. Two classes compute the same numbers: `LtfatGabor` with ltfatpy (optional,
GPLv3, one signal at a time), `TorchGabor` in torch (batched, any device).

For a Gaussian window the phase's gradient follows from the magnitude `s` alone (Portnoff 1979; Prusa, Balazs,
Søndergaard 2017), in radians per frame and per bin:

    ∂φ/∂n =  (a M / γ) ∂(log s)/∂m
    ∂φ/∂m = -(γ / (a M)) ∂(log s)/∂n - 2π a n / M
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from math import ceil, log, pi, sqrt
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.errors import BadInput

Backend = Literal["auto", "ltfatpy", "torch"]
Array = NDArray[np.float64]

WINDOW_END = 1e-12  # of its maximum: where the torch transform ends the Gaussian
FLOOR = 1e-10  # of the largest magnitude: smaller ones count as this in the logarithm


@dataclass(frozen=True)
class Lattice:
    """Hop `a` and channels `M` of a Gabor transform; the defaults are 8 ms and 257 bins at 16 kHz.

    Raises BadInput where half the number of channels is not a multiple of the hop; a redundancy below 2 is such a case.
    """

    hop: int = 128
    channels: int = 512

    def __post_init__(self) -> None:
        if self.hop < 1 or self.channels < 2 or self.channels % (2 * self.hop):
            raise BadInput(
                f"A Gabor transform with hop {self.hop} and {self.channels} channels is not supported: choose a number "
                "of channels that is a multiple of twice the hop."
            )

    @property
    def bins(self) -> int:
        """Bins of a real signal's spectrum, from 0 to the Nyquist frequency."""
        return self.channels // 2 + 1

    @property
    def gamma(self) -> int:
        """γ of the window exp(-π l² / γ), in samples squared."""
        return self.hop * self.channels

    @property
    def half(self) -> int:
        """Samples from the window's middle to its end, a multiple of half the channels."""
        step = self.channels // 2
        return step * ceil(sqrt(-log(WINDOW_END) / pi * self.gamma) / step)

    def length(self, samples: int) -> int:
        """L for a signal of `samples` samples: at least `channels` zeros are appended, which keep its ends apart."""
        if samples < 1:
            raise BadInput("A signal without samples has no spectrogram.")
        return self.channels * ceil(max(samples + self.channels, 2 * self.half) / self.channels)

    def frames(self, samples: int) -> int:
        """Frames of a signal with this number of samples."""
        return self.length(samples) // self.hop


@dataclass(frozen=True)
class PhaseGradient:
    """The phase's change per frame (`time`) and per bin (`frequency`), radians, each `(bins, frames)` float64."""

    time: Array
    frequency: Array


class Gabor(Protocol):
    """A Gabor transform and the phase gradient that belongs to its window."""

    @property
    def lattice(self) -> Lattice:
        """Hop and channels."""

    def analyse(self, signals: Tensor) -> Tensor:
        """Signals `(..., samples)` to coefficients `(..., bins, frames)`, complex; filled as `Lattice.length` says."""

    def synthesise(self, coefficients: Tensor, samples: int) -> Tensor:
        """Coefficients `(..., bins, frames)` to signals `(..., samples)` by the canonical dual window."""

    def phase_gradient(self, magnitude: Array) -> PhaseGradient:
        """The gradient of the phase from a magnitude `(bins, frames)`."""


def open_gabor(lattice: Lattice | None = None, backend: Backend = "auto") -> Gabor:
    """The transform by ltfatpy if it is installed, or by torch; BadInput where ltfatpy is asked for and missing."""
    if backend not in ("auto", "ltfatpy", "torch"):
        raise BadInput(f"The Gabor transform is computed by ltfatpy or torch, not by {backend!r}.")
    installed = find_spec("ltfatpy") is not None
    if backend == "ltfatpy" and not installed:
        raise BadInput(
            "ltfatpy is not installed: pip install ltfatpy (it needs FFTW and LAPACK headers), or use torch."
        )
    kind = TorchGabor if backend == "torch" or not installed else LtfatGabor
    return kind(lattice or Lattice())


def phase_gradient(magnitude: Array, lattice: Lattice) -> PhaseGradient:
    """Second-order central differences of the log magnitude: even over the first and last bin, periodic in time."""
    mirrored = np.concatenate([magnitude[1:2], magnitude, magnitude[-2:-1]])  # s(-m) = s(m): the signal is real
    logs = np.log(np.maximum(mirrored, FLOOR * max(float(magnitude.max()), np.finfo(np.float64).tiny)))
    per_bin = (logs[2:] - logs[:-2]) / 2
    per_frame = (np.roll(logs, -1, axis=1) - np.roll(logs, 1, axis=1))[1:-1] / 2
    return _scaled(per_frame, per_bin, lattice)


def _scaled(per_frame: Array, per_bin: Array, lattice: Lattice) -> PhaseGradient:
    """The phase gradient from the log magnitude's, both `(bins, frames)`."""
    ratio = lattice.gamma / (lattice.hop * lattice.channels)
    start = lattice.hop * np.arange(per_frame.shape[1])  # of each frame, in samples
    return PhaseGradient(per_bin / ratio, -ratio * per_frame - 2 * pi * start / lattice.channels)


@dataclass(frozen=True)
class TorchGabor:
    """The transform in torch, in the signals' precision: windowed segments, wrapped to `M` samples, a real FFT each.

    The window ends where it has fallen to `WINDOW_END`; its dual is that of the ended window, so that synthesis inverts
    analysis to rounding.
    """

    lattice: Lattice

    def analyse(self, signals: Tensor) -> Tensor:
        """Signals `(..., samples)` to coefficients `(..., bins, frames)`."""
        hop, channels = self.lattice.hop, self.lattice.channels
        length = self.lattice.length(signals.shape[-1])
        frames, window = length // hop, self._window.to(signals).reshape(-1, hop)
        steps = torch.nn.functional.pad(signals, (0, length - signals.shape[-1])).reshape(
            *signals.shape[:-1], frames, hop
        )
        around = steps.index_select(-2, _round(frames, len(window) // 2, signals.device))
        wrapped = steps.new_zeros(*signals.shape[:-1], frames, channels // hop, hop)
        for k, piece in enumerate(window):  # piece by piece: what is worked on stays in the cache
            wrapped[..., k % (channels // hop), :].addcmul_(around[..., k : k + frames, :], piece)
        turned = torch.fft.rfft(wrapped.flatten(-2)) * self._turns(frames, self.lattice.half, signals)
        return turned.mT

    def synthesise(self, coefficients: Tensor, samples: int) -> Tensor:
        """Coefficients `(..., bins, frames)` to signals `(..., samples)`."""
        check_coefficients(coefficients, self.lattice, samples)
        hop, channels = self.lattice.hop, self.lattice.channels
        frames, dual = coefficients.shape[-1], self._dual.to(coefficients.real).reshape(-1, hop)
        turned = coefficients.mT * self._turns(frames, len(dual) // 2 * hop, coefficients.real).conj()
        wrapped = torch.fft.irfft(turned, n=channels, norm="forward").reshape(*turned.shape[:-1], -1, hop)
        around = wrapped.new_zeros(*coefficients.shape[:-2], frames + len(dual), hop)
        for k, piece in enumerate(dual):
            around[..., k : k + frames, :].addcmul_(wrapped[..., k % (channels // hop), :], piece)
        whole = around.new_zeros(*around.shape[:-2], frames, hop)
        whole.index_add_(-2, _round(frames, len(dual) // 2, around.device), around)
        return whole.flatten(-2)[..., :samples]

    def phase_gradient(self, magnitude: Array) -> PhaseGradient:
        """The gradient of the phase from a magnitude `(bins, frames)`."""
        return phase_gradient(magnitude, self.lattice)

    @cached_property
    def _window(self) -> Tensor:
        """g(-half) … g(half - 1), float64."""
        return _gaussian(self.lattice)

    @cached_property
    def _dual(self) -> Tensor:
        return _canonical_dual(self.lattice)

    def _turns(self, frames: int, half: int, like: Tensor) -> Tensor:
        """exp(-2πi m l / M) at l = a n - `half`, the first sample of each frame's window: `(frames, bins)`."""
        channels = self.lattice.channels
        first = self.lattice.hop * torch.arange(frames) - half
        turn = (first[:, None] * torch.arange(self.lattice.bins)) % channels  # exact in integers
        angle = -2 * pi / channels * turn.double()
        return torch.polar(torch.ones_like(angle), angle).to(like.device, torch.promote_types(like.dtype, torch.cfloat))


def check_coefficients(coefficients: Tensor, lattice: Lattice, samples: int) -> None:
    """Raise BadInput unless the coefficients are those of a signal of `samples` samples."""
    wanted = (lattice.bins, lattice.frames(samples))
    if tuple(coefficients.shape[-2:]) != wanted:
        raise BadInput(
            f"A signal of {samples} samples has a spectrogram of {wanted[0]} bins and {wanted[1]} frames, and this one "
            f"is {tuple(coefficients.shape)}."
        )


def _round(frames: int, half: int, device: torch.device) -> Tensor:
    """Steps -half … frames + half - 1 of a signal that is periodic with `frames` steps."""
    return torch.arange(-half, frames + half, device=device) % frames


def _gaussian(lattice: Lattice) -> Tensor:
    """The window from -half to half - 1, of unit energy, float64."""
    l = torch.arange(-lattice.half, lattice.half, dtype=torch.float64)  # noqa: E741 (the paper's name)
    window = torch.exp(-pi * l**2 / lattice.gamma)
    return window / window.norm()


@lru_cache(maxsize=8)
def _canonical_dual(lattice: Lattice) -> Tensor:
    """The dual window from -P to P - 1, float64, ended where it has fallen to WINDOW_END.

    Walnut's representation of the frame operator couples only samples that are a multiple of `M` apart: for each
    residue r mod M, S_r[j, j'] = M Σ_n g(r + jM - an) g(r + j'M - an), and the dual solves S_r d_r = g_r.
    """
    channels, hop = lattice.channels, lattice.hop
    periods = 16  # the dual has decayed long before 16 M samples
    length = channels * periods
    window = torch.zeros(length, dtype=torch.float64)
    window[torch.arange(-lattice.half, lattice.half) % length] = _gaussian(lattice)
    shifts = torch.stack([torch.roll(window, hop * n) for n in range(length // hop)])  # (n, l)
    rows = shifts.reshape(-1, periods, channels).permute(2, 1, 0)  # (r, j, n)
    frame_operator = channels * rows @ rows.mT
    dual = torch.linalg.solve(frame_operator, window.reshape(periods, channels).T[..., None]).squeeze(-1).T.flatten()
    centred = torch.roll(dual, length // 2)
    beyond = (centred.abs() > WINDOW_END * centred.abs().max()).nonzero().sub(length // 2).abs().max()
    half = min(length // 2, channels // 2 * ceil((int(beyond) + 1) / (channels // 2)))
    return centred[length // 2 - half : length // 2 + half]


@dataclass(frozen=True)
class LtfatGabor:
    """The transform by ltfatpy: one signal after the other, in float64 on the CPU."""

    lattice: Lattice

    def analyse(self, signals: Tensor) -> Tensor:
        """Signals `(..., samples)` to coefficients `(..., bins, frames)`."""
        from ltfatpy import dgtreal

        hop, channels = self.lattice.hop, self.lattice.channels
        length = self.lattice.length(signals.shape[-1])
        window, _ = _ltfat_windows(self.lattice, length)
        filled = torch.nn.functional.pad(signals, (0, length - signals.shape[-1])).double().cpu().reshape(-1, length)
        coefficients = [dgtreal(signal, window, hop, channels)[0] for signal in filled.numpy()]
        return torch.from_numpy(np.stack(coefficients)).reshape(*signals.shape[:-1], self.lattice.bins, length // hop)

    def synthesise(self, coefficients: Tensor, samples: int) -> Tensor:
        """Coefficients `(..., bins, frames)` to signals `(..., samples)`."""
        from ltfatpy import idgtreal

        hop, channels = self.lattice.hop, self.lattice.channels
        check_coefficients(coefficients, self.lattice, samples)
        bins, frames = coefficients.shape[-2:]
        _, dual = _ltfat_windows(self.lattice, frames * hop)
        each = coefficients.to(torch.complex128).cpu().reshape(-1, bins, frames).numpy()
        signals = [idgtreal(np.asfortranarray(c), dual, hop, channels)[0][:samples] for c in each]
        return torch.from_numpy(np.stack(signals)).reshape(*coefficients.shape[:-2], samples)

    def phase_gradient(self, magnitude: Array) -> PhaseGradient:
        """By `gabphasegrad('abs', …)`, of the whole spectrum and of a magnitude whose maximum is 1.

        gabphasegrad differentiates circularly over the rows, and lifts logarithms that lie more than 11 below the
        largest to -11, whatever the largest is. Given the half spectrum of a real signal it would take bin 0 for the
        neighbour of the Nyquist bin and the derivative for one over half as many channels.
        """
        from ltfatpy import gabphasegrad

        largest = float(magnitude.max())
        normalised = magnitude / largest if largest > 0 else magnitude
        whole = np.concatenate([normalised, normalised[-2:0:-1]])  # s(M - m) = s(m)
        hop, channels, bins = self.lattice.hop, self.lattice.channels, self.lattice.bins
        length = magnitude.shape[1] * hop
        window = {"name": "gauss", "tfr": self.lattice.gamma / length}
        time, frequency = gabphasegrad("abs", whole, window, hop, difforder=2)
        radians = 2 * pi / length  # per sample and channel of 1 / length
        start = hop * np.arange(magnitude.shape[1])
        return PhaseGradient(
            np.ascontiguousarray(time[:bins]) * hop * radians,
            -(np.ascontiguousarray(frequency[:bins]) + start) * radians * length / channels,
        )


@lru_cache(maxsize=32)
def _ltfat_windows(lattice: Lattice, length: int) -> tuple[Any, Any]:
    """The Gaussian of unit energy with this period, and its canonical dual."""
    from ltfatpy import gabdual, pgauss

    window = pgauss(length, lattice.gamma / length)[0]
    return window, gabdual(window, lattice.hop, lattice.channels, length)
