"""How well decrypted blocks fit their neighbours, as public speech has it: a Gaussian conditional likelihood of keys.

Of each row f of blocks public speech gives the best linear guess of a block x₀ from its neighbours, and the covariance
of what is left. In terms of the neighbourhood z = (x₀, x₁, …): s = Σ_a x_a W_{f,a} - c_f is white with unit variance in
plain speech. For a key K the blocks are x_a = y_a Kᵀ, and

    J(K) = 1/(2 F N) Σ_f E‖s_f‖² = Σ_k ⟨Ω_k, K S_k Kᵀ⟩ - ⟨L, K⟩ + const,

a pseudo-likelihood [1]_: Ω from W, S the second moments of the ciphertext. What neighbours do not explain of a block is
mostly the noise of short-time spectra, which depends on windows and filters and hardly on the speaker or the channel:
that is why statistics of background speech serve.

References
----------
.. [1] J. Besag, "Statistical analysis of non-lattice data", The Statistician 24, 1975.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wrongkey.attacks.solvers.stable_linalg import eigh, svd
from wrongkey.attacks.spectrograms.statistics import Moments, neighbourhoods


@dataclass(frozen=True)
class Whitening:
    """What makes residuals of plain blocks white: `weights (rows, q, N, N)` and `constant (rows, N)`."""

    weights: Tensor
    constant: Tensor


def whitening(plain: Moments, noise: float) -> Whitening:
    """Return what whitens plain speech with white noise of `noise` times its own mean variance in each row.

    With much noise only the strongest directions of speech count.
    """
    rows, near, size = plain.mean.shape
    covariance = plain.covariance.reshape(rows, near * size, near * size)
    variance = covariance.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    covariance = covariance + noise * variance * torch.eye(near * size, dtype=covariance.dtype)
    around, across = covariance[:, size:, size:], covariance[:, size:, :size]
    guess = torch.linalg.solve(around, across)
    left = covariance[:, :size, :size] - across.mT @ guess
    values, vectors = eigh((left + left.mT) / 2)
    root = vectors @ torch.diag_embed(values.clamp(min=1e-12).rsqrt()) @ vectors.mT
    weights = torch.cat([root, -guess @ root], dim=1).reshape(rows, near, size, size)
    return Whitening(weights, torch.einsum("fqn,fqnm->fm", plain.mean, weights))


class TileLikelihood:
    """J of keys `(b, N, N)`: an `orthogonal_descent.Objective`.

    Parameters
    ----------
    public : Whitening
        Of plain background speech.
    cipher : Moments
        Of the victim's ciphertext.
    means : bool
        Whether the means of rows count; if not, covariances alone do, and J(K) = J(-K).
    negligible : float
        Terms of J smaller than this, relative to the largest, are left out.
    """

    def __init__(self, public: Whitening, cipher: Moments, means: bool, negligible: float) -> None:
        rows, _, size = cipher.mean.shape
        weights = public.weights
        inverse = torch.einsum("faim,fbjm->faibj", weights, weights) / (2 * size * rows)
        seen = cipher.second if means else cipher.covariance
        self.inverse, self.seen = _compressed(_pairs(inverse), _pairs(seen), negligible)
        self.linear = torch.zeros(size, size, dtype=weights.dtype)
        self.constant = 0.0
        if means:
            scale = size * rows
            self.linear = torch.einsum("fqnm,fm,fqk->nk", weights, public.constant, cipher.mean) / scale
            self.constant = float(public.constant.square().sum()) / (2 * scale)
        self._stacked = self.inverse.flatten(0, 1).mT.contiguous()  # (N, k N): Ω_kᵀ side by side

    def value_and_gradient(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Return J `(b,)` and its gradient `(b, N, N)`."""
        turned = (keys[:, None] @ self.seen).flatten(1, 2)
        half = self._stacked @ turned  # Σ_k Ω_kᵀ K S_k
        value = (keys * half).sum((1, 2)) - (keys * self.linear).sum((1, 2)) + self.constant
        return value, 2 * half - self.linear

    def curvatures(self) -> Tensor:
        """Return `(N, N)`: half of how J curves at K = 1 along the rotation of each plane of two directions.

        The linear term is left out.
        """
        a, b = self.inverse, self.seen
        exchanged = a.diagonal(dim1=1, dim2=2).mT @ b.diagonal(dim1=1, dim2=2) - (a * b.mT).sum(0)
        product = (a * b).sum(0)
        kept = (product.sum(0) + product.sum(1)) / 2
        return exchanged + exchanged.mT - kept[:, None] - kept

    def value(self, keys: Tensor) -> Tensor:
        """Return J `(b,)`."""
        return self.value_and_gradient(keys)[0]


def residuals(public: Whitening, grid: Tensor) -> Tensor:
    """Return s `(rows, columns - 2, N)` of plain or decrypted blocks `(rows, columns, N)`."""
    white = torch.einsum("ftqn,fqnm->ftm", neighbourhoods(grid), public.weights)
    return white - public.constant[:, None]


def third_moments(public: Whitening, grids: list[Tensor]) -> Tensor:
    """Return the mean s³ about the rows' means, `(rows, N)`: it tells a key from its negative without the means."""
    left = torch.cat([residuals(public, grid) for grid in grids if grid.shape[1] >= 3], dim=1)
    return (left - left.mean(1, keepdim=True)).pow(3).mean(1)


def _pairs(moments: Tensor) -> Tensor:
    """`(rows, q, N, q, N)` to the matrices `(rows · q · q, N, N)` of all pairs of neighbours."""
    return moments.transpose(2, 3).flatten(0, 2)


def _compressed(inverse: Tensor, seen: Tensor, negligible: float) -> tuple[Tensor, Tensor]:
    """Fewer pairs of matrices of the same Σ_k Ω_k ⊗ S_k, by a singular value decomposition of the Ω.

    With N = 9 there can be 81 instead of 25 a row.
    """
    size = inverse.shape[-1]
    left, values, right = svd(inverse.flatten(1), full_matrices=False)
    omega = (values[:, None] * right).reshape(-1, size, size)
    turned = (left.mT @ seen.flatten(1)).reshape(-1, size, size)
    weight = omega.flatten(1).norm(dim=1) * turned.flatten(1).norm(dim=1)
    kept = weight > negligible * weight.max()
    return omega[kept].contiguous(), turned[kept].contiguous()
