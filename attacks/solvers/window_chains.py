"""A key of overlapping windows, but for one matrix of s x s: what the samples that windows share say of it.

Windows x_t of k samples, one every s, are encrypted to y_t = x_t K with K orthogonal. Sample j + s of a window is
sample j of the next, so with S the shift by s samples inside a window, S e_j = e_(j + s), and the two parts
U = K^T [e_0 ... e_(k-s-1)], V = K^T [e_s ... e_(k-1)] of the transposed key

    y_t V = y_(t+1) U    for all t.

Two neighbouring windows hold k + s different samples, so the rows (y_t, -y_(t+1)) have a null space of k - s
dimensions, spanned by (V; U). White errors in all entries, those of rounding say, leave its estimate by singular value
decomposition the most likely one (total least squares). It is known up to an orthogonal matrix on the right, which
cancels in the shift as ciphertext sees it,

    D = K^T S K = V U^T.

D reaches K^T e_j for all j but the first s. What is orthogonal to its range is therefore F = K^T [e_0 ... e_(s-1)] R
with R (s x s) unknown, and D^i F are the next columns of K^T, under the same R. Where k = q s + r with 0 < r < s, D^q
takes s - r directions of F to zero and r to the last samples of a window: these two groups of directions are told
apart, and R is block-diagonal, of r and s - r.

So B = [F, D F, D^2 F, ...] = K^T E with E = diag(R, R, ...), and the rows y_t B are the windows of speech whose blocks
of s samples were multiplied by R. That B is orthogonal is no assumption but a test: by chance it is not.

If K only moves samples and turns their signs, then so does R: F F^T is diagonal, and F may be taken as unit vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.solvers.stable_linalg import array_polar, array_singular_values, array_svd
from wrongkey.errors import BadInput


@dataclass(frozen=True)
class Chains:
    """A key of windows but for a matrix of s x s.

    Attributes
    ----------
    basis : Matrix
        B, `(k, k)`, orthogonal: what the windows' ciphertext is multiplied by.
    step : int
        s, samples from one window to the next.
    gap : float
        The singular value of the equations before those of the null space over the first of these.
    skew : float
        How far B, as it was found, was from orthogonal: the largest `|singular value - 1|`. Its rounding and noise are
        errors of B of about the same size; without shared samples it is near 1.
    """

    basis: Matrix
    step: int
    gap: float
    skew: float

    @property
    def groups(self) -> tuple[int, ...]:
        """Sizes of the groups of samples that R does not mix: s alone, or r and s - r."""
        rest = len(self.basis) % self.step
        return (rest, self.step - rest) if rest else (self.step,)

    def merged(self, unknown: Matrix) -> Matrix:
        """The key `(k, k)` for R `(s, s)`."""
        size = len(self.basis)
        repeated = np.kron(np.eye(-(-size // self.step)), unknown)[:size, :size]
        return repeated @ self.basis.T


def window_chains(rows: Sequence[Matrix], steps: Sequence[int], monomial: bool = False) -> Chains:
    """The chains of encrypted windows, at that of some steps which fits best.

    Parameters
    ----------
    rows : sequence of ndarray
        Encrypted windows `(t, k)`, one after another; there are no equations between sequences.
    steps : sequence of int
        Steps s that are tried, 1 to k - 1: the one that is known, or all.
    monomial : bool
        Whether keys only move samples and turn signs.

    Returns
    -------
    Chains
        Those with the largest gap.

    Raises
    ------
    BadInput
        If there are fewer equations than unknowns.
    """
    if not rows:
        raise BadInput("There is no ciphertext of a whole window: give more speech.")
    size = rows[0].shape[1]
    pairs = np.concatenate([np.hstack([each[:-1], -each[1:]]) for each in rows])
    if len(pairs) < 2 * size:
        raise BadInput(
            f"Windows of {size} samples need {2 * size} pairs of neighbours, and there are {len(pairs)}: give longer "
            "ciphertext."
        )
    _, values, directions = array_svd(np.asarray(np.linalg.qr(pairs, mode="r")))
    return max((_chains(values, directions, step, monomial) for step in steps), key=lambda found: found.gap)


def _chains(values: Matrix, directions: Matrix, step: int, monomial: bool) -> Chains:
    """The chains of one step, from singular values `(2 k,)` and directions, in rows, of the equations."""
    size = len(values) // 2
    null = directions[size + step :].T
    left, moved, right = array_svd(2 * null[:size] @ null[size:].T)
    shift, first = left[:, : size - step] @ right[: size - step], left[:, size - step :]
    if monomial:
        shift, first = _signs_and_moves(shift), _unit_vectors(first)
    chain = [_longest_first(first, shift, size, monomial)]
    while len(chain) * step < size:
        chain.append(shift @ chain[-1])
    found = np.hstack(chain)[:, :size]
    skew = np.abs(np.concatenate([moved[: size - step], array_singular_values(found)]) - 1).max()
    least = max(float(values[size + step]), np.finfo(float).eps * float(values[0]), 1e-300)
    return Chains(array_polar(found), step, float(values[size + step - 1] / least), float(skew))


def _longest_first(first: Matrix, shift: Matrix, size: int, monomial: bool) -> Matrix:
    """F with the directions in front that reach the last samples of a window, where s does not divide k."""
    step = first.shape[1]
    if size % step == 0:
        return first
    last = np.linalg.matrix_power(shift, size // step) @ first
    if monomial:
        return first[:, np.argsort(-np.abs(last).sum(0), kind="stable")]
    return np.asarray(first @ array_svd(last)[2].T)


def _signs_and_moves(shift: Matrix) -> Matrix:
    return np.sign(shift) * (np.abs(shift) > 0.5)


def _unit_vectors(first: Matrix) -> Matrix:
    """Unit vectors, in their order, of the elements that the range of `first` holds."""
    held = np.sort(np.argsort(-(first**2).sum(1), kind="stable")[: first.shape[1]])
    return np.eye(len(first))[:, held]
