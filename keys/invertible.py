"""Random invertible matrices: `x K` for the query, `K⁻¹ e` for the kernels, with a bounded condition number.

K = U S Vᵀ with U and V Haar distributed and independent, and the logarithms of the singular values in S uniform, over a
range that the largest condition number allows; then |K|_F = √N, so that encrypted speech is on average as loud as plain
speech. The condition number bounds what rounding can do: float32 answers are exact to about 1e-7 times it.

References
----------
Niwa, Shiota, Kiya, 2023, arXiv:2310.04035. We know its abstract alone, which does not say how the matrices are drawn:
the law above is our reading (docs/schemes.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wrongkey.errors import BadInput
from wrongkey.keys.schemes import SCHEMES, Group, Matrices, Scheme, Words
from wrongkey.keys.structure import Part, Structure, composed

CONDITION = 10.0  # the largest condition number unless another is asked for
MOST_CONDITION = 1e6  # beyond it float32 keeps no digit of an answer that is worth having


def invertible(name: str = "invertible", condition: float = CONDITION) -> Scheme:
    """Random invertible matrices of a condition number up to `condition`.

    Parameters
    ----------
    name
        As users write it.
    condition
        Largest ratio of two singular values, above 1.

    Returns
    -------
    Scheme
        Its group is `Group.INVERTIBLE`.

    Examples
    --------
    >>> key = invertible().matrices(3, np.arange(invertible().words(3), dtype=np.uint64)[None] << 40)
    >>> key.shape
    (1, 3, 3)
    """
    rom, spectrum = SCHEMES["rom"], _spectrum(condition)

    def parts(size: int) -> tuple[Part, ...]:
        return Part(rom, size), Part(spectrum, size), Part(rom, size)

    return composed(name, Structure(None, 1, parts, _product, _singular), Group.INVERTIBLE)


def check_invertible(condition: float) -> None:
    """Raise BadInput for a condition number of a key that is too large for its inverse to be of use, NaN included."""
    if not condition <= MOST_CONDITION:
        raise BadInput(
            f"A key must be well conditioned, and this matrix has the condition number {condition:.3g}, above "
            f"{MOST_CONDITION:g}: it is singular, or nearly so; draw another."
        )


def _spectrum(condition: float) -> Scheme:
    """Diagonal matrices of singular values whose ratios are at most `condition`."""

    def matrices(size: int, words: Words) -> Matrices:
        uniform = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        values = condition**-uniform
        values *= np.sqrt(size / np.square(values).sum(axis=1, keepdims=True))
        return values[:, :, None] * np.eye(size)

    return Scheme("spectrum", lambda size: size, matrices, lambda size: None, group=Group.INVERTIBLE)


def _product(drawn: Sequence[Matrices]) -> Matrices:
    left, values, right = drawn
    return left @ values @ right.transpose(0, 2, 1)


def _singular(keys: Matrices) -> list[Matrices]:
    left, values, right = np.linalg.svd(keys)
    return [left, values[:, :, None] * np.eye(keys.shape[-1]), right.transpose(0, 2, 1)]
