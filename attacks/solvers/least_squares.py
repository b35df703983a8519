"""The matrix that carries plain blocks to encrypted ones where a key may be any invertible matrix.

Of pairs (x, y) with y = x K only one side holds errors, white ones of some variance v: the ciphertext where it was
rounded, the plain blocks where somebody has listened. Least squares regresses the side that holds them on the other
one, `K = X⁺ Y` or `K = (Y⁺ X)⁻¹`; the other way round it is biased, since errors in the regressors weaken what is
regressed on them. Which side that is shows in what is left over: there it is white, on the other side it is not.
Whiteness is measured by the likelihood ratio of Mauchly (1940), `N log(tr C / N) - log det C` of its covariance C.

Where fewer than N blocks are known, the rest of the key is filled up, so that it can be inverted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.solvers.stable_linalg import array_lstsq, array_singular_values, array_svd

LEAST = 1e-12  # singular values below this share of the largest are rounding


@dataclass(frozen=True)
class LeastSquares:
    """An invertible matrix fitted to pairs of blocks.

    Attributes
    ----------
    key : Matrix
        `(N, N)`.
    left : Matrix
        What is left over on the side that holds errors, `(n, N)`.
    plain : Matrix
        The plain blocks as they were without errors, `(n, N)`.
    gain : float
        By how much the key amplifies white noise, in energy, if errors are in the ciphertext; 1 if in the plain blocks.
    """

    key: Matrix
    left: Matrix
    plain: Matrix
    gain: float

    def expected_error(self, variance: float) -> float:
        """The relative error of the key, root mean square, where errors have this variance."""
        strengths = array_singular_values(self.plain)
        return float(np.sqrt(variance * np.sum(1 / np.maximum(strengths**2, 1e-300)) / self.gain))


def least_squares(x: Matrix, y: Matrix) -> LeastSquares:
    """The matrix between plain blocks x and encrypted ones y, both `(n, N)`, with errors in one of them."""
    count, size = x.shape
    key = _filled_up(array_lstsq(x, y, LEAST), x, y)
    in_cipher = LeastSquares(key, y - x @ key, x, float(np.sum(key**2) / size))
    back = array_lstsq(y, x, LEAST)
    if count < 2 * size or _rank(back) < size:
        return in_cipher
    in_plain = LeastSquares(np.linalg.inv(back), x - y @ back, y @ back, 1.0)
    return min((in_cipher, in_plain), key=lambda fitted: _coloured(fitted.left))


def _filled_up(key: Matrix, x: Matrix, y: Matrix) -> Matrix:
    """The key of least norm, and an arbitrary isometry, as loud, between what no known block holds of both sides."""
    known = _rank(x)
    if known == len(key):
        return key
    unseen, free = (array_svd(side)[2][known:] for side in (x, y))
    loud = np.linalg.norm(key) / np.sqrt(max(known, 1))
    return np.asarray(key + loud * unseen.T @ free)


def _rank(matrix: Matrix) -> int:
    """Singular values that are no rounding, as `array_lstsq` counts them."""
    values = array_singular_values(matrix)
    return int((values > LEAST * values[0]).sum())


def _coloured(left: Matrix) -> float:
    """How far from white rows `(n, N)` are: 0 where they are; 0 too for nothing but rounding."""
    values = array_singular_values(left) ** 2
    if values[0] == 0:
        return 0.0
    return float(len(values) * np.log(values.mean()) - np.log(np.maximum(values, 1e-300)).sum())
