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
SIGNS, REFINED = 24, 6  # signs that are tried, and that the descent begins from


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

    def cost(self, target: Statistics, order: NDArray[np.int64]) -> float:
        """How far these are from `target`, whatever the signs, once the components are put into this order."""
        return float(((self.even[:, order][:, :, order] - target.even) ** 2).sum())


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
    order = min((ordered(found, target, rng) for _ in range(ORDERS)), key=lambda one: found.cost(target, one))
    misfit = Misfit(level(ciphertext))
    keys = [public.demixing.T @ (signs[:, None] * demixing[order]) for signs in signs_of(found, target, order)]
    ends = [misfit.descended(key) for key in sorted(keys, key=misfit.of)[:REFINED]]
    return min(ends, key=misfit.of)


class Misfit:
    """How far moments up to the fourth of decrypted rows `(t, N)` are from depending on distances alone.

    The components of two voices differ a little; that their moments are the same at any place in a block holds for
    every voice, and only under the right signs.
    """

    def __init__(self, rows: Sequence[Matrix]) -> None:
        pairs = zip(*((x[:-1], x[1:]) for x in rows), strict=True)
        self.now, self.after = (torch.from_numpy(np.concatenate(part)) for part in pairs)
        self.size = self.now.shape[1]
        place = torch.arange(self.size)
        apart = place - place[:, None] + self.size - 1  # counted from the largest negative distance
        self.distance = torch.cat([apart, apart + self.size], dim=1).flatten()
        self.count = torch.bincount(self.distance).clamp_min(1)

    def of(self, key: Matrix) -> float:
        """The misfit under a key `(N, N)`."""
        return float(self._under(torch.from_numpy(key)))

    def descended(self, key: Matrix) -> Matrix:
        """The key of a local minimum, from a key nearby."""
        start = torch.from_numpy(key)
        turn = torch.zeros_like(start, requires_grad=True)
        descent = torch.optim.LBFGS([turn], max_iter=REFINING, line_search_fn="strong_wolfe")

        def value() -> torch.Tensor:
            descent.zero_grad()
            misfit = self._under(start @ torch.linalg.matrix_exp(turn - turn.mT))
            misfit.backward()
            return misfit

        descent.step(value)
        return (start @ torch.linalg.matrix_exp(turn - turn.mT)).detach().numpy()

    def _under(self, key: torch.Tensor) -> torch.Tensor:
        x, y = self.now @ key.mT, self.after @ key.mT
        both = torch.cat([x, y], dim=1)
        total = torch.zeros((), dtype=torch.float64)
        for left, right in ((x, both), (x**2 - 1, both**2 - 1), (x**3, both)):
            moments = (left.mT @ right / len(x)).flatten()
            mean = torch.zeros(len(self.count), dtype=torch.float64).index_add(0, self.distance, moments) / self.count
            total = total + ((moments - mean[self.distance]) ** 2).sum() / (moments**2).sum().detach()
        return total


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
    """The `SIGNS` best signs of the components in this order, `(SIGNS, N)`; the first is positive."""
    choices = np.array(list(product((1.0, -1.0), repeat=len(order) - 1)))
    choices = np.concatenate([np.ones((len(choices), 1)), choices], axis=1)
    form = (found.odd[:, order][:, :, order] * target.odd).sum(0)
    return choices[np.argsort(-np.einsum("ci,ij,cj->c", choices, form, choices))[:SIGNS]]
