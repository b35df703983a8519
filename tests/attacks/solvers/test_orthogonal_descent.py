"""Descent on the orthogonal group, on an objective whose minimum is known."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from wrongkey.attacks.solvers import orthogonal_descent
from wrongkey.attacks.solvers.haar import haar
from wrongkey.attacks.solvers.orthogonal_descent import DescentSettings, skew_part
from wrongkey.attacks.solvers.orthogonal_group import cayley
from wrongkey.attacks.solvers.stable_linalg import polar

descend = partial(orthogonal_descent.descend, settings=DescentSettings())


class Procrustes:
    """-<K, G>, lowest at the polar factor of G."""

    def __init__(self, target: Tensor) -> None:
        self.target = target

    def value(self, keys: Tensor) -> Tensor:
        return -(keys * self.target).sum((1, 2))

    def value_and_gradient(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        return self.value(keys), -self.target.expand_as(keys)


def problem(count: int) -> tuple[Procrustes, Tensor, Tensor]:
    rng = np.random.default_rng(0)
    right = haar(1, 6, rng)
    target = torch.tensor([30.0, 10, 3, 2, 1, 0.5], dtype=torch.float64).diag() @ right[0]
    starts = haar(count, 6, rng)
    starts[:, 0] *= (starts.det() * right.det()).sign()[:, None]  # of the same determinant, which no path changes
    return Procrustes(target), right, starts


def test_every_start_reaches_the_polar_factor() -> None:
    objective, right, starts = problem(20)
    keys, values = descend(objective, starts, 300, 1e-12)
    assert torch.allclose(keys, right.expand_as(keys), atol=1e-4)
    assert torch.allclose(values, objective.value(right).expand(20), atol=1e-6)
    assert torch.allclose(keys @ keys.mT, torch.eye(6, dtype=torch.float64).expand_as(keys), atol=1e-12)
    assert torch.allclose(polar(objective.target[None]), right, atol=1e-12)


def test_values_never_rise_and_belong_to_their_keys() -> None:
    objective, _, starts = problem(8)
    for steps in (1, 2, 5, 10):
        keys, values = descend(objective, starts, steps, 1e-9)
        assert torch.allclose(values, objective.value(keys), atol=1e-9)
        assert bool((values < objective.value(starts)).all())


def test_a_key_descends_alone_as_in_a_batch() -> None:
    objective, _, starts = problem(5)
    together, _ = descend(objective, starts, 7, 1e-9)
    alone = torch.cat([descend(objective, start[None], 7, 1e-9)[0] for start in starts])
    assert torch.allclose(together, alone, atol=1e-9)


def test_a_start_at_the_minimum_stays() -> None:
    objective, right, _ = problem(1)
    keys, _ = descend(objective, right, 10, 1e-9)
    assert torch.allclose(keys, right, atol=1e-8)


def test_cayley_is_a_rotation() -> None:
    turn = cayley(skew_part(torch.randn(3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))))
    assert torch.allclose(turn @ turn.mT, torch.eye(5, dtype=torch.float64).expand_as(turn), atol=1e-12)
    assert bool((turn.det() > 0).all())


@pytest.mark.parametrize(
    "change",
    [
        {"descent_memory": 1},
        {"descent_slope": 0.9},
        {"descent_least_step": 0.5},
        {"descent_still": 20},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_reaches_the_descent(change: dict[str, Any]) -> None:
    objective, _, starts = problem(5)
    usual, other = (
        descend(objective, starts, 300, 1e-9, settings=replace(DescentSettings(), **words)) for words in ({}, change)
    )
    assert not torch.equal(usual[0], other[0])
