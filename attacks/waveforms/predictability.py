"""How predictable speech is under a candidate key: the objective of the attacks that need no plain speech.

The right key is the one under which speech is most predictable from its past. Of a state c with autocorrelation `r_c`,
linear prediction of order p leaves the error variance `σ_c² = min_a aᵀ T(r_c) a`, `a_0 = 1` (Makhoul, 1975), and

    J = Σ_c share_c log σ_c²

is the entropy rate of a Gaussian signal, twice, in nats a sample, up to a constant: 0 where nothing can be predicted.
J is concave in the autocorrelations, so `J(r) ≤ J(r₀) + Σ_c,k g_c(k) (r_c(k) - r₀_c(k))`: a key that lowers the linear
form on the right lowers J (majorisation, minimisation), and the form is a sum over pairs of block elements.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.waveforms.lag_covariances import autocorrelations, scalar_lags

WHITE = 1e-3  # white noise added to r(0): speech coded with losses has empty bands, whose prediction means nothing


def prediction(r: Matrix, white: float = WHITE) -> tuple[Matrix, Matrix]:
    """Prediction error filters `a (C, p + 1)` and error variances `σ² (C,)` of autocorrelations `(C, p + 1)`."""
    lag = np.arange(r.shape[1])
    toeplitz = r[:, np.abs(lag[:, None] - lag)] + white * r[:, :1, None] * np.eye(r.shape[1])
    first = np.zeros((len(r), r.shape[1], 1))
    first[:, 0] = 1
    columns = np.linalg.solve(toeplitz, first)[:, :, 0]
    variances = 1 / columns[:, 0]
    return columns * variances[:, None], variances


def entropy(r: Matrix, shares: Matrix, white: float = WHITE) -> float:
    """J, nats a sample, of autocorrelations `(C, p + 1)` with shares `(C,)`."""
    return float(shares @ np.log(prediction(r, white)[1]))


def lag_weights(r: Matrix, shares: Matrix, white: float = WHITE) -> Matrix:
    """`g (C, p + 1)`, the derivatives of J: autocorrelations of the prediction error filters over their variances."""
    filters, variances = prediction(r, white)
    length = filters.shape[1]
    products = [(filters[:, : length - lag] * filters[:, lag:]).sum(1) for lag in range(length)]
    weights = 2 * np.stack(products, axis=1) / variances[:, None]
    weights[:, 0] *= (1 + white) / 2
    return weights * shares[:, None]


def entry_weights(weights: Matrix, size: int, lags: int) -> Matrix:
    """Weights `(C, p + 1)` at every entry of lag covariances, `(C, lags + 1, N, N)`; zero outside lags 1 to p."""
    lag = scalar_lags(size, lags)
    inside = (lag >= 1) & (lag < weights.shape[1])
    spread: Matrix = np.where(inside, weights[:, np.where(inside, lag, 0)], 0.0)
    return spread


def ordered(covariances: Matrix, order: NDArray[np.int64]) -> Matrix:
    """Covariances `(..., N, N)` of rows whose element i is the ciphertext's element `order[i]`."""
    found: Matrix = covariances[..., order[:, None], order[None, :]]
    return found


def entropy_of_order(covariances: Matrix, shares: Matrix, order: NDArray[np.int64], prediction_order: int) -> float:
    """J of the states `(C, L + 1, N, N)` with their elements in this `order (N,)`."""
    return entropy(autocorrelations(ordered(covariances, order), prediction_order), shares)
