"""How predictable speech is under a candidate key: the objective of the attacks that need no plain speech.

The right key is the one under which speech is most predictable from its past. Of a state c with autocorrelation `r_c`,
linear prediction of order p leaves the error variance `σ_c² = min_a aᵀ T(r_c) a`, `a_0 = 1` (Makhoul, 1975), and

    J = Σ_c share_c log σ_c²

is twice the entropy rate of a Gaussian signal, in nats per sample, up to a constant: 0 where nothing can be predicted.
J is concave in the autocorrelations, so `J(r) ≤ J(r₀) + Σ_c,k g_c(k) (r_c(k) - r₀_c(k))`: a key that lowers the linear
form on the right lowers J (majorisation, minimisation), and the form is a sum over pairs of block elements.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.waveforms.lag_covariances import scalar_lags

ENTROPY_ROUNDING = 1e-9  # an entropy is lower only by more than this


def prediction(r: Matrix, white: float) -> tuple[Matrix, Matrix]:
    """Prediction error filters `a (C, p + 1)` and error variances `σ² (C,)` of autocorrelations `(C, p + 1)`.

    white: white noise added to r(0), relative to it.
    """
    lag = np.arange(r.shape[1])
    toeplitz = r[:, np.abs(lag[:, None] - lag)] + white * r[:, :1, None] * np.eye(r.shape[1])
    first = np.zeros((len(r), r.shape[1], 1))
    first[:, 0] = 1
    columns = np.linalg.solve(toeplitz, first)[:, :, 0]
    variances = 1 / columns[:, 0]
    return columns * variances[:, None], variances


def entropy(r: Matrix, shares: Matrix, white: float) -> float:
    """The entropy J, in nats per sample, of autocorrelations `(C, p + 1)` with shares `(C,)`."""
    return float(shares @ np.log(prediction(r, white)[1]))


def lag_weights(r: Matrix, shares: Matrix, white: float) -> Matrix:
    """The derivatives `g (C, p + 1)` of J: autocorrelations of the prediction error filters over their variances."""
    filters, variances = prediction(r, white)
    length = filters.shape[1]
    products = [(filters[:, : length - lag] * filters[:, lag:]).sum(1) for lag in range(length)]
    weights = 2 * np.stack(products, axis=1) / variances[:, None]
    weights[:, 0] *= (1 + white) / 2
    return weights * shares[:, None]


def entry_weights(weights: Matrix, size: int, lags: int) -> Matrix:
    """Weights `(C, p + 1)` at the entries of lag covariances `(C, lags + 1, N, N)`; zero outside lags 1 to p."""
    lag = scalar_lags(size, lags)
    inside = (lag >= 1) & (lag < weights.shape[1])
    return np.where(inside, weights[:, np.where(inside, lag, 0)], 0.0)


def ordered(covariances: Matrix, order: NDArray[np.int64]) -> Matrix:
    """Covariances `(..., N, N)` of rows whose element i is the ciphertext's element `order[i]`."""
    return covariances[..., order[:, None], order[None, :]]
