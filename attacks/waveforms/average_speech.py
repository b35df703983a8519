"""Start keys from the long-term spectrum of speech, which falls: strong directions are those of low frequencies.

The eigenvectors of the ciphertext's covariance are those of plain speech, turned by the key. Their energies tell which
is which, except for neighbours, and the signs come from the covariances of neighbouring blocks.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh, toeplitz
from scipy.signal import freqz
from torch import Tensor

from wrongkey.attacks.solvers.stable_linalg import array_eigh
from wrongkey.attacks.waveforms.linear_prediction_settings import LinearPredictionSettings
from wrongkey.attacks.waveforms.speech_states import SpeechStates


def average_autocorrelation(length: int, emphasis: float, settings: LinearPredictionSettings) -> NDArray[np.float64]:
    """The autocorrelation r(0) = 1 to r(length - 1) of average speech after x[n] - emphasis x[n-1]."""
    _, response = freqz([1.0, -emphasis], settings.average, settings.average_grid, whole=True)
    r = np.fft.ifft(np.abs(response) ** 2).real[:length]
    return r / r[0]


def average_starts(
    states: SpeechStates, count: int, rng: np.random.Generator, settings: LinearPredictionSettings
) -> Tensor:
    """Start keys (count, N, N): half for speech as it is, half for pre-emphasised speech.

    Each weights the states and disturbs the order of energies in its own way, and has its own local optimum of signs.
    """
    size, lags = states.size, min(states.lags, 2)
    covariances, weights = states.covariances.numpy(), states.weights.numpy()
    starts = []
    for i in range(count):
        r = average_autocorrelation((lags + 1) * size, settings.emphasis if i % 2 else 0.0, settings)
        plain = _sections(r, size, lags)
        mixed = np.einsum("c,clij->lij", rng.dirichlet(np.ones(len(weights))) + weights, covariances)
        u, v = _strongest_first(plain[0]), _strongest_first(mixed[0])
        order = np.arange(size)
        if i > 1:
            order = np.argsort(order + settings.jitter * rng.standard_normal(size))
        u = u[:, order]
        alike = sum((u.T @ a @ u) * (v.T @ b @ v) for a, b in zip(plain[1:], mixed[1:], strict=False))
        starts.append(u * _signs(np.asarray(alike), rng) @ v.T)
    return torch.from_numpy(np.stack(starts))


def _sections(r: NDArray[np.float64], size: int, lags: int) -> list[NDArray[np.float64]]:
    """The plain lag covariances (N, N) of autocorrelation r: entry (i, j) at lag l is r(|l N + j - i|)."""
    whole = toeplitz(r)
    return [whole[:size, lag * size : (lag + 1) * size] for lag in range(lags + 1)]


def _strongest_first(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    return array_eigh(covariance, eigh)[1][:, ::-1]


def _signs(alike: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Signs s of locally largest s^T W s, flipped one at a time from random ones."""
    w = alike + alike.T
    np.fill_diagonal(w, 0.0)
    signs = rng.choice([-1.0, 1.0], len(w))
    for _ in range(20 * len(w)):
        gain = signs * (w @ signs)
        worst = int(gain.argmin())
        if gain[worst] >= 0:
            break
        signs[worst] = -signs[worst]
    return signs
