"""Whether two estimates of a key decrypt the same speech."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wrongkey.attacks.base import Matrix


def agreement_of(one: Matrix, other: Matrix, sequences: Sequence[Matrix]) -> float:
    """Correlation, 0 to 1 whatever sign and scale, of what two keys `(N, N)` decrypt from block rows `(t, N)`.

    Rows y are decrypted as `y Kᵀ`: of a key that is not orthogonal, K is its transposed inverse. Rows must
    not be silent.
    """
    covariance = sum((rows.T @ rows for rows in sequences), np.zeros_like(one))
    shared, *powers = (float(np.trace(a @ covariance @ b.T)) for a, b in ((one, other), (one, one), (other, other)))
    return abs(shared) / (powers[0] * powers[1]) ** 0.5
