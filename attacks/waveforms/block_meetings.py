"""Signs and orders of blocks under one key, from ciphertext alone and before that key is known.

Let a super-block hold P blocks, `y_q = s_q x_{place(q)} K`. Blocks of stationary speech that stand d blocks apart have
one covariance `A_d`, wherever they stand. So the covariances of the ciphertext's blocks q and r, in super-blocks that
lie l apart, are

    C_l(q, r) = s_q s_r K^T A_d K,    d = l P + place(r) - place(q),

and the right signs and places are those under which all C of the same d agree, whatever K is: under which the sum over
d of `n_d ‖mean of s_q s_r C over d‖²` is largest. K only turns the C, all in the same way, and need not be known.

**Signs.** The covariances of neighbours, d = 1, are one matrix times `s_q s_{q+1}`: the leading eigenvector of their
inner products. The sum is convex in the means, so the signs that raise its tangent, a quadratic form, raise it too.
What stays open is the sign of `A_1`: for even P, two patterns that differ in every second sign.

**Orders.** All orders of few blocks are compared; more are annealed. Time runs forwards only in the right one, since
the next super-block is met at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.solvers.stable_linalg import array_eigh
from wrongkey.attacks.waveforms.block_pattern_settings import BlockPatternSettings
from wrongkey.attacks.waveforms.lag_covariances import moving_energy
from wrongkey.attacks.waveforms.order_search import Order
from wrongkey.attacks.waveforms.sign_chain import descended_signs
from wrongkey.errors import BadInput

ROUNDING = 1e-9  # of the value: it has risen only by more than this share
SWAP, REVERSE, COMB, INTERLEAVE, EXCHANGE = range(5)  # moves of an annealing


def meetings(sequences: Sequence[Matrix], count: int, rate: float, settings: BlockPatternSettings) -> Matrix:
    """Covariances C `(2, P, P, M, M)` of the blocks of super-blocks `(t, P M)`, with one another and with the next.

    Every super-block is divided by the level around it, and pauses are left out. rate: samples per second. Raises
    BadInput where there are no two super-blocks in sequence, or all are silent.
    """
    sequences = [rows for rows in sequences if len(rows) > 1]
    if not sequences:
        raise BadInput("No query holds two super-blocks: give longer ciphertext.")
    size = sequences[0].shape[1]
    width = max(1, round(settings.level * rate / size))
    energies = [moving_energy(rows, width) for rows in sequences]
    loud = max(np.percentile(np.concatenate(energies), 98) * 10 ** (-settings.gate / 10), 1e-30)
    total = np.zeros((2, size, size))
    for rows, energy in zip(sequences, energies, strict=True):
        level = rows * np.where(energy > loud, 1 / np.sqrt(np.maximum(energy, 1e-30)), 0.0)[:, None]
        total += np.stack([level.T @ level, level[:-1].T @ level[1:]])
    power = np.trace(total[0]) / size
    if power == 0:
        raise BadInput("The ciphertext is silent: there is nothing to learn from it.")
    block = size // count
    return (total / power).reshape(2, count, block, count, block).transpose(0, 1, 3, 2, 4)


def distances(places: Order) -> NDArray[np.int64]:
    """The distance d of every C, `(2, P, P)`, where block q stands at `places[q]`."""
    return np.arange(2)[:, None, None] * len(places) + places[None, None, :] - places[None, :, None]


def means(met: Matrix, places: Order) -> tuple[Matrix, Matrix]:
    """The mean of C over each distance d = 0 ... 2 P - 1, `(2 P, M, M)`, and over how many; none for d = 0."""
    d = distances(places).ravel()
    ahead = d > 0  # the others are transposes of these, or the covariance of a block with itself
    member = (d[ahead] == np.arange(2 * len(places))[:, None]).astype(np.float64)
    number = member.sum(1)
    sums = member @ met.reshape(len(d), -1)[ahead]
    return (sums / np.maximum(number, 1)[:, None]).reshape(-1, *met.shape[-2:]), number


def alike(met: Matrix, places: Order) -> float:
    """How much the C of the same distance agree: the share of their energy that their means explain, 0 to 1."""
    mean, number = means(met, places)
    return float(((mean**2).sum((1, 2)) * number).sum() / (met[distances(places) > 0] ** 2).sum())


def block_signs(met: Matrix) -> Matrix:
    """The sign `(P,)` of every block, the first positive; for even P, every second one may be turned."""
    count = met.shape[1]
    following = np.stack([*(met[0, q, q + 1] for q in range(count - 1)), met[1, -1, 0]]).reshape(count, -1)
    products = following @ following.T
    np.fill_diagonal(products, 0.0)  # of sampling noise, too
    turns = np.where(array_eigh(products)[1][:, -1] < 0, -1.0, 1.0)
    if count % 2:  # the signs return to where they began
        turns = turns * np.prod(turns)
    return _climbed(met, np.cumprod(np.append(1.0, turns[:-1])))


def _climbed(met: Matrix, signs: Matrix) -> Matrix:
    """Signs at a maximum of `alike`, by one tangent after the other."""
    places = np.arange(len(signs))
    ahead = distances(places) > 0
    value = -np.inf
    while True:
        turned = signed(met, signs)
        here = alike(turned, places)
        if here <= value + ROUNDING:
            return signs * signs[0]
        value = here
        form = -np.einsum("lqrij,lqrij->qr", met * ahead[..., None, None], means(turned, places)[0][distances(places)])
        symmetric = (form + form.T) / 2
        np.fill_diagonal(symmetric, 0.0)
        signs = descended_signs(symmetric, signs)


def signed(met: Matrix, signs: Matrix) -> Matrix:
    """C `(2, P, P, M, M)` of blocks times these signs `(P,)`."""
    return met * (signs[:, None] * signs)[:, :, None, None]


def block_order(met: Matrix, seed: int, settings: BlockPatternSettings) -> Order:
    """The block that stands at each place, `(P,)`."""
    count = met.shape[1]
    vectors = _principal(met, settings.principal)
    if count <= settings.enumerated:
        orders = np.array(list(permutations(range(count))))
        return np.asarray(orders[_values(vectors, orders).argmax()])
    ends = [
        _annealed(vectors, *settings.temperatures, settings.moves * count, (seed + run) % 2**32)
        for run in range(settings.annealings)
    ]
    return max(ends, key=lambda end: float(end[1]))[0]


def _principal(met: Matrix, count: int) -> Matrix:
    """Coordinates `(2, P, P, at most count)` of C along their principal axes, of energy 1 in all."""
    flat = met.reshape(2 * met.shape[1] ** 2, -1)
    coordinates = flat @ array_eigh(flat.T @ flat)[1][:, -count:]
    coordinates /= np.linalg.norm(coordinates)
    return np.ascontiguousarray(coordinates.reshape(*met.shape[:3], -1))


@njit(cache=True)
def _value(vectors, order, sums):  # type: ignore[no-untyped-def]
    """What the means explain of C under an order; `sums` (2 P, k) is room for it."""
    count = len(order)
    sums[:] = 0
    for i in range(count):
        for j in range(count):
            if j > i:
                sums[j - i] += vectors[0, order[i], order[j]]
            sums[count + j - i] += vectors[1, order[i], order[j]]
    value = 0.0
    for d in range(1, 2 * count):
        number = count if d < count else 2 * count - d  # P - d in one super-block, and d with the next
        value += (sums[d] ** 2).sum() / number
    return value


@njit(cache=True)
def _values(vectors, orders):  # type: ignore[no-untyped-def]
    sums = np.zeros((2 * vectors.shape[1], vectors.shape[3]))
    values = np.zeros(len(orders))
    for i in range(len(orders)):
        values[i] = _value(vectors, orders[i], sums)
    return values


@njit(cache=True)
def _moved(order, move, first, end):  # type: ignore[no-untyped-def]
    """The order with its places first ... end - 1 rearranged."""
    changed = order.copy()
    if move == SWAP:
        changed[first], changed[end - 1] = order[end - 1], order[first]
    elif move == REVERSE:
        changed[first:end] = order[first:end][::-1]
    elif move in (COMB, INTERLEAVE):
        stride, place = np.random.randint(2, 9), first
        for start in range(first, min(first + stride, end)):
            for other in range(start, end, stride):
                if move == COMB:
                    changed[place] = order[other]
                else:
                    changed[other] = order[place]
                place += 1
    else:
        middle = np.random.randint(first, end)
        changed[first : first + end - middle] = order[middle:end]
        changed[first + end - middle : end] = order[first:middle]
    return changed


@njit(cache=True)
def _annealed(vectors, hot, cold, steps, seed):  # type: ignore[no-untyped-def]
    """The best order that is met from a random one while the temperature falls geometrically, and its value."""
    np.random.seed(seed)
    count = vectors.shape[1]
    order = np.random.permutation(count)
    sums = np.zeros((2 * count, vectors.shape[3]))
    current = _value(vectors, order, sums)
    best, highest = order, current
    for step in range(steps):
        temperature = hot * (cold / hot) ** (step / steps)
        one, other = np.random.randint(count), np.random.randint(count)
        changed = _moved(order, np.random.randint(5), min(one, other), max(one, other) + 1)
        value = _value(vectors, changed, sums)
        if value > current or np.random.random() < np.exp((value - current) / temperature):
            order, current = changed, value
            if value > highest:
                best, highest = changed, value
    return best, highest
