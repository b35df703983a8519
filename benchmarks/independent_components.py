"""A key from fourth moments, where second moments say nothing: an adaptive attack on speech that was whitened.

Whitened speech is impulsive, so a block has independent components. FastICA finds them in ciphertext, up to their order
and signs, and in plain speech that was prepared in the same way; how absolute values, cubes and neighbouring blocks
correlate says which is which. `benchmarks/preparations.py` runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import torch
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

LEVEL_BLOCKS = 21  # over which the level of speech is taken out, which no key changes
GATE = 1e-3  # of the mean energy: quieter blocks are pauses
RUNS, STEPS = 6, 150  # of FastICA
ORDERS = 40  # random starts of the search for the order
REFINING = 150  # steps of the descent at the end
KEPT = 10  # of these, to which signs are fitted


@dataclass(frozen=True)
class Statistics:
    """What tells components `(t, N)` of blocks apart: `even` changes with their order, `odd` with their signs too."""

    even: Matrix  # (2, N, N): correlations of absolute values within a block, and with the next block
    odd: Matrix  # (3, N, N): of cubes with samples, within and with the next block; of samples with the next block

    @classmethod
    def of(cls, sources: Sequence[Matrix]) -> Statistics:
        """Of sequences of components `(t, N)`."""
        now, after = np.concatenate([x[:-1] for x in sources]), np.concatenate([x[1:] for x in sources])
        size, cubes = [np.abs(x) for x in (now, after)], np.clip(now, -4, 4) ** 3
        even = [_correlation(size[0], x) for x in size]
        odd = [_correlation(cubes, now), _correlation(cubes, after), _correlation(now, after)]
        return cls(np.stack(even), np.stack(odd))

    def cost(self, target: Statistics, order: NDArray[np.int64], signs: Matrix | None = None) -> float:
        """How far these are from `target` once the components are put into this order, with these signs."""
        cost = _distance(self.even[:, order][:, :, order], target.even)
        if signs is None:
            return cost
        return cost + _distance((self.odd * np.outer(signs, signs))[:, order][:, :, order], target.odd)


@dataclass(frozen=True)
class Public:
    """What an adversary learns from plain speech of other people, prepared as users prepare theirs."""

    demixing: Matrix  # (N, N), of its independent components
    components: Statistics

    @classmethod
    def of(cls, rows: Sequence[Matrix], seed: int) -> Public:
        """Learn from block rows `(t, N)`."""
        z = levelled(rows)
        demixing = independent(np.concatenate(z), np.random.default_rng(seed))
        return cls(demixing, Statistics.of([x @ demixing.T for x in z]))


def recovered(ciphertext: Sequence[Matrix], public: Public, seed: int) -> Matrix:
    """The key `(N, N)` of encrypted block rows `(t, N)`.

    With whitened speech x and ciphertext z = x K, components are x A' for the public A and z B' for B of the
    ciphertext. They are the same up to order and signs P, so K = A' P B.
    """
    rng = np.random.default_rng(seed)
    z, target = levelled(ciphertext), public.components
    demixing = independent(np.concatenate(z), rng)
    found = Statistics.of([x @ demixing.T for x in z])
    orders = sorted((ordered(found, target, rng) for _ in range(ORDERS)), key=lambda one: found.cost(target, one))
    candidates = [(one, signs_of(found, target, one)) for one in orders[:KEPT]]
    order, signs = min(candidates, key=lambda both: found.cost(target, *both))
    key = np.asarray(public.demixing.T @ (signs[order, None] * demixing[order]))
    return refined(level(ciphertext), key)


def refined(rows: Sequence[Matrix], key: Matrix) -> Matrix:
    """The key nearby under which the moments of decrypted rows depend on distances alone, as those of speech do.

    The components of two voices differ a little; that moments up to the fourth are the same at any place in a block
    holds for every voice.
    """
    now, after = (torch.from_numpy(np.concatenate(part)) for part in zip(*((x[:-1], x[1:]) for x in rows), strict=True))
    start, size = torch.from_numpy(key), len(key)
    turn = torch.zeros(size, size, dtype=torch.float64, requires_grad=True)
    place = torch.arange(size)
    distance = torch.cat(
        [(place - place[:, None]) + size - 1, (place - place[:, None]) + 2 * size - 1], dim=1
    ).flatten()

    def turned() -> torch.Tensor:
        return start @ torch.linalg.matrix_exp(turn - turn.mT)

    def loss() -> torch.Tensor:
        x, y = now @ turned().mT, after @ turned().mT
        both = torch.cat([x, y], dim=1)
        total = torch.zeros((), dtype=torch.float64)
        for left, right in ((x, both), (x**2 - 1, both**2 - 1), (x**3, both)):
            moments = (left.mT @ right / len(x)).flatten()
            mean = torch.zeros(3 * size, dtype=torch.float64).index_add(0, distance, moments)
            mean = mean / torch.bincount(distance, minlength=3 * size).clamp_min(1)
            total = total + ((moments - mean[distance]) ** 2).sum() / (moments**2).sum().detach()
        return total

    descent = torch.optim.LBFGS([turn], max_iter=REFINING, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        descent.zero_grad()
        value = loss()
        value.backward()
        return value

    descent.step(closure)
    return turned().detach().numpy()


def level(rows: Sequence[Matrix]) -> list[Matrix]:
    """Block rows without pauses, each divided by the level around it: `(t, N)` each, of mean square 1."""
    kept = []
    loud = GATE * np.mean([np.mean(x**2) for x in rows])
    for x in rows:
        energy = np.convolve((x**2).mean(1), np.ones(LEVEL_BLOCKS) / LEVEL_BLOCKS, "same")
        kept.append(x[energy > loud] / np.sqrt(energy[energy > loud, None]))
    return kept


def levelled(rows: Sequence[Matrix]) -> list[Matrix]:
    """Rows of one `level`, symmetrically whitened: `(t, N)` each, of unit covariance together."""
    kept = level(rows)
    together = np.concatenate(kept)
    values, vectors = np.linalg.eigh(together.T @ together / len(together))
    return [x @ (vectors / np.sqrt(values)) @ vectors.T for x in kept]


def _distance(a: Matrix, b: Matrix) -> float:
    return float(((a - b) ** 2).sum() / (b**2).sum())


def _correlation(x: Matrix, y: Matrix) -> Matrix:
    x, y = ((a - a.mean(0)) / a.std(0) for a in (x, y))
    return x.T @ y / len(x)


def independent(z: Matrix, rng: np.random.Generator) -> Matrix:
    """The orthogonal matrix of FastICA (Hyvärinen 1999; symmetric, tanh) with the largest contrast of some runs."""
    gaussian = np.mean(np.log(np.cosh(rng.standard_normal(10**6))))
    best, largest = np.eye(z.shape[1]), -np.inf
    for _ in range(RUNS):
        b = _polar(rng.standard_normal((z.shape[1],) * 2))
        for _ in range(STEPS):
            s = np.tanh(z @ b.T)
            b = _polar(s.T @ z / len(z) - (1 - s**2).mean(0)[:, None] * b)
        contrast = float(((np.log(np.cosh(z @ b.T)).mean(0) - gaussian) ** 2).sum())
        if contrast > largest:
            best, largest = b, contrast
    return best


def _polar(a: Matrix) -> Matrix:
    u, _, v = np.linalg.svd(a)
    return np.asarray(u @ v)


def ordered(found: Statistics, target: Statistics, rng: np.random.Generator) -> NDArray[np.int64]:
    """An order from which no exchange of two samples is better, from a random one."""
    order = rng.permutation(found.even.shape[1])
    cost, better = found.cost(target, order), True
    while better:
        better = False
        for i, j in combinations(range(len(order)), 2):
            other = order.copy()
            other[[i, j]] = other[[j, i]]
            if (new := found.cost(target, other)) < cost:
                order, cost, better = other, new, True
    return order


def signs_of(found: Statistics, target: Statistics, order: NDArray[np.int64]) -> Matrix:
    """The best signs of samples in this order; the first is positive."""
    choices = np.array(list(product((1.0, -1.0), repeat=len(order) - 1)))
    choices = np.concatenate([np.ones((len(choices), 1)), choices], axis=1)
    form = (found.odd[:, order][:, :, order] * target.odd / (target.odd**2).sum()).sum(0)
    chosen = choices[np.einsum("ci,ij,cj->c", choices, form, choices).argmax()]
    signs = np.empty(len(order))
    signs[order] = chosen
    return signs
