"""What other people's speech says about the lag between two samples: how covariances of short segments are distributed.

Two elements of a block, k samples apart, covary in a vowel as they do in vowels and in a fricative as they do in
fricatives: their covariances over a few dozen segments, taken together, tell k, whether neighbours correlate on average
or not. Segments are told apart by a number that no key changes, the concentration `‖B_0‖² / N` of their energy on
few spectral lines (high in vowels, low in noise).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.waveforms.lag_covariances import lags_for, scalar_lags, segment_covariances
from wrongkey.errors import BadInput

LAGS = 8  # scalar lags that are told from one another and from larger ones
FAR = 40  # scalar lag up to which larger ones are learned from
CLASSES = 10  # of concentration, equally frequent
BINS = 24
RANGE = 1.2  # covariances of segments of trace N beyond it are counted at its ends

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LagLikelihoods:
    """Log densities of segment covariances, learned from plain speech.

    near: `(LAGS, CLASSES, BINS)` of entries at lags 1 to LAGS. far: `(CLASSES, BINS)` of entries at larger lags.
    edges: `(CLASSES - 1,)` between the classes. window, hop: samples of the segments that they hold for.
    """

    near: Matrix
    far: Matrix
    edges: Matrix
    window: float
    hop: float

    def pair_costs(self, sequences: Sequence[Matrix]) -> Matrix:
        """Costs `(LAGS, lags + 1, N, N)` of ciphertext `(t, N)`: mean over segments of
        `-log p(entry | lag k) / p(entry | far)`."""
        return -self._over_segments(sequences, self.near - self.far)

    def sign_evidence(self, sequences: Sequence[Matrix]) -> Matrix:
        """`(LAGS, lags + 1, N, N)`: half the log odds that an entry at lag k has the sign it has in speech."""
        return self._over_segments(sequences, (self.near - self.near[:, :, ::-1]) / 2)

    def _over_segments(self, sequences: Sequence[Matrix], table: Matrix) -> Matrix:
        covariances = segment_covariances(sequences, block_lags(sequences[0].shape[1]), self.window, self.hop)
        label, bins = np.searchsorted(self.edges, concentration(covariances)), binned(covariances)
        total = np.zeros((LAGS, *covariances.shape[1:]))
        for group in np.unique(label):
            total += table[:, group][:, bins[label == group]].sum(1)
        return total / len(covariances)


def learned(sequences: Sequence[Matrix], window: float, hop: float) -> LagLikelihoods:
    """From block rows `(t, N)` of plain speech of others, cut as the ciphertext is. BadInput where all is too short."""
    size = sequences[0].shape[1]
    lags = block_lags(size)
    lag = scalar_lags(size, lags)
    places = [np.nonzero(lag == k) for k in range(1, LAGS + 1)] + [
        np.nonzero((lag > LAGS) & (lag <= FAR) & (lag % 4 == 1))
    ]
    long_enough = [rows for rows in sequences if len(rows) * size >= window and len(rows) >= lags + 3]
    if not long_enough:
        raise BadInput(f"no query of other speech is as long as one segment of {window:g} samples: give longer ones")
    counts = np.ones((LAGS + 1, CLASSES, BINS))
    edges = _class_edges(long_enough, lags, window, hop)
    for rows in long_enough:
        covariances = segment_covariances([rows], lags, window, hop)
        label = np.searchsorted(edges, concentration(covariances))
        for k, place in enumerate(places):
            entries = binned(covariances[:, place[0], place[1], place[2]])
            joint: Ints = label[:, None] * BINS + entries
            counts[k] += np.bincount(joint.ravel(), minlength=CLASSES * BINS).reshape(CLASSES, BINS)
    log_densities = np.log(counts / counts.sum(-1, keepdims=True))
    return LagLikelihoods(log_densities[:LAGS], log_densities[LAGS], edges, window, hop)


def block_lags(size: int) -> int:
    """Block lags that hold all the scalar lags that are told apart."""
    return max(1, lags_for(LAGS, size))


def concentration(covariances: Matrix) -> Matrix:
    """`log ‖B_0‖² / N` of segments `(S, L + 1, N, N)` of trace N: `(S,)`; the same under every key."""
    found: Matrix = np.log((covariances[:, 0] ** 2).sum((1, 2)) / covariances.shape[-1])
    return found


def binned(covariances: Matrix) -> Ints:
    """Number of the bin of every covariance, 0 to BINS - 1."""
    return np.clip(np.floor((covariances / RANGE + 1) / 2 * BINS), 0, BINS - 1).astype(np.int64)


def _class_edges(sequences: Sequence[Matrix], lags: int, window: float, hop: float) -> Matrix:
    found: list[Matrix] = []
    for rows in sequences[:: max(1, len(sequences) // 20)]:
        found.append(concentration(segment_covariances([rows], lags, window, hop)))
    edges: Matrix = np.quantile(np.concatenate(found), np.arange(1, CLASSES) / CLASSES)
    return edges
