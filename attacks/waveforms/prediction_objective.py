"""How predictable speech is under candidate keys: the objective of multi-state linear prediction.

Plain speech is stationary within a state, so with the right key the covariances K B_l K^T of a state are sections of
one Toeplitz sequence r(k), k = l N + j - i, and the speech is more predictable than under any wrong key:

    J(K) = sum_c pi_c log det T_c(K) / (p + 1),

T_c the (p + 1) x (p + 1) Toeplitz matrix of r_c, its diagonal raised by a white-noise correction. log det T_c is the
sum of the logs of the prediction errors of orders 0 to p (Levinson, 1947).

The autocorrelations of all states are inner products of a few matrices that depend on the key with fixed ones that
depend on the ciphertext: with S_d the shift by d samples inside a block and P_d = K^T S_d K,

    r_c(l N + d) = (<P_d, B_l> + <P_{N-d}, B_{l+1}^T>) / N,    0 <= d < N,

so that a batch of candidate keys costs a few large matrix products. The gradient of log det T is the sums of the
diagonals of T^-1, which the Gohberg-Semencul formula gives from the prediction polynomial alone (Musicus, 1985).
"""

from __future__ import annotations

import torch
from torch import Tensor

from wrongkey.attacks.solvers.stable_linalg import eigh
from wrongkey.attacks.waveforms.lag_covariances import lags_for
from wrongkey.attacks.waveforms.speech_states import SpeechStates
from wrongkey.attacks.waveforms.toeplitz import log_determinants
from wrongkey.errors import BadInput

MOST_BYTES = 2**22  # of the largest intermediate array of a chunk of candidate keys: on a CPU what fits its cache
MOST_BYTES_ELSEWHERE = 2**28


class PredictionObjective:
    """The objective J and its gradient for batches of keys (b, N, N), float64, on the device of the states.

    Parameters
    ----------
    states : SpeechStates
        Of the ciphertext.
    order : int
        p in samples, at most lags * N.
    correction : float
        The white-noise correction, r(0) times (1 + correction).

    Raises
    ------
    BadInput
        If the states have too few lags for the order.
    """

    def __init__(self, states: SpeechStates, order: int, correction: float) -> None:
        size, lags = states.size, states.lags
        if not 1 <= order <= lags * size:
            raise BadInput(
                f"Linear prediction of order {order} needs lag covariances up to {lags_for(order, size)} blocks, "
                f"and these states have {lags}."
            )
        self.states, self.order, self.correction = states, order, correction
        self.size, self.lags, self.count = size, lags, len(states.weights)
        forward = states.covariances  # (C, L + 1, N, N); what P_d^T meets is transposed
        both = torch.cat([forward.mT, forward[:, 1:]], dim=1)  # lags 0 to L forward, then 1 to L backward
        self._columns = both.permute(2, 3, 1, 0).reshape(size * size, -1).contiguous()  # (N N, (2 L + 1) C)
        self._weights = states.weights / (order + 1)

    def with_correction(self, correction: float) -> PredictionObjective:
        """The same objective with another white-noise correction."""
        return PredictionObjective(self.states, self.order, correction)

    def value(self, keys: Tensor) -> Tensor:
        """The objective J (b,) of keys (b, N, N)."""
        return torch.cat([self._value(part) for part in self._chunks(keys)])

    def value_and_gradient(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """J (b,) and its Euclidean gradient (b, N, N) of keys (b, N, N)."""
        parts = [self._value_and_gradient(part) for part in self._chunks(keys)]
        return torch.cat([value for value, _ in parts]), torch.cat([gradient for _, gradient in parts])

    def autocorrelations(self, keys: Tensor) -> Tensor:
        """The autocorrelations (b, C, L N + 1) of every state under keys (b, N, N), without the correction."""
        return torch.cat([self._autocorrelations(_shifts(part) @ part[:, None]) for part in self._chunks(keys)])

    def basis(self, keys: Tensor) -> Tensor:
        """Eigenvectors (b, N, N), in columns and strongest first, of the Toeplitz covariance of decrypted speech."""
        r = torch.einsum("c,bck->bk", self.states.weights, self.autocorrelations(keys)[..., : self.size])
        place = torch.arange(self.size, device=keys.device)
        return eigh(r[:, (place[:, None] - place).abs()])[1].flip(-1)

    def _chunks(self, keys: Tensor) -> tuple[Tensor, ...]:
        each = 8 * self.size * max(self.size**2, self._columns.shape[1])
        most = MOST_BYTES if keys.device.type == "cpu" else MOST_BYTES_ELSEWHERE
        return torch.split(keys, max(1, most // each))

    def _autocorrelations(self, products: Tensor) -> Tensor:
        """Autocorrelations (b, C, L N + 1) from P_d^T (b, N, N, N)."""
        batch, size, lags = len(products), self.size, self.lags
        inner = (products.reshape(batch * size, -1) @ self._columns).reshape(batch, size, 2 * lags + 1, self.count)
        ahead = inner[:, :, : lags + 1].permute(0, 3, 2, 1)  # (b, C, L + 1, d): lag l N + d
        r = ahead[:, :, :lags].clone()
        r[..., 1:] += inner[:, 1:, lags + 1 :].flip(1).permute(0, 3, 2, 1)  # lag l N - d
        return torch.cat([r.flatten(2), ahead[:, :, lags:, 0]], dim=2) / size

    def _spread(self, slopes: Tensor) -> Tensor:
        """The adjoint of `_autocorrelations`: from dJ/dr (b, C, p + 1) to dJ/dinner (b N, (2 L + 1) C)."""
        batch, size, lags = len(slopes), self.size, self.lags
        full = torch.nn.functional.pad(slopes / size, (0, lags * size - self.order))
        inner = full.new_zeros(batch, size, 2 * lags + 1, self.count)
        body = full[..., : lags * size].reshape(batch, self.count, lags, size)
        inner[:, :, :lags] = body.permute(0, 3, 2, 1)
        inner[:, 0, lags] = full[..., lags * size]
        inner[:, 1:, lags + 1 :] = body[..., 1:].permute(0, 3, 2, 1).flip(1)
        return inner.reshape(batch * size, -1)

    def _log_determinants(self, products: Tensor, slopes: bool) -> tuple[Tensor, Tensor]:
        r = self._autocorrelations(products)[..., : self.order + 1]
        r[..., 0] *= 1 + self.correction
        return log_determinants(r, slopes)

    def _value(self, keys: Tensor) -> Tensor:
        values, _ = self._log_determinants((_shifts(keys).flatten(1, 2) @ keys).reshape(-1, *3 * (self.size,)), False)
        return values @ self._weights

    def _value_and_gradient(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        batch, size = len(keys), self.size
        up = _shifts(keys).flatten(1, 2)  # ((d, n), i): K[i + d, n]
        values, slopes = self._log_determinants((up @ keys).reshape(batch, size, size, size), True)
        slopes[..., 0] *= 1 + self.correction
        weighted = slopes * self._weights[:, None]
        met = (self._spread(weighted) @ self._columns.mT).reshape(batch, size, size, size)  # V_d^T[n, m]
        down = _shifts(keys.flip(1)).flip(3).flatten(1, 2)  # ((d, m), i): K[i - d, m]
        gradient = up.mT @ met.flatten(1, 2) + down.mT @ met.mT.reshape(batch, size * size, size)
        return values @ self._weights, gradient


def _shifts(keys: Tensor) -> Tensor:
    """Keys (b, N, N) moved up by d = 0 to N - 1 rows: (b, d, n, i) holds K[i + d, n], zero beyond the last row."""
    size = keys.shape[-1]
    return torch.nn.functional.pad(keys, (0, 0, 0, size - 1)).unfold(1, size, 1)
