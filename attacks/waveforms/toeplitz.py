"""Log determinants of many small symmetric Toeplitz matrices and their gradients, in time p^2 each.

Levinson's recursion gives the prediction errors e_0 ... e_p of r(0) ... r(p), whose product is the determinant, and the
prediction polynomial a of order p; the diagonals of the inverse sum to (Gohberg-Semencul; Musicus, IEEE Trans. ASSP 33,
1985)

    d log det T / d r(k) = 2 / e_p sum_i (p + 1 - k - 2 i) a_i a_{i+k},    k > 0, and half of it for k = 0.

On a CPU a compiled loop over all matrices at once, elsewhere the same recursion in torch.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

LEAST = 1e-12  # of r(0): what a prediction error is taken to be at least (where rounding made r indefinite)


def log_determinants(r: Tensor, slopes: bool = True) -> tuple[Tensor, Tensor]:
    """The values log det T (...) of autocorrelations r (..., p + 1), float64, and gradients (..., p + 1) or nothing."""
    flat = r.reshape(-1, r.shape[-1])
    if r.device.type == "cpu":
        across = np.ascontiguousarray(flat.numpy().T)
        values, gradients = (torch.from_numpy(part) for part in _recursion(across, slopes))
    else:
        values, gradients = recursion(flat.mT, slopes)
    return values.reshape(r.shape[:-1]), gradients.mT.reshape(*r.shape[:-1], -1) if slopes else gradients


def recursion(r: Tensor, slopes: bool) -> tuple[Tensor, Tensor]:
    """As `_recursion`, in torch: r (p + 1, n) on any device."""
    order = len(r) - 1
    a = torch.zeros_like(r)
    a[0] = 1
    error, values = r[0].clone(), r[0].log()
    for m in range(1, order + 1):
        reflection = -(a[:m] * r[1 : m + 1].flip(0)).sum(0) / error
        a[1 : m + 1] = a[1 : m + 1] + reflection * a[:m].flip(0)
        error = torch.maximum(error * (1 - reflection**2), LEAST * r[0])
        values = values + error.log()
    if not slopes:
        return values, values.new_empty(0)
    gradients = torch.empty_like(r)
    for k in range(order + 1):
        factors = torch.arange(order + 1 - k, -(order + 1 - k), -2, dtype=r.dtype, device=r.device)[:, None]
        gradients[k] = (factors * a[: order + 1 - k] * a[k:]).sum(0) * ((1 if k == 0 else 2) / error)
    return values, gradients


@njit(cache=True, fastmath=True)
def _recursion(r: NDArray[np.float64], slopes: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values (n,) and gradients (p + 1, n) of r (p + 1, n), in runs of matrices that the innermost loop goes along."""
    lanes = 64
    order, count = r.shape[0] - 1, r.shape[1]
    values = np.empty(count)
    gradients = np.empty((order + 1 if slopes else 0, count))
    a = np.zeros((order + 1, lanes))
    old = np.zeros((order + 1, lanes))
    error, reflection = np.empty(lanes), np.empty(lanes)
    for first in range(0, count, lanes):
        n = min(lanes, count - first)
        here = r[:, first : first + n]
        a[0, :n] = 1
        for s in range(n):
            error[s] = here[0, s]
            values[first + s] = np.log(error[s])
        for m in range(1, order + 1):
            reflection[:n] = 0
            for i in range(m):
                for s in range(n):
                    reflection[s] += a[i, s] * here[m - i, s]
                    old[i, s] = a[i, s]
            a[m, :n] = 0
            for s in range(n):
                reflection[s] = -reflection[s] / error[s]
                error[s] = max(error[s] * (1 - reflection[s] ** 2), LEAST * here[0, s])
                values[first + s] += np.log(error[s])
            for i in range(1, m + 1):
                for s in range(n):
                    a[i, s] += reflection[s] * old[m - i, s]
        if slopes:
            for k in range(order + 1):
                gradient = gradients[k, first : first + n]
                gradient[:] = 0
                for i in range(order + 1 - k):
                    factor = (order + 1 - k - 2 * i) * (1.0 if k == 0 else 2.0)
                    for s in range(n):
                        gradient[s] += factor * a[i, s] * a[i + k, s]
                for s in range(n):
                    gradient[s] /= error[s]
    return values, gradients
