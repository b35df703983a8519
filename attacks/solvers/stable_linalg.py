"""SVD, symmetric eigenproblem, polar factor and least squares that retry when LAPACK does not converge.

LAPACK's divide-and-conquer routines (gesdd, syevd, gelsd), which torch and NumPy call, fail to converge on a few finite
matrices whose singular values differ by less than rounding error. Steps of `joint_diagonalisation.separate` produce
such matrices: V (I + D) with small D has all singular values near 1. Of 128 x 128 matrices in complex64 a batch fails
now and then, although it is well conditioned (condition number 1.006 to 1.4), and it always fails on the same input.
That says nothing about the key, so every attack decomposes here. The first try is the usual call, bit for bit. Where it
fails, each matrix on its own goes to the QR iteration (gesvd, syev, gelss) in double precision, and finally once more
with an increasing diagonal of a few rounding errors added, which separates equal values. Functions named `array_…` take
NumPy arrays, the others tensors.

QR factors and linear systems (`qr`, `solve`) need no iteration, so attacks call them directly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Decompose = Callable[[Array], tuple[Array, ...]]

GAVE_UP: type[Exception] = torch.linalg.LinAlgError  # type: ignore[attr-defined]
ROUNDINGS = 16  # units of the matrix's own precision, times its largest element: the diagonal of the last try


class NonFinite(ArithmeticError):
    """A matrix has NaN or infinite elements and so no decomposition: the fault is in the code that made it."""


def svd(matrices: Tensor, full_matrices: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """U, singular values (descending) and V^H of matrices (..., m, n), as `torch.linalg.svd`.

    Raises NonFinite, and `numpy.linalg.LinAlgError` where every routine fails.
    """
    _refuse_non_finite(matrices)
    try:
        u, values, vh = torch.linalg.svd(matrices, full_matrices=full_matrices)
    except GAVE_UP:
        u, values, vh = _as_tensors(lambda array: _each(array, _by_qr_iteration(full_matrices)), matrices)
    return u, values, vh


def eigh(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors, in columns, of Hermitian (..., n, n), as `torch.linalg.eigh`.

    Raises as `svd`.
    """
    _refuse_non_finite(matrices)
    try:
        values, vectors = torch.linalg.eigh(matrices)
    except GAVE_UP:
        values, vectors = _as_tensors(lambda array: _each(array, _by_syev), matrices)
    return values, vectors


def polar(matrices: Tensor) -> Tensor:
    """The nearest unitary (orthogonal) matrices (..., n, n). Raises as `svd`."""
    u, _, vh = svd(matrices)
    return u @ vh


def array_svd(matrices: Array, full_matrices: bool = True) -> tuple[Array, Array, Array]:
    """`svd` for arrays (..., m, n), as `numpy.linalg.svd`."""
    _refuse_non_finite_array(matrices)
    try:
        left, values, right = np.linalg.svd(matrices, full_matrices=full_matrices)
    except np.linalg.LinAlgError:
        left, values, right = _each(matrices, _by_qr_iteration(full_matrices))
    return left, values, right


def array_singular_values(matrices: Array) -> Array:
    """Singular values, descending, of arrays (..., m, n). Raises as `svd`."""
    _refuse_non_finite_array(matrices)
    try:
        return np.linalg.svd(matrices, compute_uv=False)
    except np.linalg.LinAlgError:
        return _each(matrices, _by_qr_iteration(full_matrices=False))[1]


def array_eigh(matrices: Array, first: Decompose | None = None) -> tuple[Array, Array]:
    """`eigh` for arrays (..., n, n), as `numpy.linalg.eigh`; `first` is tried in its place."""
    _refuse_non_finite_array(matrices)
    try:
        values, vectors = (first or np.linalg.eigh)(matrices)
    except np.linalg.LinAlgError:
        values, vectors = _each(matrices, _by_syev)
    return values, vectors


def array_polar(matrices: Array) -> Array:
    """The nearest orthogonal matrices (..., n, n). Raises as `svd`."""
    left, _, right = array_svd(matrices)
    return left @ right


def array_lstsq(a: Array, b: Array, smallest: float) -> Array:
    """X (n, k) of least norm among those of least `‖a X - b‖`; singular values below `smallest` of the largest are 0.

    As `numpy.linalg.lstsq`. Raises as `svd`.
    """
    _refuse_non_finite_array(a)
    _refuse_non_finite_array(b)
    try:
        return np.linalg.lstsq(a, b, rcond=smallest)[0]
    except np.linalg.LinAlgError:
        return scipy.linalg.lstsq(a, b, cond=smallest, lapack_driver="gelss")[0]


def _by_qr_iteration(full_matrices: bool) -> Decompose:
    def decompose(matrix: Array) -> tuple[Array, ...]:
        return scipy.linalg.svd(matrix, full_matrices=full_matrices, lapack_driver="gesvd")

    return decompose


def _by_syev(matrix: Array) -> tuple[Array, ...]:
    return scipy.linalg.eigh(matrix, driver="ev")


def _each(matrices: Array, decompose: Decompose) -> tuple[Array, ...]:
    """Decompose every matrix of (..., m, n) on its own in double precision; the result has the input's precision."""
    rows, columns = matrices.shape[-2:]
    double = np.complex128 if np.iscomplexobj(matrices) else np.float64
    decomposed = [_once_more(m, decompose, matrices.dtype) for m in matrices.reshape(-1, rows, columns).astype(double)]
    parts = [np.stack(part) for part in zip(*decomposed, strict=True)]
    precise = np.finfo(matrices.dtype)
    return tuple(
        part.reshape(*matrices.shape[:-2], *part.shape[1:]).astype(
            matrices.dtype if np.iscomplexobj(part) else precise.dtype
        )
        for part in parts
    )


def _once_more(matrix: Array, decompose: Decompose, given: np.dtype[Any]) -> tuple[Array, ...]:
    """The decomposition, or that of a nearby matrix: a diagonal rising from one to two times ROUNDINGS is added."""
    try:
        return decompose(matrix)
    except np.linalg.LinAlgError:
        little = ROUNDINGS * float(np.finfo(given).eps) * float(np.abs(matrix).max(initial=0.0))
        added = np.zeros_like(matrix)
        np.fill_diagonal(added, little * np.linspace(1, 2, min(matrix.shape)))
        return decompose(matrix + added)


def _as_tensors(decompose: Decompose, matrices: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(part).to(matrices.device) for part in decompose(matrices.detach().cpu().numpy()))


def _refuse_non_finite(matrices: Tensor) -> None:
    if not bool(torch.isfinite(matrices).all()):
        raise NonFinite(_said(tuple(matrices.shape)))


def _refuse_non_finite_array(matrices: Array) -> None:
    if not np.isfinite(matrices).all():
        raise NonFinite(_said(matrices.shape))


def _said(shape: tuple[int, ...]) -> str:
    size = " x ".join(map(str, shape))
    return f"A matrix of {size} holds NaN or infinite elements and cannot be decomposed: look at what made it."
