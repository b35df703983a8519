"""Searches for the key with the least loss: by gradients on the orthogonal group, by single changes in a finite scheme.

On the orthogonal group a random start nearly always ends in a key that suits the model but is not the right one: what
the first layers measure hardly changes when an eigenvector of plain speech's covariance turns its sign (second moments
do not see it). Descents therefore alternate with reflections `K̂ ← (I - 2 u uᵀ) K̂` in these eigenvectors `u`, kept
where they lower the loss; they also lead from one determinant to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.solvers.orthogonal_group import OrthogonalAdam, mirrors
from wrongkey.attacks.solvers.stable_linalg import eigh
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.schemes import SCHEMES, Group, Scheme

LARGE = 16  # elements of a key beyond which random keys are all alike bad


class Criterion(Protocol):
    """A loss of keys, on some utterances or on all."""

    @property
    def size(self) -> int: ...
    def losses(self, keys: Tensor, chosen: Tensor | None = None) -> Tensor: ...
    def gradient(self, keys: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]: ...
    def batch(self, generator: torch.Generator, count: int) -> Tensor: ...


@dataclass(frozen=True)
class Plan:
    """How long a search looks. guesses: random keys, of which the best `starts` go on. rounds: of `steps` each.

    batch: utterances of a step. rate: of the first round's first step, in radians a coordinate or so; halved each
    round.
    """

    guesses: int = 48
    starts: int = 4
    first_steps: int = 50
    rounds: int = 3
    steps: int = 40
    batch: int = 32
    rate: float = 0.15


@dataclass(frozen=True)
class Found:
    """A key `(N, N)`, its loss on all utterances, and the losses of the random keys that were tried first."""

    key: Matrix
    loss: float
    guesses: Matrix


def plan_for(size: int) -> Plan:
    """Keys of more than `LARGE` elements get fewer starts and longer descents."""
    return Plan() if size <= LARGE else Plan(guesses=12, starts=2, first_steps=120, steps=50)


def search_orthogonal(
    criterion: Criterion, covariance: Tensor, seed: int, plan: Plan, also: Tensor | None = None
) -> Found:
    """The best key on O(N). covariance: of plain blocks `(N, N)`. also: further starts `(n, N, N)`."""
    generator = torch.Generator().manual_seed(seed)
    eigenvectors = eigh(covariance)[1].flip(-1).mT  # rows, the strongest first
    keys = guesses(SCHEMES["rom"], len(covariance), seed, plan.guesses, also)
    some = criterion.batch(generator, plan.batch)
    tried = criterion.losses(keys, some)
    keys = descend(criterion, keys[tried.argsort()[: plan.starts]], plan.first_steps, plan.rate, generator, plan.batch)
    losses = criterion.losses(keys)
    key, loss = keys[losses.argmin()], float(losses.min())
    rate = plan.rate / 2
    for _ in range(plan.rounds):
        key, loss = reflect(criterion, key, loss, eigenvectors)
        moved = descend(criterion, key[None], plan.steps, rate, generator, plan.batch)
        lower = float(criterion.losses(moved))
        if lower < loss:
            key, loss = moved[0], lower
        rate /= 2
    return Found(key.numpy(), loss, tried.numpy())


def descend(
    criterion: Criterion, starts: Tensor, steps: int, rate: float, generator: torch.Generator, batch: int
) -> Tensor:
    """Keys `(n, N, N)` after so many steps of Adam on O(N), whose rate falls to nothing as half a cosine."""
    adam = OrthogonalAdam(starts)
    for step in range(steps):
        _, gradient = criterion.gradient(adam.keys, criterion.batch(generator, batch))
        adam.step(gradient, rate * (1 + float(np.cos(np.pi * step / steps))) / 2)
    return adam.keys


def reflect(criterion: Criterion, key: Tensor, loss: float, directions: Tensor) -> tuple[Tensor, float]:
    """Keys `(I - 2 u uᵀ) K̂` for each unit row `u (m, N)`, one after the other, kept where the loss falls; and -K̂."""
    for mirror in mirrors(directions):
        other = mirror @ key
        lower = float(criterion.losses(other[None]))
        if lower < loss:
            key, loss = other, lower
    return key, loss


def search_finite(
    criterion: Criterion, scheme: Scheme, covariance: Tensor, seed: int, plan: Plan, most: int = 64
) -> Found:
    """The best permutation or sign pattern: single changes of the best guesses while they lower the loss.

    Of a key's neighbours (two columns swapped, one sign turned) the `most` that the gradient promises most are tried.
    """
    generator = torch.Generator().manual_seed(seed)
    keys = guesses(scheme, len(covariance), seed, plan.guesses, None)
    some = criterion.batch(generator, plan.batch)
    tried = criterion.losses(keys, some)
    ends = [_climb(criterion, scheme, keys[i], some, most) for i in tried.argsort()[: plan.starts]]
    unique = torch.stack(list({end.numpy().tobytes(): end for end in ends}.values()))
    best = unique[criterion.losses(unique).argmin()]
    best = _climb(criterion, scheme, best, torch.arange(criterion.size), most)
    return Found(best.numpy(), float(criterion.losses(best[None])), tried.numpy())


def _climb(criterion: Criterion, scheme: Scheme, key: Tensor, some: Tensor, most: int) -> Tensor:
    """A key none of whose tried neighbours has a lower loss on `some` utterances."""
    loss = float(criterion.losses(key[None], some))
    while True:
        _, gradient = criterion.gradient(key[None], some)
        candidates = torch.stack(list(neighbours(scheme, key)))
        promised = ((candidates - key) * gradient[0]).sum((-2, -1))
        for other in candidates[promised.argsort()[:most]]:
            lower = float(criterion.losses(other[None], some))
            if lower < loss:
                key, loss = other, lower
                break
        else:
            return key


def neighbours(scheme: Scheme, key: Tensor) -> Iterator[Tensor]:
    """Keys `(N, N)` that differ by one sign (flipping) or by two columns (shuffling)."""
    if scheme.group is Group.SIGNS:
        for place in range(len(key)):
            other = key.clone()
            other[:, place] *= -1
            yield other
        return
    for first, second in combinations(range(len(key)), 2):
        other = key.clone()
        other[:, [first, second]] = key[:, [second, first]]
        yield other


def guesses(scheme: Scheme, size: int, seed: int, count: int, also: Tensor | None) -> Tensor:
    """Random keys of a scheme, the identity and `also (n, N, N)`: float64 `(n, N, N)`."""
    drawn = torch.from_numpy(draw_keys(scheme, size, seed, 0, count))
    known = [torch.eye(size, dtype=torch.float64)[None]] + ([] if also is None else [also.double()])
    return torch.cat([*known, drawn])
