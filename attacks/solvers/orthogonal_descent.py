"""Batched quasi-Newton descent on the orthogonal group.

A key moves as K <- cay(t A) K with A skew-symmetric and cay(A) = (I - A/2)^-1 (I + A/2), the Cayley transform.
Gradients and directions live in the one Lie algebra of all keys, so L-BFGS needs no transport (Huang, Gallivan and
Absil, 2015, for the general case).

Every key of the batch has its own step, by Armijo's condition, and leaves the batch when it has converged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from wrongkey.attacks.solvers.orthogonal_group import cayley
from wrongkey.attacks.solvers.stable_linalg import polar


@dataclass(frozen=True)
class DescentSettings:
    """How a descent on the orthogonal group steps, and when it ends.

    Attributes
    ----------
    descent_memory : int
        Pairs of moves and changes of the gradient that L-BFGS remembers.
    descent_slope : float
        Armijo's condition: the share of the predicted decrease that a step must achieve.
    descent_least_step : float
        A key ends where a step of this size, relative to L-BFGS's, lowers nothing.
    descent_still : int
        Steps in a row that gain less than the tolerance, after which a key has converged.
    """

    descent_memory: int = 12
    descent_slope: float = 1e-4
    descent_least_step: float = 2.0**-20
    descent_still: int = 2


class Objective(Protocol):
    """A function of keys (b, N, N) that can be minimised."""

    def value(self, keys: Tensor) -> Tensor:
        """Values (b,) of keys (b, N, N)."""

    def value_and_gradient(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Values (b,) and the Euclidean gradient (b, N, N)."""


def descend(
    objective: Objective,
    starts: Tensor,
    steps: int,
    tolerance: float,
    settings: DescentSettings,
    scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Keys (n, N, N) of lower value than the starts, and their values (n,).

    Each key takes at most `steps` steps; it ends earlier when `descent_still` steps in a row gained less than the
    tolerance. `scale` (N, N), symmetric, is the first guess of the inverse Hessian, by planes of two rows; without it,
    all planes count alike.
    """
    descent = _Descent(objective, starts, tolerance, settings, scale)
    for _ in range(steps):
        if not descent.step():
            break
    return descent.result()


def skew_part(matrices: Tensor) -> Tensor:
    """The skew part (G - G^T) / 2."""
    return (matrices - matrices.mT) / 2


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products (..., b) of matrices (..., b, N, N)."""
    return (a * b).sum((-2, -1))


class _Descent:
    """The keys that still move, with their L-BFGS memory: pairs (m, b, N, N), the newest last."""

    def __init__(
        self,
        objective: Objective,
        starts: Tensor,
        tolerance: float,
        settings: DescentSettings,
        scale: Tensor | None = None,
    ) -> None:
        self.objective, self.tolerance, self.settings, self.scale = objective, tolerance, settings, scale
        self.keys, self.values = starts.clone(), starts.new_full((len(starts),), float("inf"))
        self.who = torch.arange(len(starts), device=starts.device)
        self.key = starts.clone()
        self.value, gradient = objective.value_and_gradient(self.key)
        self.gradient = skew_part(gradient @ self.key.mT)
        self.still = torch.zeros_like(self.who)
        self.moves: list[Tensor] = []
        self.changes: list[Tensor] = []

    def step(self) -> bool:
        """Take one step with every key; False when all have ended."""
        direction = self._direction()
        slope = 2 * _dot(direction, self.gradient)
        uphill = slope >= 0
        if bool(uphill.any()):
            direction[uphill] = -self.gradient[uphill]
            slope = torch.where(uphill, 2 * _dot(direction, self.gradient), slope)
        reach = _dot(direction, direction).sqrt()
        size = torch.minimum(torch.ones_like(reach), 1.0 / reach.clamp_min(1e-30))  # about a right angle at most
        key, value, gradient, moved, size = self._search(direction, slope, size)
        turned = skew_part(gradient @ key.mT)
        self._remember(direction * size[:, None, None], turned - self.gradient)
        gain = torch.where(moved, self.value - value, torch.zeros_like(value))
        self.key, self.value, self.gradient = key, value, torch.where(moved[:, None, None], turned, self.gradient)
        self.still = torch.where(gain < self.tolerance, self.still + 1, torch.zeros_like(self.still))
        return self._retire((self.still >= self.settings.descent_still) | ~moved)

    def _search(self, direction: Tensor, slope: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Shrink the step of each key until Armijo's condition holds: keys, values, gradients, whether moved, sizes."""
        key, value = self.key.clone(), self.value.clone()
        gradient = torch.zeros_like(key)
        moved = torch.zeros_like(value, dtype=torch.bool)
        open_ = torch.arange(len(value), device=value.device)
        while len(open_):
            trial = cayley(direction[open_] * size[open_, None, None]) @ self.key[open_]
            trial_value, trial_gradient = self.objective.value_and_gradient(trial)
            good = trial_value <= self.value[open_] + self.settings.descent_slope * size[open_] * slope[open_]
            won = open_[good]
            key[won], value[won], gradient[won], moved[won] = trial[good], trial_value[good], trial_gradient[good], True
            open_ = open_[~good]
            size[open_] /= 4
            open_ = open_[size[open_] > self.settings.descent_least_step]
        return key, value, gradient, moved, size

    def _remember(self, move: Tensor, change: Tensor) -> None:
        self.moves.append(move)
        self.changes.append(change)
        if len(self.moves) > self.settings.descent_memory:
            self.moves.pop(0)
            self.changes.pop(0)

    def _direction(self) -> Tensor:
        """The two-loop recursion (Nocedal, 1980); pairs of non-positive curvature are left out."""
        q = self.gradient.clone()
        used: list[tuple[Tensor, Tensor]] = []
        for move, change in zip(reversed(self.moves), reversed(self.changes), strict=True):
            product = _dot(move, change)
            good = product > 1e-10 * (_dot(move, move) * _dot(change, change)).sqrt()
            rho = torch.where(good, 1 / torch.where(good, product, torch.ones_like(product)), torch.zeros_like(product))
            alpha = rho * _dot(move, q)
            q -= alpha[:, None, None] * change
            used.append((rho, alpha))
        q = self._initial(q)
        for (rho, alpha), move, change in zip(reversed(used), self.moves, self.changes, strict=True):
            beta = rho * _dot(change, q)
            q += (alpha - beta)[:, None, None] * move
        return -q

    def _initial(self, q: Tensor) -> Tensor:
        """Scale q by <s, y> / <y, H y> of the newest pair: the usual first Hessian, where H, `scale`, is one."""
        if self.scale is not None:
            q = q * self.scale
        if not self.moves:
            return q
        move, change = self.moves[-1], self.changes[-1]
        turned = change if self.scale is None else change * self.scale
        gamma = _dot(move, change) / _dot(change, turned).clamp_min(1e-300)
        return q * torch.where(gamma > 0, gamma, torch.ones_like(gamma))[:, None, None]

    def _retire(self, ended: Tensor) -> bool:
        """Store keys that have ended and take them out of the batch; whether any is left."""
        if bool(ended.any()):
            self.keys[self.who[ended]], self.values[self.who[ended]] = self.key[ended], self.value[ended]
            stay = ~ended
            for name in ("who", "key", "value", "gradient", "still"):
                setattr(self, name, getattr(self, name)[stay])
            self.moves = [pair[stay] for pair in self.moves]
            self.changes = [pair[stay] for pair in self.changes]
        return len(self.who) > 0

    def result(self) -> tuple[Tensor, Tensor]:
        """Keys and values in the order of the starts, orthogonal to rounding."""
        self.keys[self.who], self.values[self.who] = self.key, self.value
        return polar(self.keys), self.values
