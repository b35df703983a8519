"""Scores of keys whose lower tails are known exactly."""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb, factorial
from typing import Any

import numpy as np
from scipy import stats

from wrongkey.evaluation.strength.splitting import Score
from wrongkey.keys.schemes import SCHEMES, Scheme
from wrongkey.keys.volume import derangements


@dataclass(frozen=True)
class Tail:
    """A score of a scheme's keys at one size, and the probability of a goal."""

    scheme: Scheme
    size: int
    score: Score
    goal: float
    probability: float


@dataclass(frozen=True)
class Moving(Scheme):
    """A scheme with what keys/ will offer of its own: moves, or the structure of its keys."""

    moves: Any = None
    structure: Any = None


def untied(errors: Callable[[np.ndarray], np.ndarray]) -> Score:
    """A score without a tie breaker."""
    return lambda keys: (errors(keys).astype(float), np.zeros(len(keys)))


def signs(size: int = 30, most: int = 0, scheme: Scheme = SCHEMES["flipping"]) -> Tail:
    """Signs that differ from those of the correct key: binomial."""
    score = untied(lambda keys: (np.diagonal(keys, axis1=1, axis2=2) < 0).sum(1))
    return Tail(scheme, size, score, float(most), float(stats.binom.cdf(most, size, 0.5)))


def entry(size: int = 10, probability: float = 1e-9, scheme: Scheme = SCHEMES["rom"]) -> Tail:
    """The first entry of an orthogonal matrix, negated; its square has a beta distribution."""
    least = np.sqrt(stats.beta.isf(2 * probability, 0.5, (size - 1) / 2))
    return Tail(scheme, size, untied(lambda keys: -keys[:, 0, 0]), -float(least), probability)


def determinants(size: int = 4, probability: float = 1e-6) -> Tail:
    """The same, in the part of O(N) that the determinant -1 has, and a wall between: the other part is never good."""
    least = np.sqrt(stats.beta.isf(4 * probability, 0.5, (size - 1) / 2))
    score = untied(lambda keys: np.where(np.linalg.det(keys) < 0, -keys[:, 0, 0], 1.0))
    return Tail(SCHEMES["rom"], size, score, -float(least), probability)


def fixed_points(size: int = 12, moved: int = 0) -> Tail:
    """Elements that a permutation moves."""
    count = sum(comb(size, k) * derangements(k) for k in range(moved + 1))
    score = untied(lambda keys: size - np.trace(keys, axis1=1, axis2=2).round())
    return Tail(SCHEMES["shuffling"], size, score, float(moved), count / factorial(size))
