"""The key of a scheme that best carries plain blocks to encrypted ones, and how certain it is.

Every scheme asks for the key with the largest `tr(K^T X^T Y)`, which is the one with the least `||X K - Y||_F`: over
all orthogonal matrices the polar factor of `X^T Y` [1]_, over permutations a linear assignment, over signs the signs of
the diagonal, over signed permutations the assignment of the magnitudes with the signs that stand there. A scheme with
fewer keys than its group is compared key by key where its keys are few enough.

How certain: with white errors of variance v the least residual rises by d if the key moves to another one, and d / 2v
is a log likelihood ratio. A discrete key is certain where every neighbour (two positions swapped, one sign turned, or
another key of the list) is improbable. An orthogonal matrix has a linearised error, `var(A_ij) = v / (s_i^2 + s_j^2)`
for the turn in the plane of the singular directions i and j of X, and the sign of the weakest direction, which costs
`4 s_i^2`, must be certain.

An invertible key is not the nearest of anything: it is fitted by `wrongkey.attacks.solvers.least_squares`.

References
----------
.. [1] P. H. Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 31, 1966.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import erfc

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.solvers.key_lists import every_key, listed
from wrongkey.attacks.solvers.least_squares import least_squares
from wrongkey.attacks.solvers.stable_linalg import array_polar, array_singular_values, array_svd
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.vocabulary import RECOVERED
from wrongkey.keys.family import get_scheme
from wrongkey.keys.schemes import Group, Scheme

# Rounding of float64, which no attack would tune: they are not among the settings.
ROUNDING = 1e-13  # relative error that numbers are taken to have at least
SAME = 1e-9  # difference of two keys' elements that is rounding


@dataclass(frozen=True)
class FitSettings:
    """When a fitted key counts as known.

    Attributes
    ----------
    certain : float
        Log likelihood ratio over a neighbour from which a position or a sign counts as known.
    """

    certain: float = 12.0


DEFAULTS = FitSettings()


@dataclass(frozen=True)
class Fit:
    """A key fitted to pairs of blocks, and what the fit says about itself.

    Attributes
    ----------
    key : Matrix
        The fitted key of the scheme, `(N, N)`.
    residual : float
        `||X K - Y|| / ||Y||`; about √2 where the blocks are unrelated.
    rank : int
        Number of independent directions of the blocks whose signs stand above the noise.
    expected_error : float
        Relative error of the key, computed from the residual alone. Of a discrete key it is the share of positions
        that are not certain.
    certain : bool
        Whether the key counts as recovered.
    """

    key: Matrix
    residual: float
    rank: int
    expected_error: float
    certain: bool


def nearest_key(scheme: Scheme | str, cross_covariance: Matrix) -> Matrix:
    """Return the keys of a scheme with the largest `tr(K^T C)`, for `C = X^T Y`.

    Where C has no full rank the polar factor is arbitrary on what is left; a zero counts as positive.

    Parameters
    ----------
    scheme : Scheme or str
        The scheme, or its name.
    cross_covariance : Matrix
        One or several matrices C, `(..., N, N)`.

    Returns
    -------
    Matrix
        The keys `(..., N, N)`. Of a finite scheme that is neither a whole group nor short enough to be listed, the
        nearest matrices of its group.

    Raises
    ------
    BadInput
        If the matrices are not square.

    Examples
    --------
    >>> np.diagonal(nearest_key("flipping", np.array([[3.0, 1.0], [2.0, -1.0]]))).tolist()
    [1.0, -1.0]
    """
    scheme = get_scheme(scheme)
    covariance = np.asarray(cross_covariance, dtype=np.float64)
    if covariance.ndim < 2 or covariance.shape[-1] != covariance.shape[-2]:
        raise BadInput(f"A cross-covariance of plain and encrypted blocks is (N, N), and this is {covariance.shape}.")
    size = covariance.shape[-1]
    if listed(scheme, size):
        return _best_listed(scheme, covariance)
    match scheme.group:
        case Group.PERMUTATIONS:
            return _permutations(covariance)
        case Group.SIGNS:
            return _signs(np.diagonal(covariance, axis1=-2, axis2=-1))[..., None] * np.eye(size)
        case Group.SIGNED_PERMUTATIONS:
            return _permutations(np.abs(covariance)) * _signs(covariance)
        case Group.INVERTIBLE:
            raise NotImplementedError  # no attack that asks this applies to such keys
        case Group.ORTHOGONAL:
            return array_polar(covariance)


def fit(
    scheme: Scheme | str, plain: Matrix, cipher: Matrix, settings: FitSettings, weights: Matrix | None = None
) -> Fit:
    """Return the key that carries plain blocks to encrypted ones, errors in either being white.

    Parameters
    ----------
    scheme : Scheme or str
        The scheme, or its name.
    plain, cipher : Matrix
        Pairs of blocks, both `(n, N)`.
    settings : FitSettings
        When the key counts as known.
    weights : Matrix, optional
        One over the error variance of each pair, up to a common factor, `(n,)`.

    Returns
    -------
    Fit
        The key and how certain it is.

    Raises
    ------
    BadInput
        If the blocks differ in shape, are none, or are not finite.

    Examples
    --------
    >>> fitted = fit("shuffling", np.array([[0.1, 0.5, 0.2]]), np.array([[0.5, 0.2, 0.1]]), FitSettings())
    >>> fitted.key.argmax(0).tolist()
    [1, 2, 0]
    """
    scheme = get_scheme(scheme)
    x, y = _pairs(plain, cipher, weights)
    if not scheme.orthogonal:
        return _invertible(x, y, settings.certain)
    key = nearest_key(scheme, x.T @ y)
    if not _discrete(scheme, x.shape[1]):
        key = min(key, _row_by_row(x, y), key=lambda k: float(np.linalg.norm(x @ k - y)))
    return _judged(scheme, x, y, key, settings.certain)


def _invertible(x: Matrix, y: Matrix, least: float) -> Fit:
    """The fit of any invertible matrix; not certain from N blocks, which leave nothing that could contradict it.

    The rank counts directions whose images are known as surely as a sign is asked to be.
    """
    fitted, (count, size) = least_squares(x, y), x.shape
    power = max(float(((y if fitted.plain is x else x) ** 2).sum()), 1e-300)
    squares = float((fitted.left**2).sum())
    variance = max(squares / max((count - size) * size, 1), ROUNDING**2 * power / (count * size))
    rank = int((array_singular_values(fitted.plain) ** 2 / variance > least).sum())
    expected = fitted.expected_error(variance) if rank == size else float(np.sqrt(2.0))
    certain = count > size and rank == size and expected < RECOVERED and squares < power / 2
    return Fit(fitted.key, float(np.sqrt(squares / power)), rank, expected, certain)


def _discrete(scheme: Scheme, size: int) -> bool:
    """Whether `nearest_key` chooses among finitely many keys."""
    return scheme.monomial or listed(scheme, size)


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
    return (right.T @ turned.T).astype(np.float64)


def _judged(scheme: Scheme, x: Matrix, y: Matrix, key: Matrix, least: float) -> Fit:
    """The fit of a key; what is known is known by a log likelihood ratio of at least `least`."""
    count, size = x.shape
    squares = float(((x @ key - y) ** 2).sum())
    power = max(float((y**2).sum()), 1e-300)
    directions = np.minimum(*(array_singular_values(side) for side in (x, y)))  # noise is in one, or neither
    floor = ROUNDING**2 * power / max(count * size, 1)
    discrete = _discrete(scheme, size)
    free = 0 if discrete else _parameters(min(count, size), size)
    variance = max(squares / max(count * size - free, 1), floor)
    rank = int((2 * directions**2 / variance > least).sum())  # what turning the sign of a direction would cost
    if discrete:
        uncertain = _uncertain(scheme, x.T @ y, key, variance, least)
        expected, certain = float(uncertain.mean()), not uncertain.any()
    else:
        expected = _expected_error(directions, size, variance, least)
        certain = rank == size and expected < RECOVERED
    certain = bool(certain and squares < power / 2)
    return Fit(key, float(np.sqrt(squares / power)), rank, expected, certain)


def _expected_error(directions: Matrix, size: int, variance: float, least: float) -> float:
    """Relative error of an orthogonal key, root mean square: `2 d` squares where nothing is known of d directions."""
    strengths = np.zeros(size)
    strengths[: len(directions)] = directions
    unknown = 2 * strengths**2 / variance <= least
    turns = np.minimum(variance / np.maximum(np.add.outer(strengths**2, strengths**2), 1e-300), 2 / max(size - 1, 1))
    np.fill_diagonal(turns, 2 * erfc(strengths / np.sqrt(variance)))  # a direction's sign is wrong
    among = np.ix_(unknown, unknown)
    squares = turns.sum() - turns[among].sum() + min(turns[among].sum(), 2.0 * unknown.sum())
    return float(np.sqrt(squares / size))


def _parameters(rank: int, size: int) -> int:
    """Numbers that fix where a key carries `rank` directions: the dimension of a Stiefel manifold."""
    return rank * size - rank * (rank + 1) // 2


def _uncertain(scheme: Scheme, covariance: Matrix, key: Matrix, variance: float, least: float) -> NDArray[np.bool_]:
    """`(N,)`: positions that the pairs leave open."""
    size = len(key)
    if listed(scheme, size):
        return _open_in_list(scheme, covariance, key, variance, least)
    match scheme.group:
        case Group.SIGNS:
            rise = _sign_rise(np.diagonal(covariance))
        case Group.SIGNED_PERMUTATIONS:
            image = np.abs(covariance)[:, np.abs(key).argmax(axis=1)]
            rise = np.minimum(_swap_rise(image), _sign_rise(np.diagonal(image)))
        case _:
            rise = _swap_rise(covariance[:, key.argmax(axis=1)])
    return rise / (2 * variance) < least + np.log(size)


def _sign_rise(own: Matrix) -> Matrix:
    """By how much the squared residual rises when the sign of a position turns, `(N,)`."""
    return 4 * np.abs(own)


def _swap_rise(image: Matrix) -> Matrix:
    """By how much it rises at least when a position is swapped with another, `(N,)`.

    image[i, j] is what C has where position i is sent to where j belongs.
    """
    own = np.diagonal(image)
    swaps = 2 * (own[:, None] + own - image - image.T)
    np.fill_diagonal(swaps, np.inf)
    return swaps.min(axis=1)


def _open_in_list(scheme: Scheme, covariance: Matrix, key: Matrix, variance: float, least: float) -> NDArray[np.bool_]:
    """`(N,)`: rows of the key in which other keys of a listed scheme, about as probable, differ."""
    count = scheme.space(len(key))
    assert count is not None
    best = float((key * covariance).sum())
    uncertain = np.zeros(len(key), dtype=bool)
    for keys in every_key(scheme, len(key)):
        rise = 2 * (best - np.einsum("nij,ij->n", keys, covariance))
        rivals = keys[rise / (2 * variance) < least + np.log(count)]
        uncertain |= (np.abs(rivals - key) > SAME).any(axis=(0, 2))
    return uncertain


def _best_listed(scheme: Scheme, covariance: Matrix) -> Matrix:
    """The best of all keys of a listed scheme; of several equally good ones the first."""
    size = covariance.shape[-1]
    matrices = covariance.reshape(-1, size, size)
    best, values = np.zeros_like(matrices), np.full(len(matrices), -np.inf)
    for keys in every_key(scheme, size):
        traces = np.einsum("nij,cij->cn", keys, matrices)
        winners = traces.argmax(axis=1)
        tops = traces[np.arange(len(matrices)), winners]
        better = tops > values
        best[better], values[better] = keys[winners[better]], tops[better]
    return best.reshape(covariance.shape)


def _permutations(covariance: Matrix) -> Matrix:
    keys = np.zeros(covariance.shape)
    for index in np.ndindex(covariance.shape[:-2]):
        rows, columns = linear_sum_assignment(covariance[index], maximize=True)
        keys[(*index, rows, columns)] = 1.0
    return keys


def _signs(numbers: Matrix) -> Matrix:
    return np.where(numbers < 0, -1.0, 1.0)


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
