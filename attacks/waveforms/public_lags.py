"""What background speech says about the lag between two samples: how covariances of short segments are distributed.

Two elements of a block that lie k samples apart covary in a vowel as they do in all vowels, and in a fricative as in
all fricatives. Their covariances over a few dozen segments together tell k, whether neighbours correlate on average or
not. Segments are classed by a number that no key changes, the concentration `‖B_0‖² / N` of their energy on few
spectral lines (high in vowels, low in noise).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.waveforms.lag_covariances import lags_for, scalar_lags, segment_covariances
from wrongkey.attacks.waveforms.lag_settings import LagSettings
from wrongkey.errors import BadInput

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LagLikelihoods:
    """Log densities of segment covariances, learned from plain speech.

    Attributes
    ----------
    near : Matrix
        Of entries at scalar lags 1 to `public_lags`, `(lags, classes, bins)`.
    far : Matrix
        Of entries at larger lags, `(classes, bins)`.
    edges : Matrix
        Between the classes of concentration, `(classes - 1,)`.
    window, hop : float
        Samples of the segments for which they hold, and from the start of one to the start of the next.
    settings : LagSettings
        With which they were learned, and with which ciphertext is binned.
    """

    near: Matrix
    far: Matrix
    edges: Matrix
    window: float
    hop: float
    settings: LagSettings

    def pair_costs(self, sequences: Sequence[Matrix]) -> Matrix:
        """Costs `(lags, L + 1, N, N)` of the entries of ciphertext `(t, N)` at each scalar lag.

        The mean over segments of `-log p(entry | lag k) / p(entry | far)`.
        """
        return -self._over_segments(sequences, self.near - self.far)

    def sign_evidence(self, sequences: Sequence[Matrix]) -> Matrix:
        """Half the log odds that an entry at lag k has the sign it has in speech: `(lags, L + 1, N, N)`."""
        return self._over_segments(sequences, (self.near - self.near[:, :, ::-1]) / 2)

    def _over_segments(self, sequences: Sequence[Matrix], table: Matrix) -> Matrix:
        lags = block_lags(sequences[0].shape[1], self.settings)
        covariances = segment_covariances(sequences, lags, self.window, self.hop, self.settings.gate)
        label, bins = np.searchsorted(self.edges, concentration(covariances)), binned(covariances, self.settings)
        total = np.zeros((len(table), *covariances.shape[1:]))
        for group in np.unique(label):
            total += table[:, group][:, bins[label == group]].sum(1)
        return total / len(covariances)


def learned(sequences: Sequence[Matrix], window: float, settings: LagSettings) -> LagLikelihoods:
    """The densities in block rows `(t, N)` of plain background speech, which is cut as the ciphertext is.

    window: samples of a segment; the next one begins half a window later. Raises BadInput where all speech is too
    short.
    """
    size, hop = sequences[0].shape[1], window / 2
    near, classes, bins = settings.public_lags, settings.public_classes, settings.public_bins
    lags = block_lags(size, settings)
    lag = scalar_lags(size, lags)
    far = (lag > near) & (lag <= settings.public_far_lag) & (lag % settings.public_far_step == 1)
    places = [*(np.nonzero(lag == k) for k in range(1, near + 1)), np.nonzero(far)]
    long_enough = [rows for rows in sequences if len(rows) * size >= window and len(rows) >= lags + 3]
    if not long_enough:
        raise BadInput(
            f"No query of background speech is as long as one segment of {window:g} samples: give longer ones."
        )
    counts = np.ones((near + 1, classes, bins))
    edges = _class_edges(long_enough, lags, window, hop, settings)
    for rows in long_enough:
        covariances = segment_covariances([rows], lags, window, hop, settings.gate)
        label = np.searchsorted(edges, concentration(covariances))
        for k, place in enumerate(places):
            entries = binned(covariances[:, place[0], place[1], place[2]], settings)
            joint = label[:, None] * bins + entries
            counts[k] += np.bincount(joint.ravel(), minlength=classes * bins).reshape(classes, bins)
    log_densities = np.log(counts / counts.sum(-1, keepdims=True))
    return LagLikelihoods(log_densities[:near], log_densities[near], edges, window, hop, settings)


def block_lags(size: int, settings: LagSettings) -> int:
    """Block lags that hold all the scalar lags that are distinguished."""
    return max(1, lags_for(settings.public_lags, size))


def concentration(covariances: Matrix) -> Matrix:
    """The concentration `log ‖B_0‖² / N (S,)` of segments `(S, L + 1, N, N)` of trace N; the same under every key."""
    return np.log((covariances[:, 0] ** 2).sum((1, 2)) / covariances.shape[-1])


def binned(covariances: Matrix, settings: LagSettings) -> Ints:
    """The number of the bin, from 0, of every covariance."""
    bins = settings.public_bins
    return np.clip(np.floor((covariances / settings.public_range + 1) / 2 * bins), 0, bins - 1).astype(np.int64)


def _class_edges(sequences: Sequence[Matrix], lags: int, window: float, hop: float, settings: LagSettings) -> Matrix:
    concentrations = [
        concentration(segment_covariances([rows], lags, window, hop, settings.gate))
        for rows in sequences[:: max(1, len(sequences) // settings.public_classed)]
    ]
    classes = settings.public_classes
    return np.quantile(np.concatenate(concentrations), np.arange(1, classes) / classes)
