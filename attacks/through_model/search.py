"""Searches for the key with the least loss: by gradients on the orthogonal group, by single changes in a finite scheme.

On the orthogonal group a random start nearly always ends in a key that suits the model but is not the right one: what
the first layers measure hardly changes when an eigenvector of plain speech's covariance turns its sign (second moments
do not depend on it). Descents therefore alternate with reflections `K̂ ← (I - 2 u uᵀ) K̂` in these eigenvectors `u`, kept
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
from wrongkey.attacks.solvers.key_lists import every_key, listed, part_of_its_group
from wrongkey.attacks.solvers.orthogonal_group import OrthogonalAdam, mirrors
from wrongkey.attacks.solvers.stable_linalg import eigh
from wrongkey.attacks.through_model.settings import SearchSettings
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.schemes import SCHEMES, Group, Scheme


class Criterion(Protocol):
    """A loss of keys, on some utterances or on all."""

    @property
    def size(self) -> int:
        """Number of utterances."""

    def losses(self, keys: Tensor, chosen: Tensor | None = None) -> Tensor:
        """Return the losses `(n,)` of keys `(n, N, N)` on the utterances of an index, or on all."""

    def gradient(self, keys: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses `(n,)` and their gradients `(n, N, N)`."""

    def batch(self, generator: torch.Generator, count: int) -> Tensor:
        """Return the index of about `count` random utterances."""


@dataclass(frozen=True)
class Plan:
    """How long a search for keys of one size looks: `SearchSettings`, which say what the fields are."""

    guesses: int
    starts: int
    first_steps: int
    rounds: int
    steps: int
    batch: int
    rate: float
    decays: tuple[float, float]
    tried: int
    drawn: int


@dataclass(frozen=True)
class Best:
    """A key `(N, N)`, its loss on all utterances, and the losses `(n,)` of the random keys that were tried first."""

    key: Matrix
    loss: float
    guesses: Matrix


def plan_for(size: int, settings: SearchSettings) -> Plan:
    """Return how long a search for keys of N = `size` looks: large ones get fewer starts and longer descents."""
    large = size > settings.large
    return Plan(
        guesses=settings.guesses_large if large else settings.guesses,
        starts=settings.starts_large if large else settings.starts,
        first_steps=settings.first_steps_large if large else settings.first_steps,
        rounds=settings.rounds,
        steps=settings.steps_large if large else settings.steps,
        batch=settings.batch,
        rate=settings.rate,
        decays=settings.decays,
        tried=settings.tried,
        drawn=settings.drawn,
    )


def search_orthogonal(
    criterion: Criterion, covariance: Tensor, seed: int, plan: Plan, also: Tensor | None = None
) -> Best:
    """Return the best key on O(N).

    covariance: of plain blocks, `(N, N)`. also: further starts `(n, N, N)`.
    """
    generator = torch.Generator().manual_seed(seed)
    eigenvectors = eigh(covariance)[1].flip(-1).mT  # rows, the strongest first
    keys = guesses(SCHEMES["rom"], len(covariance), seed, plan.guesses, also)
    some = criterion.batch(generator, plan.batch)
    tried = criterion.losses(keys, some)
    keys = descend(criterion, keys[tried.argsort()[: plan.starts]], plan.first_steps, plan.rate, generator, plan)
    losses = criterion.losses(keys)
    key, loss = keys[losses.argmin()], float(losses.min())
    rate = plan.rate / 2
    for _ in range(plan.rounds):
        key, loss = reflect(criterion, key, loss, eigenvectors)
        moved = descend(criterion, key[None], plan.steps, rate, generator, plan)
        lower = float(criterion.losses(moved))
        if lower < loss:
            key, loss = moved[0], lower
        rate /= 2
    return Best(key.numpy(), loss, tried.numpy())


def descend(
    criterion: Criterion, starts: Tensor, steps: int, rate: float, generator: torch.Generator, plan: Plan
) -> Tensor:
    """Return keys `(n, N, N)` after these steps of Adam on O(N), whose rate falls to zero along half a cosine."""
    adam = OrthogonalAdam(starts, plan.decays)
    for step in range(steps):
        _, gradient = criterion.gradient(adam.keys, criterion.batch(generator, plan.batch))
        adam.step(gradient, rate * (1 + float(np.cos(np.pi * step / steps))) / 2)
    return adam.keys


def reflect(criterion: Criterion, key: Tensor, loss: float, directions: Tensor) -> tuple[Tensor, float]:
    """Try `(I - 2 u uᵀ) K̂` for each unit row `u (m, N)` in turn, and -K̂; each is kept where the loss falls."""
    for mirror in mirrors(directions):
        other = mirror @ key
        lower = float(criterion.losses(other[None]))
        if lower < loss:
            key, loss = other, lower
    return key, loss


def search_finite(criterion: Criterion, scheme: Scheme, covariance: Tensor, seed: int, plan: Plan) -> Best:
    """Return the best key of a finite scheme: the best guesses move to `neighbours` while these lower the loss.

    Only those neighbours are tried that the gradient makes look best.
    """
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    keys = guesses(scheme, len(covariance), seed, plan.guesses)
    some = criterion.batch(generator, plan.batch)
    tried = criterion.losses(keys, some)
    ends = [_climb(criterion, scheme, keys[i], some, rng, plan) for i in tried.argsort()[: plan.starts]]
    unique = torch.stack(list({end.numpy().tobytes(): end for end in ends}.values()))
    best = unique[criterion.losses(unique).argmin()]
    best = _climb(criterion, scheme, best, torch.arange(criterion.size), rng, plan)
    return Best(best.numpy(), float(criterion.losses(best[None])), tried.numpy())


def _climb(
    criterion: Criterion, scheme: Scheme, key: Tensor, some: Tensor, rng: np.random.Generator, plan: Plan
) -> Tensor:
    """A key none of whose tried neighbours has a lower loss on `some` utterances."""
    loss = float(criterion.losses(key[None], some))
    while True:
        _, gradient = criterion.gradient(key[None], some)
        candidates = torch.stack(list(neighbours(scheme, key, rng, plan.drawn)))
        promised = ((candidates - key) * gradient[0]).sum((-2, -1))
        for other in candidates[promised.argsort()[: plan.tried]]:
            lower = float(criterion.losses(other[None], some))
            if lower < loss:
                key, loss = other, lower
                break
        else:
            return key


def neighbours(scheme: Scheme, key: Tensor, rng: np.random.Generator, drawn: int) -> Iterator[Tensor]:
    """Yield keys `(N, N)` of a finite scheme that differ little from a key of its own.

    One sign is turned, or two columns are swapped, as the group of the scheme allows. A scheme with fewer keys than its
    group has no such steps: its other keys follow, all of them or, where they are more than that, `drawn` random ones.
    """
    if part_of_its_group(scheme, len(key)):
        yield from _other_keys(scheme, key, rng, drawn)
        return
    match scheme.group:
        case Group.SIGNS:
            yield from _turned(key)
        case Group.PERMUTATIONS:
            yield from _swapped(key)
        case Group.SIGNED_PERMUTATIONS:
            yield from _turned(key)
            yield from _swapped(key)


def _turned(key: Tensor) -> Iterator[Tensor]:
    for place in range(len(key)):
        other = key.clone()
        other[:, place] *= -1
        yield other


def _swapped(key: Tensor) -> Iterator[Tensor]:
    for first, second in combinations(range(len(key)), 2):
        other = key.clone()
        other[:, [first, second]] = key[:, [second, first]]
        yield other


def _other_keys(scheme: Scheme, key: Tensor, rng: np.random.Generator, drawn: int) -> Iterator[Tensor]:
    size = len(key)
    if listed(scheme, size, drawn):
        keys = np.concatenate(list(every_key(scheme, size)))
    else:
        keys = draw_keys(scheme, size, int(rng.integers(2**32)), 0, drawn)
    yield from (other for other in torch.from_numpy(keys) if not torch.equal(other, key))


def guesses(scheme: Scheme, size: int, seed: int, count: int, also: Tensor | None = None) -> Tensor:
    """Return the identity, `also (n, N, N)` and random keys, float64 `(n, N, N)`: of a finite scheme, or any at all."""
    drawn = torch.from_numpy(draw_keys(scheme if scheme.finite(size) else SCHEMES["rom"], size, seed, 0, count))
    known = [torch.eye(size, dtype=torch.float64)[None]] + ([] if also is None else [also.double()])
    return torch.cat([*known, drawn])
