"""The key of a scheme that best carries plain blocks to encrypted ones, in closed form, and how sure that is.

Every scheme asks for the key with the largest `tr(K^T X^T Y)`, which is the one with the least `||X K - Y||_F`: over
all orthogonal matrices the polar factor of `X^T Y` (Schönemann, Psychometrika 31, 1966), over permutations a linear
assignment, over signs the signs of the diagonal.

How sure: with white errors of variance v the least residual rises by d if the key moves to another one, and d / 2v is
a log likelihood ratio. A discrete key is certain where every neighbour (two positions swapped, one sign turned) is
improbable; an orthogonal matrix has a linearised error, `var(A_ij) = v / (s_i^2 + s_j^2)` for the turn in the plane of
the singular directions i and j of X, and the sign of the weakest direction, which costs `4 s_i^2`, must be certain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import erfc

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.solvers.stable_linalg import array_polar, array_singular_values, array_svd
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.vocabulary import RECOVERED
from wrongkey.keys.schemes import Group, Scheme

ROUNDING = 1e-13  # relative error that numbers are taken to have at least, of float64
CERTAIN = 12.0  # log likelihood ratio over a neighbour at which a position or a sign counts as known


@dataclass(frozen=True)
class Fit:
    """A key fitted to pairs of blocks, and what the fit says about itself.

    key: `(N, N)`, a key of the scheme. residual: `||X K - Y|| / ||Y||`, about √2 where they are unrelated.
    rank: independent blocks, whose signs stand above
    their noise. expected_error: of the key, relative, from the residual alone; for
    permutations and signs the share of positions that are not certain. sure: whether the key counts as recovered.
    """

    key: Matrix
    residual: float
    rank: int
    expected_error: float
    sure: bool


def nearest_key(scheme: Scheme, cross_covariance: Matrix) -> Matrix:
    """The keys `(..., N, N)` of a scheme with the largest `tr(K^T C)`, for `C = X^T Y` `(..., N, N)`.

    Of a scheme that is none of the three the nearest orthogonal matrix: every key is one. Where C has no full rank
    the polar factor is arbitrary on what is left; a zero on a diagonal counts as positive.
    """
    covariance = np.asarray(cross_covariance, dtype=np.float64)
    if covariance.ndim < 2 or covariance.shape[-1] != covariance.shape[-2]:
        raise BadInput(f"A cross-covariance of plain and encrypted blocks is (N, N), and this is {covariance.shape}.")
    if scheme.group is Group.PERMUTATIONS:
        return _permutations(covariance)
    if scheme.group is Group.SIGNS:
        signs = np.where(np.diagonal(covariance, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
        diagonal: Matrix = signs[..., None] * np.eye(covariance.shape[-1])
        return diagonal
    return polar(covariance)


def polar(matrix: NDArray[np.floating[Any]]) -> Matrix:
    """The nearest orthogonal matrices `(..., N, N)`."""
    return array_polar(matrix).astype(np.float64)


def fit(scheme: Scheme, plain: Matrix, cipher: Matrix, weights: Matrix | None = None) -> Fit:
    """The key that carries the rows of `plain` `(n, N)` to those of `cipher` `(n, N)`, errors in either being white.

    weights: `(n,)`, one over the error variance of each row, up to a factor.
    """
    x, y = _pairs(plain, cipher, weights)
    key = nearest_key(scheme, x.T @ y)
    if not scheme.monomial:
        key = min(key, _row_by_row(x, y), key=lambda k: float(np.linalg.norm(x @ k - y)))
    return _judged(scheme, x, y, key)


def _row_by_row(x: Matrix, y: Matrix) -> Matrix:
    """The key from X's singular directions, the strongest first, each image orthogonal to those before (QR).

    Without noise it loses cond(X) digits where the polar factor of `X^T Y` loses twice as many: speech is weak in many
    directions, and a strong direction's image must not take part in the errors of a weak one.
    """
    left, strengths, right = array_svd(x, full_matrices=len(x) < x.shape[1])
    images = np.zeros_like(right)
    count = len(strengths)
    images[:count] = (left.T @ y)[:count] / np.maximum(strengths, 1e-300)[:, None]
    q, r = np.linalg.qr(images.T)
    turned = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    key: Matrix = (right.T @ turned.T).astype(np.float64)
    return key


def _judged(scheme: Scheme, x: Matrix, y: Matrix, key: Matrix) -> Fit:
    count, size = x.shape
    squares = float(((x @ key - y) ** 2).sum())
    power = max(float((y**2).sum()), 1e-300)
    directions = np.minimum(*(array_singular_values(side) for side in (x, y)))  # noise is in one, or neither
    floor = ROUNDING**2 * power / max(count * size, 1)
    discrete = scheme.monomial
    free = 0 if discrete else _parameters(min(count, size), size)
    variance = max(squares / max(count * size - free, 1), floor)
    rank = int((2 * directions**2 / variance > CERTAIN).sum())  # what turning the sign of a direction would cost
    if discrete:
        unsure = _unsure(scheme, x.T @ y, key, variance)
        expected, sure = float(unsure.mean()), not unsure.any()
    else:
        expected = _expected_error(directions, size, variance)
        sure = rank == size and expected < RECOVERED
    sure = bool(sure and squares < power / 2)
    return Fit(key, float(np.sqrt(squares / power)), rank, expected, sure)


def _expected_error(directions: Matrix, size: int, variance: float) -> float:
    """Relative error of an orthogonal key, root mean square: `2 d` squares where nothing is known of d directions."""
    strengths = np.zeros(size)
    strengths[: len(directions)] = directions
    unknown = 2 * strengths**2 / variance <= CERTAIN
    turns = np.minimum(variance / np.maximum(np.add.outer(strengths**2, strengths**2), 1e-300), 2 / max(size - 1, 1))
    np.fill_diagonal(turns, 2 * erfc(strengths / np.sqrt(variance)))  # a direction's sign is wrong
    among = np.ix_(unknown, unknown)
    squares = turns.sum() - turns[among].sum() + min(turns[among].sum(), 2.0 * unknown.sum())
    return float(np.sqrt(squares / size))


def _parameters(rank: int, size: int) -> int:
    """Numbers that fix where a key carries `rank` directions: the dimension of a Stiefel manifold."""
    return rank * size - rank * (rank + 1) // 2


def _unsure(scheme: Scheme, covariance: Matrix, key: Matrix, variance: float) -> Matrix:
    """`(N,)`: positions that the pairs leave open."""
    if scheme.group is Group.SIGNS:
        rise = 4 * np.abs(np.diagonal(covariance))
    else:
        image = covariance[:, key.argmax(axis=1)]  # [i, j]: position i sent where j belongs
        own = np.diagonal(image)
        swaps = 2 * (own[:, None] + own - image - image.T)
        np.fill_diagonal(swaps, np.inf)
        rise = swaps.min(axis=1)
    unsure: Matrix = rise / (2 * variance) < CERTAIN + np.log(len(key))
    return unsure


def _permutations(covariance: Matrix) -> Matrix:
    keys = np.zeros(covariance.shape)
    for index in np.ndindex(covariance.shape[:-2]):
        rows, columns = linear_sum_assignment(covariance[index], maximize=True)
        keys[(*index, rows, columns)] = 1.0
    return keys


def _pairs(plain: Matrix, cipher: Matrix, weights: Matrix | None) -> tuple[Matrix, Matrix]:
    x, y = np.asarray(plain, dtype=np.float64), np.asarray(cipher, dtype=np.float64)
    if x.ndim != 2 or x.shape != y.shape or x.size == 0:
        raise BadInput(f"Known blocks are two arrays (n, N) of equal shape, and these are {x.shape} and {y.shape}.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise BadInput("Known blocks must be finite: leave out those that are not.")
    if weights is None:
        return x, y
    root = np.sqrt(np.asarray(weights, dtype=np.float64))[:, None]
    return x * root, y * root
