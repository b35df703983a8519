"""The orthogonal group O(N) for searches: coordinates, geodesic steps, and Adam that never leaves it.

Near a key `K` every orthogonal matrix of the same determinant is `K exp(A)` with a skew `A`, whose N(N - 1)/2
coordinates are what a search moves. O(N) has two parts, with determinants +1 and -1, and no path leads from one to the
other, so a search starts in both.
"""

from __future__ import annotations

import torch
from torch import Tensor


def skew(coordinates: Tensor, size: int) -> Tensor:
    """Skew matrices `(..., N, N)` of coordinates `(..., N(N - 1)/2)`, an isometry: `‖A‖_F = ‖coordinates‖`.

    >>> skew(torch.tensor([2**0.5]), 2)
    tensor([[ 0.,  1.],
            [-1.,  0.]])
    """
    row, column = torch.triu_indices(size, size, 1)
    upper = coordinates.new_zeros(*coordinates.shape[:-1], size, size)
    upper[..., row, column] = coordinates / 2**0.5
    return upper - upper.mT


def dimensions(size: int) -> int:
    """The dimension of O(N), N(N - 1)/2."""
    return size * (size - 1) // 2


def cayley(a: Tensor) -> Tensor:
    """Rotations `(I - A/2)⁻¹ (I + A/2)` of skew `(..., N, N)`: `exp(A)` up to third order, and cheaper."""
    one = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    return torch.linalg.solve(one - a / 2, one + a / 2)


def geodesic(keys: Tensor, coordinates: Tensor) -> Tensor:
    """Keys `(..., N, N)` moved along geodesics of length `‖coordinates‖_2`: `K exp(A)`."""
    return keys @ torch.linalg.matrix_exp(skew(coordinates, keys.shape[-1]))


def mirrors(directions: Tensor) -> Tensor:
    """Matrices `(m + 1, N, N)`: `-I`, and the reflections `I - 2 u uᵀ` in unit rows `u (m, N)`."""
    one = torch.eye(directions.shape[-1], dtype=directions.dtype)
    return torch.cat([-one[None], one - 2 * directions[:, :, None] * directions[:, None]])


class OrthogonalAdam:
    """Adam (Kingma and Ba, 2015) on O(N), for several keys `(n, N, N)` at once, each with its own moments.

    The gradient's coordinates at `K`, the skew part of `Kᵀ ∂L/∂K`, lie in the same space at every `K` (left
    translation), so moments carry over. A step is `K ← K cayley(-rate · m̂/√v̂)`, with one `v̂` for all
    coordinates of a key, so that no basis is preferred.

    Parameters
    ----------
    keys : Tensor
        The keys to start from.
    decays : pair of float
        Decay of the first and of the second moment in a step, Adam's β.
    """

    def __init__(self, keys: Tensor, decays: tuple[float, float]) -> None:
        self.decays = decays
        self.keys = keys.detach().double().clone()
        self.first = torch.zeros_like(self.keys)
        self.second = self.keys.new_zeros(len(keys), 1, 1)
        self.steps = 0

    def step(self, gradient: Tensor, rate: float) -> None:
        """Move every key by about `rate · √N` against `gradient (n, N, N)`, ∂L/∂K."""
        product = self.keys.mT @ gradient.double()
        tangent = product - product.mT
        self.steps += 1
        first, second = self.decays
        self.first = first * self.first + (1 - first) * tangent
        power = tangent.square().mean((-2, -1), keepdim=True)
        self.second = second * self.second + (1 - second) * power
        mean = self.first / (1 - first**self.steps)
        deviation = (self.second / (1 - second**self.steps)).sqrt()
        self.keys = self.keys @ cayley(-rate * mean / (deviation + 1e-12))

    def keep(self, chosen: Tensor) -> None:
        """Continue with the keys at these indices `(m,)` only."""
        self.keys, self.first, self.second = self.keys[chosen], self.first[chosen], self.second[chosen]
