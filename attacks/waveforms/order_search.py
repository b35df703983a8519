"""Search for the order of M elements with the least sum of pair costs: a quadratic assignment with a banded cost.

An order puts element `order[i]` at position i. The cost of a pair depends on its elements and on how many positions
the second lies behind the first. Only distances of 1 to p (neighbours within a block) and M - p to M - 1 (the end of
one block meets the beginning of the next) cost anything. The search is simulated annealing over swaps, moved and
reversed segments, and rotations; it is compiled and takes a few microseconds a move.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wrongkey.attacks.base import Matrix

Order = NDArray[np.int64]
Costs = NDArray[np.float32]

# Moves of annealing: each is the number of the interval of [0, 1) that a uniform random number falls into. The settings
# say where the intervals end (`SampleOrderSettings.moves`).
SWAP, SWAP_NEAR, SHIFT, SEGMENT, SEGMENT_REVERSED, ROTATE, REVERSE, REVERSE_ALL = range(8)
ROUNDING = 1e-6  # of the float32 costs that annealing adds up: a cost is lower only by more than this


class PairCosts(NamedTuple):
    """Costs `(M, M, D)` of element a at some position and element b at d positions behind it.

    The D distances are 1 ... near, then far ... M - 1.
    """

    costs: Costs
    near: int
    far: int


def pair_costs(weights: Matrix, covariances: Matrix) -> PairCosts:
    """Pair costs of the sum of `weights (C, p + 1)` times entries of `covariances (C, L + 1, M, M)`.

    The sum runs over states and lags. Elements a, b at distance d meet at scalar lag d within a block, and at
    `l M + d` and `l M - d` across l blocks.
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
        return (entries @ spread).reshape(size, size, -1)

    costs = meeting(1) + meeting(-1).transpose(1, 0, 2)
    return PairCosts(np.ascontiguousarray(costs, dtype=np.float32), near, far)


def pair_costs_by_lag(costs: Matrix) -> PairCosts:
    """Pair costs of costs `(p, L + 1, M, M)`, which each entry has at each lag 1 to p."""
    return pair_costs(np.eye(len(costs) + 1)[1:], costs)


def anneal(
    pairs: PairCosts, order: Order, hot: float, cold: float, steps: int, seed: int, moves: tuple[float, ...]
) -> Order:
    """The best order found in `steps` moves while the temperature falls geometrically from `hot` to `cold`.

    moves: where the intervals of the eight kinds of moves end, but for the last.
    """
    return _anneal(pairs.costs, pairs.near, pairs.far, order, hot, cold, steps, seed % 2**32, moves)


def polish(pairs: PairCosts, order: Order, junctions: int, reach: int, gain: float) -> Order:
    """A local minimum from `order`: single elements are moved anywhere, and neighbouring pieces exchanged.

    The block is cut into pieces at its costliest `junctions`; each of two exchanged pieces may also be reversed. The
    cost of a junction is that of at most `reach` places on each side. A change must lower the cost by more than `gain`.
    """
    return _polish(pairs.costs, pairs.near, pairs.far, order, junctions, reach, gain)


def cost(pairs: PairCosts, order: Order) -> float:
    """The sum of all pair costs."""
    return float(_window_cost(pairs.costs, pairs.near, pairs.far, order, 0, len(order)))


def rearrangements(size: int, periods: Sequence[int]) -> NDArray[np.int64]:
    """Index lists `(n, M)` that turn an order in which annealing gets stuck into the right one.

    Such orders are right except for a pattern that repeats along the block (0 2 1 3, 4 6 5 7, ...: a signal whose
    neighbours hardly correlate), a rotation or a reversal, or they take every second, third or fourth element first.
    Patterns have these periods.
    """
    identity = np.arange(size)
    indices = [np.roll(identity, shift) for shift in range(1, size)] + [identity[::-1]]
    for period in periods:
        for pattern in permutations(range(period)):
            for phase in range(period):
                index = identity.copy()
                whole = (size - phase) // period
                index[phase : phase + whole * period] = phase + (
                    np.arange(whole)[:, None] * period + np.array(pattern)
                ).reshape(-1)
                indices.append(index)
        combed = np.concatenate([np.arange(first, size, period) for first in range(period)])
        indices += [combed, np.argsort(combed)]
    distinct = np.unique(np.array(indices), axis=0)
    return distinct[(distinct != identity).any(1)]


# As calls, the small functions would take a tenth of annealing's time in counting references to arrays.
inlined = njit(cache=True, inline="always")


@njit(cache=True, fastmath=True)
def _cost_at(costs, near, far, order, element, place, but):  # type: ignore[no-untyped-def]
    """Cost of `element` at `place` with the elements at all other places except `but`."""
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


@inlined
def _accepted(change, temperature):  # type: ignore[no-untyped-def]
    """Whether annealing takes a move: always if the cost falls, else with probability exp(-change / temperature)."""
    return change < 0 or np.random.random() < np.exp(-change / temperature)


@inlined
def _drawn_move(moves):  # type: ignore[no-untyped-def]
    """A random move, as `np.searchsorted` finds it; counting has no branches that a processor would mispredict."""
    number, move = np.random.random(), 0
    for end in moves:
        move += number >= end
    return move


@njit(cache=True)
def _length(size):  # type: ignore[no-untyped-def]
    """A random length, 1 to size, short ones more often (uniform on a logarithmic scale)."""
    return 1 + int(np.exp(np.random.random() * np.log(size)) - 0.5)


# Every move but a swap exchanges the places `first` to `middle - 1` with the places `middle` to `end - 1`; some also
# reverse the part that came first. These functions draw `first`, `middle`, `end`; `end` may lie outside of the block.


@inlined
def _shift(size, place):  # type: ignore[no-untyped-def]
    """Move one to three elements anywhere."""
    length, other = 1 + np.random.randint(3), np.random.randint(size)
    first, end = min(place, other), max(place, other) + length
    middle = first + length if np.random.random() < 0.5 else end - length
    return first, middle, end


@inlined
def _segment(size, place):  # type: ignore[no-untyped-def]
    """Move a segment behind the next one."""
    middle = place + _length(size)
    return place, middle, middle + _length(size)


@inlined
def _rotation(size):  # type: ignore[no-untyped-def]
    """Rotate the whole block."""
    return 0, 1 + np.random.randint(size - 1), size


@inlined
def _reversal(size, place):  # type: ignore[no-untyped-def]
    """Reverse a segment: nothing lies behind it that would be exchanged with it."""
    end = place + 1 + _length(size)
    return place, end, end


@inlined
def _parts(move, size, place):  # type: ignore[no-untyped-def]
    """`first`, `middle`, `end` of a move that is not a swap."""
    if move == SHIFT:
        return _shift(size, place)
    if move in (SEGMENT, SEGMENT_REVERSED):
        return _segment(size, place)
    if move == ROTATE:
        return _rotation(size)
    if move == REVERSE:
        return _reversal(size, place)
    return 0, size, size


@inlined
def _copy(source, target, first, end):  # type: ignore[no-untyped-def]
    """Copy the places first ... end - 1, in a loop: views of the arrays would take longer than the copy."""
    for place in range(first, end):
        target[place] = source[place]


@inlined
def _splice(order, before, first, middle, end, first_reversed, second_reversed):  # type: ignore[no-untyped-def]
    """Places first ... middle - 1 and middle ... end - 1 of `before` into `order`, in exchanged sequence."""
    behind, moved = end - middle, middle - first
    for x in range(behind):
        order[first + x] = before[end - 1 - x] if second_reversed else before[middle + x]
    for x in range(moved):
        order[first + behind + x] = before[middle - 1 - x] if first_reversed else before[first + x]


@inlined
def _swapped(costs, near, far, order, move, place, temperature):  # type: ignore[no-untyped-def]
    """Exchange the element at `place` with another one, if accepted; the change of the cost."""
    size = len(order)
    other = np.random.randint(size) if move == SWAP else place + 1 + np.random.randint(3)
    if other >= size or other == place:
        return 0.0
    i, j = min(place, other), max(place, other)
    change = _change_of_swap(costs, near, far, order, i, j)
    if not _accepted(change, temperature):
        return 0.0
    order[i], order[j] = order[j], order[i]
    return change


@inlined
def _spliced(costs, near, far, order, before, move, place, temperature):  # type: ignore[no-untyped-def]
    """Exchange two neighbouring parts of the block, if accepted; the change of the cost."""
    size = len(order)
    first, middle, end = _parts(move, size, place)
    if end > size:
        return 0.0
    old = _window_cost(costs, near, far, order, first, end)
    _copy(order, before, first, end)
    reverses = move in (SEGMENT_REVERSED, REVERSE, REVERSE_ALL)
    _splice(order, before, first, middle, end, reverses, False)
    change = _window_cost(costs, near, far, order, first, end) - old
    if _accepted(change, temperature):
        return change
    _copy(before, order, first, end)
    return 0.0


@njit(cache=True)
def _anneal(costs, near, far, start, hot, cold, steps, seed, moves):  # type: ignore[no-untyped-def]
    np.random.seed(seed)
    size, order, best, before = len(start), start.copy(), start.copy(), start.copy()
    current, lowest = 0.0, 0.0  # costs less that of the start
    for step in range(steps):
        temperature = hot * (cold / hot) ** (step / steps)
        move = _drawn_move(moves)
        place = np.random.randint(size)
        if move in (SWAP, SWAP_NEAR):
            current += _swapped(costs, near, far, order, move, place, temperature)
        else:
            current += _spliced(costs, near, far, order, before, move, place, temperature)
        if current < lowest - ROUNDING:
            lowest = current
            best[:] = order
    return best


@njit(cache=True)
def _lowered(costs, near, far, order, before, first, middle, end, first_reversed, second_reversed, gain):  # type: ignore[no-untyped-def]
    """Exchange two neighbouring parts of the block if that lowers the cost by more than `gain`; whether it did."""
    _copy(order, before, first, end)
    old = _window_cost(costs, near, far, order, first, end)
    _splice(order, before, first, middle, end, first_reversed, second_reversed)
    if _window_cost(costs, near, far, order, first, end) < old - gain:
        return True
    _copy(before, order, first, end)
    return False


@njit(cache=True)
def _elements_moved(costs, near, far, order, before, gain):  # type: ignore[no-untyped-def]
    """Move single elements wherever that lowers the cost; whether any moved."""
    size, improved = len(order), False
    for element in range(size):
        for target in range(size):
            place = 0
            while order[place] != element:
                place += 1
            if target == place:
                continue
            first, end = min(place, target), max(place, target) + 1
            middle = first + 1 if place < target else end - 1
            improved |= _lowered(costs, near, far, order, before, first, middle, end, False, False, gain)
    return improved


@njit(cache=True)
def _junction_costs(costs, near, far, order, reach):  # type: ignore[no-untyped-def]
    """Cost of the pairs across every cut, of at most `reach` places on each side; infinite at both ends."""
    size = len(order)
    across = np.zeros(size + 1)
    across[0] = across[size] = np.inf
    for cut in range(1, size):
        for left in range(max(0, cut - reach), cut):
            for right in range(cut, min(size, left + reach + 1)):
                across[cut] += _pair_cost(costs, near, far, order[left], order[right], right - left)
    return across


@njit(cache=True)
def _pieces_exchanged(costs, near, far, order, before, junctions, reach, gain):  # type: ignore[no-untyped-def]
    """Exchange and reverse pieces between the costliest junctions wherever that lowers the cost; whether it did."""
    improved = False
    cuts = np.sort(np.argsort(-_junction_costs(costs, near, far, order, reach))[: junctions + 2])
    for a in range(len(cuts) - 1):
        for b in range(a + 1, len(cuts)):
            for c in range(b, len(cuts)):
                for reversals in range(4):
                    first_reversed, second_reversed = reversals % 2 == 1, reversals >= 2
                    if b == c and not first_reversed:
                        continue
                    improved |= _lowered(
                        costs,
                        near,
                        far,
                        order,
                        before,
                        cuts[a],
                        cuts[b],
                        cuts[c],
                        first_reversed,
                        second_reversed,
                        gain,
                    )
    return improved


@njit(cache=True)
def _polish(costs, near, far, start, junctions, reach, gain):  # type: ignore[no-untyped-def]
    order, before = start.copy(), start.copy()
    improved = True
    while improved:
        improved = _elements_moved(costs, near, far, order, before, gain)
        improved |= _pieces_exchanged(costs, near, far, order, before, junctions, reach, gain)
    return order
