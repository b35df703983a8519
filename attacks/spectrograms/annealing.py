"""Simulated annealing over the order of a block's positions: for Shuffling keys, where local search is too weak.

The energy is J of module `likelihood`, or another sum of quadratic assignments: an exchange of two positions costs
O(k N), which numba makes microseconds [1]_. Tiles are annealed by exchanges (`annealed_order`). A frame's bins form
a line whose pieces come out right before they come to the right place: there bins are moved and pieces reversed as well
(`rearranged`).

References
----------
.. [1] R. E. Burkard and F. Rendl, "A thermodynamically motivated simulation procedure for combinatorial optimization
   problems", European Journal of Operational Research 17, 1984: annealing of quadratic assignments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.attacks.spectrograms.likelihood import TileLikelihood
from wrongkey.attacks.spectrograms.settings import SpectrogramMomentsSettings

Terms = NDArray[np.float64]  # (N, N, k), and (N, N) of the linear term
Order = NDArray[np.int64]

ROUNDING = 1e-12  # an energy is lower only by more than this


def annealed_order(objective: TileLikelihood, start: Tensor, seed: int, settings: SpectrogramMomentsSettings) -> Tensor:
    """Return a Shuffling key `(N, N)` of small J, from `start`.

    With W multiplications of work (`settings.annealing_work`) it tries W / (4 k N) exchanges.
    """
    a, b, linear, order = _arrays(objective, start)
    size, terms = len(a), a.shape[2]
    steps = max(settings.annealing_least_steps, int(settings.annealing_work / (4 * size * terms)))
    temperatures = settings.hottest, settings.coldest
    best = _anneal(a, b, linear, order, steps, seed % 2**32, *temperatures, settings.annealing_sampled)
    return _key_of(best)


@dataclass(frozen=True)
class Assignment:
    """Σ_k ⟨A_k, P B_k Pᵀ⟩ - ⟨L, P⟩ of orders P: A `(k, N, N)`, B `(k, N, N)`, L `(N, N)`."""

    inverse: Tensor
    seen: Tensor
    linear: Tensor


def rearranged(
    problem: Assignment | TileLikelihood,
    start: Tensor,
    seed: int,
    temperatures: tuple[float, float],
    settings: SpectrogramMomentsSettings,
) -> Tensor:
    """Return a Shuffling key `(N, N)` of small energy, from `start`, by exchanges, moved bins and reversed pieces.

    The unit of temperature is the median change that an exchange of neighbours makes in the start.
    """
    a, b, linear, order = _arrays(problem, start)
    changes = np.abs([_change(a, b, linear, order, i, i + 1) for i in range(len(order) - 1)])
    if not changes.any():  # of bins that are all alike no order is better
        return start
    unit = float(np.median(changes[changes > 0]))  # bins without sound are alike
    hot, cold = (unit * temperature for temperature in temperatures)
    best = _rearrange(a, b, linear, order, settings.exchanges, seed % 2**32, hot, cold)
    return _key_of(best)


def move_changes(objective: Assignment | TileLikelihood, key: Tensor) -> Tensor:
    """Return `(N, N)`: how the energy changes when row i of a Shuffling key `(N, N)` is moved to place j."""
    return torch.from_numpy(_move_changes(*_arrays(objective, key)))


def _arrays(problem: Assignment | TileLikelihood, key: Tensor) -> tuple[Terms, Terms, Terms, Order]:
    """A and B `(N, N, k)`, L `(N, N)`, and the order of a Shuffling key, as numba reads them."""
    a, b = (np.ascontiguousarray(terms.permute(1, 2, 0).numpy()) for terms in (problem.inverse, problem.seen))
    return a, b, problem.linear.numpy(), key.argmax(1).numpy().astype(np.int64)


def _key_of(order: Order) -> Tensor:
    """The Shuffling key `(N, N)` of an order."""
    return torch.eye(len(order), dtype=torch.float64)[torch.from_numpy(order)]


@njit(cache=True)
def _move_changes(a: Terms, b: Terms, linear: Terms, order: Order) -> Terms:
    """A move is a chain of exchanges of neighbours, each of which costs O(k N)."""
    size = len(order)
    changes = np.zeros((size, size))
    for i in range(size):
        for step in (-1, 1):
            moved, change, at = order.copy(), 0.0, i
            while 0 <= at + step < size:
                change += _exchange(a, b, linear, moved, at, at + step)
                at += step
                changes[i, at] = change
    return changes


@njit(cache=True)
def _exchange(a: Terms, b: Terms, linear: Terms, order: Order, i: int, j: int) -> float:
    """Exchange positions i and j; the change of the energy."""
    change: float = _change(a, b, linear, order, i, j)
    order[i], order[j] = order[j], order[i]
    return change


@njit(cache=True)
def _rearrange(
    a: Terms, b: Terms, linear: Terms, order: Order, exchanges: int, seed: int, hot: float, cold: float
) -> Order:
    """The best order that this many exchanges find, where a moved bin or a reversed piece is a chain of them.

    Of three moves one exchanges any two positions, one moves an element, and one reverses a piece; short ways come
    more often than long ones (uniform on a logarithmic scale).
    """
    np.random.seed(seed)
    size, done, energy, least = len(order), 0, 0.0, 0.0
    best, before = order.copy(), order.copy()
    while done < exchanges:
        temperature = hot * (cold / hot) ** (done / exchanges)
        move, i = np.random.randint(3), np.random.randint(size)
        way = int(np.exp(np.random.random() * np.log(size / 2 + 1)))
        j = np.random.randint(size) if move == 0 else i + way * (2 * np.random.randint(2) - 1)
        if i == j or not 0 <= j < size:
            continue
        before[:] = order
        change, step = 0.0, 1 if j > i else -1
        if move == 0:
            change = _exchange(a, b, linear, order, i, j)
            done += 1
        elif move == 1:
            for at in range(i, j, step):
                change += _exchange(a, b, linear, order, at, at + step)
                done += 1
        else:
            for offset in range((abs(j - i) + 1) // 2):
                change += _exchange(a, b, linear, order, i + offset * step, j - offset * step)
                done += 1
        if change <= 0 or np.random.random() < np.exp(-change / temperature):
            energy += change
            if energy < least - ROUNDING:
                least = energy
                best[:] = order
        else:
            order[:] = before
    return best


@njit(cache=True)
def _change(a: Terms, b: Terms, linear: Terms, order: Order, i: int, j: int) -> float:
    """Change of Σ_k Σ_lm a_lmk b[order l, order m]_k - Σ_l linear[l, order l] when positions i and j are exchanged."""
    p, q = order[i], order[j]
    total = 0.0
    for m in range(len(order)):
        if m in (i, j):
            continue
        r = order[m]
        for k in range(a.shape[2]):
            total += (a[i, m, k] - a[j, m, k]) * (b[q, r, k] - b[p, r, k])
            total += (a[m, i, k] - a[m, j, k]) * (b[r, q, k] - b[r, p, k])
    for k in range(a.shape[2]):
        total += (a[i, i, k] - a[j, j, k]) * (b[q, q, k] - b[p, p, k])
        total += (a[i, j, k] - a[j, i, k]) * (b[q, p, k] - b[p, q, k])
    change: float = total - (linear[i, q] + linear[j, p] - linear[i, p] - linear[j, q])
    return change


@njit(cache=True)
def _anneal(
    a: Terms,
    b: Terms,
    linear: Terms,
    order: Order,
    steps: int,
    seed: int,
    hottest: float,
    coldest: float,
    sampled: int,
) -> Order:
    """The best order; the median change of `sampled` random exchanges is the unit of temperature.

    Where most change nothing, it is the median of the others.
    """
    np.random.seed(seed)
    size = len(order)
    sample = np.empty(sampled)
    for n in range(sampled):
        i, j = np.random.randint(size), np.random.randint(size)
        sample[n] = abs(_change(a, b, linear, order, i, j)) if i != j else 0.0
    if not sample.any():  # of elements that are all alike no order is better
        return order
    scale = np.median(sample) or np.median(sample[sample > 0])
    energy, least, best = 0.0, 0.0, order.copy()
    for n in range(steps):
        temperature = scale * hottest * (coldest / hottest) ** (n / steps)
        i, j = np.random.randint(size), np.random.randint(size)
        if i == j:
            continue
        change = _change(a, b, linear, order, i, j)
        if change <= 0 or np.random.random() < np.exp(-change / temperature):
            order[i], order[j] = order[j], order[i]
            energy += change
            if energy < least - ROUNDING:
                least = energy
                best[:] = order
    return best
