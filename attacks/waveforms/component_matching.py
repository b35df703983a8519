"""Which independent component of a ciphertext is which of plain speech: their order and signs.

Components of plain speech x are `A x`, and those of ciphertext x K are the same in another order and with other signs,
`P A x`. How their absolute values, cubes and neighbouring blocks correlate says which is which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.waveforms.fast_ica import independent, level, whitened
from wrongkey.attacks.waveforms.independent_components_settings import IndependentComponentsSettings


@dataclass(frozen=True)
class Statistics:
    """What tells components `(t, N)` of blocks apart: `even` changes with their order, `odd` with their signs too."""

    even: Matrix  # (2, N, N): correlations of absolute values within a block, and with the next block
    odd: Matrix  # (3, N, N): of cubes with samples, within and with the next block; of samples with the next block

    @classmethod
    def of(cls, sources: Sequence[Matrix], clipped: float) -> Statistics:
        """Of sequences of components `(t, N)`, whose cubes are clipped at so many standard deviations."""
        now, after = np.concatenate([x[:-1] for x in sources]), np.concatenate([x[1:] for x in sources])
        size, cubes = [np.abs(x) for x in (now, after)], np.clip(now, -clipped, clipped) ** 3
        even = [_correlation(size[0], x) for x in size]
        odd = [_correlation(cubes, now), _correlation(cubes, after), _correlation(now, after)]
        return cls(np.stack(even), np.stack(odd))

    def cost(self, target: Statistics, order: NDArray[np.int64]) -> float:
        """How far these are from `target`, whatever the signs, once the components are put into this order."""
        return float(((self.even[:, order][:, :, order] - target.even) ** 2).sum())


@dataclass(frozen=True)
class Components:
    """Independent components: the orthogonal matrix `demixing` (N, N) that finds them, and their statistics."""

    demixing: Matrix
    statistics: Statistics

    @classmethod
    def of(cls, sequences: Sequence[Matrix], seed: int, settings: IndependentComponentsSettings) -> Components:
        """Of block rows `(t, N)`."""
        z = whitened(level(sequences, settings))
        demixing = independent(np.concatenate(z), np.random.default_rng(seed), settings)
        return cls(demixing, Statistics.of([x @ demixing.T for x in z], settings.clipped))


def matched(found: Components, public: Components, seed: int, settings: IndependentComponentsSettings) -> list[Matrix]:
    """Keys `(N, N)` that turn the components of plain speech into those of the ciphertext, the likeliest first.

    Components are x A^T of whitened speech x, and z B^T of ciphertext z = x K. With signs and order P these agree where
    K = A^T P B.
    """
    rng = np.random.default_rng(seed)
    target = public.statistics
    orders = [ordered(found.statistics, target, rng) for _ in range(settings.orders)]
    order = min(orders, key=lambda one: found.statistics.cost(target, one))
    signs = signs_of(found.statistics, target, order)[: settings.refined]
    return [public.demixing.T @ (one[:, None] * found.demixing[order]) for one in signs]


def ordered(found: Statistics, target: Statistics, rng: np.random.Generator) -> NDArray[np.int64]:
    """An order from which no exchange of two components is better, from a random one."""
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
    """All signs of the components in this order, `(2 ** (N - 1), N)`, the best first; the first sign is positive."""
    choices = np.array(list(product((1.0, -1.0), repeat=len(order) - 1)))
    choices = np.concatenate([np.ones((len(choices), 1)), choices], axis=1)
    form = (found.odd[:, order][:, :, order] * target.odd).sum(0)
    return choices[np.argsort(-((choices @ form) * choices).sum(1), kind="stable")]


def _correlation(x: Matrix, y: Matrix) -> Matrix:
    x, y = ((a - a.mean(0)) / np.maximum(a.std(0), 1e-12) for a in (x, y))
    return x.T @ y / len(x)
