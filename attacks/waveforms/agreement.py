"""Whether two estimates of a key decrypt the same speech."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wrongkey.attacks.base import Matrix


def agreement_of(one: Matrix, other: Matrix, sequences: Sequence[Matrix]) -> float:
    """Correlation, 0 to 1 whatever the sign, of what two keys `(N, N)` decrypt from block rows `(t, N)`."""
    covariance = sum((rows.T @ rows for rows in sequences), np.zeros_like(one))
    return float(abs(np.trace(one @ covariance @ other.T)) / np.trace(covariance))
