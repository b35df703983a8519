"""Searches orders of M elements for the least sum of pair costs: a quadratic assignment with a banded cost.

An order puts element `order[i]` at position i. The cost of a pair depends on its elements and on how many positions
the second lies behind the first; only distances of 1 to p (neighbours within a block) and M - p to M - 1 (the end of
one block meets the beginning of the next) cost anything. Simulated annealing over swaps, moved and reversed segments
and rotations, compiled, a few microseconds a move.
"""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wrongkey.attacks.base import Matrix

Order = NDArray[np.int64]
Costs = NDArray[np.float32]


class PairCosts(NamedTuple):
    """Costs `(M, M, D)` of element a at some position and b at d positions behind it.

    The D distances are 1 ... near, then far ... M - 1.
    """

    costs: Costs
    near: int
    far: int


def pair_costs(weights: Matrix, covariances: Matrix) -> PairCosts:
    """Of the sum over states and lags of `weights (C, p + 1)` times entries of `covariances (C, L + 1, M, M)`.

    Elements a, b at distance d meet at scalar lag d within a block, `l M + d` and `l M - d` across l blocks.
    """
    states, blocks, size, _ = covariances.shape
    order = weights.shape[1] - 1
    near = min(order, size - 1)
    far = max(near + 1, size - order)
    distances = np.concatenate([np.arange(1, near + 1), np.arange(far, size)])
    entries = covariances.reshape(states * blocks, size * size).T

    def meeting(sign: int) -> Matrix:
        lag = np.arange(blocks)[:, None] * size + sign * distances
        inside = (lag >= 1) & (lag <= order)
        spread = np.where(inside, weights[:, np.where(inside, lag, 0)], 0.0).reshape(states * blocks, -1)
        found: Matrix = (entries @ spread).reshape(size, size, -1)
        return found

    costs = meeting(1) + meeting(-1).transpose(1, 0, 2)
    return PairCosts(np.ascontiguousarray(costs, dtype=np.float32), near, far)


def pair_costs_by_lag(costs: Matrix) -> PairCosts:
    """The same of costs `(p, L + 1, M, M)`: of every entry, one for each lag 1 to p that it may be at."""
    count = len(costs)
    weights = np.eye(count + 1)[1:]
    return pair_costs(weights, costs)


def anneal(pairs: PairCosts, order: Order, hot: float, cold: float, steps: int, seed: int) -> Order:
    """The best order met in `steps` moves while the temperature falls from `hot` to `cold`, geometrically."""
    found: Order = _anneal(pairs.costs, pairs.near, pairs.far, order, hot, cold, steps, seed % 2**32)
    return found


def polish(pairs: PairCosts, order: Order, junctions: int = 12) -> Order:
    """A local minimum from `order`: single elements moved anywhere, and pieces between the worst junctions spliced.

    Two pieces side by side change places, each as it is or reversed; junctions: how many, the costliest, are cut.
    """
    found: Order = _polish(pairs.costs, pairs.near, pairs.far, order, junctions)
    return found


def cost(pairs: PairCosts, order: Order) -> float:
    """The sum of all pair costs."""
    return float(_window_cost(pairs.costs, pairs.near, pairs.far, order, 0, len(order)))


def rearrangements(size: int) -> NDArray[np.int64]:
    """Index lists `(n, M)` that turn a wrong order of speech into a right one where annealing got stuck.

    Such orders are right up to a pattern that repeats along the block (0 2 1 3, 4 6 5 7, ...: a signal whose neighbours
    hardly correlate), up to a rotation or a reversal, or take every second, third or fourth element first.
    """
    identity = np.arange(size)
    found = [np.roll(identity, shift) for shift in range(1, size)] + [identity[::-1]]
    for period in (2, 3, 4):
        for pattern in permutations(range(period)):
            for phase in range(period):
                index = identity.copy()
                whole = (size - phase) // period
                index[phase : phase + whole * period] = phase + (
                    np.arange(whole)[:, None] * period + np.array(pattern)
                ).reshape(-1)
                found.append(index)
        combed = np.concatenate([np.arange(first, size, period) for first in range(period)])
        found += [combed, np.argsort(combed)]
    distinct = np.unique(np.array(found), axis=0)
    others: NDArray[np.int64] = distinct[(distinct != identity).any(1)]
    return others


@njit(cache=True, fastmath=True)
def _cost_at(costs, near, far, order, element, place, but):  # type: ignore[no-untyped-def]
    """Cost of `element` at `place` with the elements at all places but these two."""
    size, total = len(order), 0.0
    for other in range(max(0, place - near), place):
        if other != but:
            total += costs[order[other], element, place - other - 1]
    for other in range(place + 1, min(size, place + near + 1)):
        if other != but:
            total += costs[element, order[other], other - place - 1]
    for other in range(0, place - far + 1):
        if other != but:
            total += costs[order[other], element, near + place - other - far]
    for other in range(place + far, size):
        if other != but:
            total += costs[element, order[other], near + other - place - far]
    return total


@njit(cache=True, fastmath=True)
def _pair_cost(costs, near, far, first, second, distance):  # type: ignore[no-untyped-def]
    if distance <= near:
        return costs[first, second, distance - 1]
    if distance >= far:
        return costs[first, second, near + distance - far]
    return np.float32(0.0)


@njit(cache=True, fastmath=True)
def _change_of_swap(costs, near, far, order, i, j):  # type: ignore[no-untyped-def]
    """Change of the cost when the elements at places i < j change places."""
    a, b = order[i], order[j]
    after = _cost_at(costs, near, far, order, b, i, j) + _cost_at(costs, near, far, order, a, j, i)
    before = _cost_at(costs, near, far, order, a, i, j) + _cost_at(costs, near, far, order, b, j, i)
    between = _pair_cost(costs, near, far, b, a, j - i) - _pair_cost(costs, near, far, a, b, j - i)
    return after - before + between


@njit(cache=True, fastmath=True)
def _window_cost(costs, near, far, order, first, last):  # type: ignore[no-untyped-def]
    """Cost of all pairs with at least one element at the places first ... last - 1."""
    size, total = len(order), 0.0
    for place in range(first, last):
        element = order[place]
        for other in range(place + 1, min(size, place + near + 1)):
            total += costs[element, order[other], other - place - 1]
        for other in range(place + far, size):
            total += costs[element, order[other], near + other - place - far]
        for other in range(max(0, place - near), first):
            total += costs[order[other], element, place - other - 1]
        for other in range(0, min(first, place - far + 1)):
            total += costs[order[other], element, near + place - other - far]
    return total


@njit(cache=True)
def _length(size):  # type: ignore[no-untyped-def]
    """A random length, 1 to size, short ones more often (uniform on a logarithmic scale)."""
    return 1 + int(np.exp(np.random.random() * np.log(size)) - 0.5)


@njit(cache=True)
def _anneal(costs, near, far, start, hot, cold, steps, seed):  # type: ignore[no-untyped-def]
    np.random.seed(seed)
    size, order, best, before = len(start), start.copy(), start.copy(), start.copy()
    current, lowest = 0.0, 0.0
    for step in range(steps):
        temperature = hot * (cold / hot) ** (step / steps)
        kind = np.random.random()
        i = np.random.randint(size)
        if kind < 0.5:  # swap, half of the time with a near element
            j = np.random.randint(size) if kind < 0.25 else i + 1 + np.random.randint(3)
            if j >= size or i == j:
                continue
            i, j = min(i, j), max(i, j)
            change = _change_of_swap(costs, near, far, order, i, j)
            if change < 0 or np.random.random() < np.exp(-change / temperature):
                order[i], order[j] = order[j], order[i]
                current += change
        else:
            if kind < 0.6:  # move one to three elements anywhere
                short, other = 1 + np.random.randint(3), np.random.randint(size)
                i, j = min(i, other), max(i, other) + short
                middle = i + short if np.random.random() < 0.5 else j - short
            elif kind < 0.8:  # move a segment behind the next one, in half of the cases reversed
                middle = i + _length(size)
                j = middle + _length(size)
            elif kind < 0.82:  # rotate the whole order
                i, middle, j = 0, 1 + np.random.randint(size - 1), size
            elif kind < 0.98:  # reverse a segment
                middle = i + 1 + _length(size)
                j = middle
            else:  # reverse all
                i, middle, j = 0, size, size
            if j > size:
                continue
            old = _window_cost(costs, near, far, order, i, j)
            before[i:j] = order[i:j]
            behind, moved = j - middle, middle - i
            turned = kind >= 0.7 and not 0.8 <= kind < 0.82
            for x in range(behind):
                order[i + x] = before[middle + x]
            for x in range(moved):
                order[i + behind + x] = before[middle - 1 - x] if turned else before[i + x]
            change = _window_cost(costs, near, far, order, i, j) - old
            if change < 0 or np.random.random() < np.exp(-change / temperature):
                current += change
            else:
                order[i:j] = before[i:j]
        if current < lowest - 1e-6:
            lowest = current
            best[:] = order
    return best


@njit(cache=True)
def _splice(order, before, i, middle, j, first_turned, second_turned):  # type: ignore[no-untyped-def]
    """Places i ... middle - 1 and middle ... j - 1 of `before` into `order`, in exchanged sequence."""
    behind, moved = j - middle, middle - i
    for x in range(behind):
        order[i + x] = before[j - 1 - x] if second_turned else before[middle + x]
    for x in range(moved):
        order[i + behind + x] = before[middle - 1 - x] if first_turned else before[i + x]


@njit(cache=True)
def _polish(costs, near, far, start, junctions):  # type: ignore[no-untyped-def]
    size, order, before = len(start), start.copy(), start.copy()
    improved = True
    while improved:
        improved = False
        for element in range(size):
            for target in range(size):
                place = 0
                while order[place] != element:
                    place += 1
                if abs(target - place) < 1:
                    continue
                i, j = min(place, target), max(place, target) + 1
                middle = i + 1 if place < target else j - 1
                before[i:j] = order[i:j]
                old = _window_cost(costs, near, far, order, i, j)
                _splice(order, before, i, middle, j, False, False)
                if _window_cost(costs, near, far, order, i, j) < old - 1e-4:
                    improved = True
                else:
                    order[i:j] = before[i:j]
        across = np.zeros(size + 1)
        across[0] = across[size] = np.inf
        for cut in range(1, size):
            for left in range(max(0, cut - 4), cut):
                for right in range(cut, min(size, left + 5)):
                    across[cut] += _pair_cost(costs, near, far, order[left], order[right], right - left)
        cuts = np.sort(np.argsort(-across)[: junctions + 2])
        for a in range(len(cuts) - 1):
            for b in range(a + 1, len(cuts)):
                for c in range(b, len(cuts)):
                    i, middle, j = cuts[a], cuts[b], cuts[c]
                    for turn in range(4):
                        if b == c and turn % 2 == 0:
                            continue
                        before[i:j] = order[i:j]
                        old = _window_cost(costs, near, far, order, i, j)
                        _splice(order, before, i, middle, j, turn % 2 == 1, turn >= 2)
                        if _window_cost(costs, near, far, order, i, j) < old - 1e-4:
                            improved = True
                        else:
                            order[i:j] = before[i:j]
    return order
