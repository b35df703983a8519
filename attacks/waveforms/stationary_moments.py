"""Keys under which moments beyond the second do not depend on the place in a block.

The components of two voices differ a little. That `E[f(x_n) g(x_{n+k})]` is the same at any n holds for every voice,
any f and g, and only under the right key. Functions that grow slowly have moments with little sampling noise: fourth
powers of impulsive speech have most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Matrix

Function = Callable[[Tensor], Tensor]


def _itself(x: Tensor) -> Tensor:
    return x


def _signed_square(x: Tensor) -> Tensor:
    return x * x.abs()


MOMENTS: Sequence[tuple[Function, Function]] = (
    (_itself, _itself),
    (torch.abs, torch.abs),
    (_signed_square, _itself),
    (torch.tanh, _itself),
)


class Misfit:
    """How far moments of decrypted rows `(t, N)` are from depending on distances alone."""

    def __init__(self, sequences: Sequence[Matrix], steps: int) -> None:
        """`steps`: of a descent."""
        pairs = zip(*((rows[:-1], rows[1:]) for rows in sequences), strict=True)
        self.now, self.after = (torch.from_numpy(np.concatenate(part)) for part in pairs)
        self.size, self.steps = self.now.shape[1], steps
        place = torch.arange(self.size)
        apart = place - place[:, None] + self.size - 1  # counted from the largest negative distance
        self.distance = torch.cat([apart, apart + self.size], dim=1).flatten()
        self.count = torch.bincount(self.distance).clamp_min(1)

    def of(self, key: Matrix) -> float:
        """The misfit under a key `(N, N)`: the sum over kinds of moments of the share that varies with the place."""
        return float(self._under(torch.from_numpy(key)))

    def descended(self, key: Matrix) -> Matrix:
        """The key of a local minimum, from a key nearby."""
        start = torch.from_numpy(key)
        turn = torch.zeros_like(start, requires_grad=True)
        descent = torch.optim.LBFGS([turn], max_iter=self.steps, line_search_fn="strong_wolfe")

        def value() -> Tensor:
            descent.zero_grad()
            misfit = self._under(_turned(start, turn))
            misfit.backward()  # type: ignore[no-untyped-call]
            return misfit

        descent.step(value)  # type: ignore[no-untyped-call]
        return np.asarray(_turned(start, turn).detach().numpy())

    def _under(self, key: Tensor) -> Tensor:
        x, y = self.now @ key.mT, self.after @ key.mT
        both = torch.cat([x, y], dim=1)
        total = torch.zeros((), dtype=torch.float64)
        for f, g in MOMENTS:
            left, right = f(x), g(both)
            moments = ((left - left.mean()).mT @ (right - right.mean()) / len(x)).flatten()
            mean = torch.zeros(len(self.count), dtype=torch.float64).index_add(0, self.distance, moments) / self.count
            total = total + ((moments - mean[self.distance]) ** 2).sum() / (moments**2).sum().detach()
        return total


def _turned(start: Tensor, turn: Tensor) -> Tensor:
    return start @ torch.linalg.matrix_exp(turn - turn.mT)
