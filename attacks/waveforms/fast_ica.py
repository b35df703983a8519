"""Independent components of blocks: FastICA (Hyvärinen, 1999; symmetric, log cosh), of speech at one level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.solvers.stable_linalg import array_eigh, array_polar
from wrongkey.attacks.waveforms.independent_components_settings import IndependentComponentsSettings
from wrongkey.attacks.waveforms.lag_covariances import moving_energy
from wrongkey.errors import BadInput


def level(sequences: Sequence[Matrix], settings: IndependentComponentsSettings) -> list[Matrix]:
    """Block rows `(t, N)` without pauses, each divided by the level around it: of mean square 1.

    Raises BadInput where nothing is left.
    """
    kept = []
    total = sum(float((rows**2).sum()) for rows in sequences)
    loud = settings.gate * total / max(sum(rows.size for rows in sequences), 1)
    for rows in sequences:
        energy = moving_energy(rows, settings.level_blocks)
        heard = energy > max(loud, 1e-30)
        kept.append(rows[heard] / np.sqrt(energy[heard, None]))
    kept = [rows for rows in kept if len(rows) > 1]
    if sum(map(len, kept)) <= settings.level_blocks:
        raise BadInput("The ciphertext is silent or too short for independent components: give more speech.")
    return kept


def whitened(sequences: Sequence[Matrix]) -> list[Matrix]:
    """Block rows `(t, N)` of unit covariance together, by the symmetric matrix that does it."""
    together = np.concatenate(sequences)
    values, vectors = array_eigh(together.T @ together / len(together))
    return [rows @ (vectors / np.sqrt(np.maximum(values, 1e-12 * values.max()))) @ vectors.T for rows in sequences]


def independent(z: Matrix, rng: np.random.Generator, settings: IndependentComponentsSettings) -> Matrix:
    """The orthogonal matrix `(N, N)` of independent components of whitened blocks `(t, N)`, each in a row.

    It has the largest contrast of several ends.
    """
    best, largest = np.eye(z.shape[1]), -np.inf
    for _ in range(settings.starts):
        b = _descended(z, array_polar(rng.standard_normal((z.shape[1],) * 2)), settings)
        contrast = float(((np.log(np.cosh(z @ b.T)).mean(0) - settings.gaussian) ** 2).sum())
        if contrast > largest:
            best, largest = b, contrast
    return best


def _descended(z: Matrix, b: Matrix, settings: IndependentComponentsSettings) -> Matrix:
    for _ in range(settings.steps):
        s = np.tanh(z @ b.T)
        old, b = b, array_polar(s.T @ z / len(z) - (1 - s**2).mean(0)[:, None] * b)
        if np.abs((old * b).sum(1)).min() > 1 - settings.converged:
            break
    return b
