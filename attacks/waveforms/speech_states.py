"""What ciphertext says about itself without its key: lag covariances of short segments, clustered into states.

With y = x K a segment's lag covariances are B_l = K^T (plain lag covariances) K, so traces, Frobenius distances and
everything computed from them are the same in plain and in encrypted speech: clustering segments into states (vowels,
fricatives, nasals) needs no key. A taper that is constant within a block commutes with the key as well, and makes every
segment's decrypted autocorrelation positive definite, whichever key is tried.

`wrongkey.attacks.waveforms.lag_covariances` estimates the same in NumPy, for the attacks on signs and orders; its
segments, start of k-means and rounding differ, and so do the results, slightly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.attacks.waveforms.linear_prediction_settings import LinearPredictionSettings
from wrongkey.errors import BadInput


@dataclass(frozen=True)
class SpeechStates:
    """Lag covariances of C states of one speaker's blocks.

    Attributes
    ----------
    covariances : Tensor
        (C, L + 1, N, N) float64, B_l[i, j] = E[y_t[i] y_{t+l}[j]], of trace N at lag 0.
    weights : Tensor
        The share of segments in each state, of sum 1, (C,).
    """

    covariances: Tensor
    weights: Tensor

    @property
    def size(self) -> int:
        """N, elements of a block."""
        return self.covariances.shape[-1]

    @property
    def lags(self) -> int:
        """L, the largest lag in blocks."""
        return self.covariances.shape[1] - 1


def speech_states(
    blocks: Sequence[Tensor], lags: int, count: int, seed: int, rate: float, settings: LinearPredictionSettings
) -> SpeechStates:
    """The states of sequences of blocks, each (t, N): at most `count` of them, fewer where there is little speech.

    rate: samples per second. Raises BadInput where no sequence is as long as one segment.
    """
    return cluster(segment_covariances(blocks, lags, rate, settings), count, seed, settings)


def segment_covariances(blocks: Sequence[Tensor], lags: int, rate: float, settings: LinearPredictionSettings) -> Tensor:
    """Lag covariances (segments, lags + 1, N, N) of tapered overlapping segments, each of trace N at lag 0.

    Pauses are left out. A segment spans at least lags + 3 blocks. Raises BadInput where no sequence is that long, or
    all are silent.
    """
    size = blocks[0].shape[-1] if blocks else 1
    width = max(lags + 3, round(settings.segment * rate / size))
    hop = max(1, round(settings.hop * rate / size))
    taper = torch.sin(torch.pi * (torch.arange(width, dtype=torch.float64) + 0.5) / width)
    cut = [sequence.double().unfold(0, width, hop) for sequence in blocks if len(sequence) >= width]  # (s, N, width)
    if not cut:
        raise BadInput(
            f"No utterance is as long as one segment of {width * size / rate:.3f} s: give longer ciphertext."
        )
    covariances = torch.cat([_lag_covariances(segments * taper, lags) for segments in cut])
    energy = covariances[:, 0].diagonal(dim1=-2, dim2=-1).sum(-1)
    loud = energy > max(float(energy.quantile(0.98)) * 10 ** (-settings.gate / 10), 1e-30)
    if not bool(loud.any()):
        raise BadInput("The ciphertext is silent: give speech.")
    return covariances[loud] * (size / energy[loud])[:, None, None, None]


def _lag_covariances(segments: Tensor, lags: int) -> Tensor:
    """From segments (s, N, width) to their lag covariances (s, lags + 1, N, N)."""
    width = segments.shape[-1]
    return torch.stack([segments[..., : width - lag] @ segments[..., lag:].mT for lag in range(lags + 1)], dim=1)


def cluster(segments: Tensor, count: int, seed: int, settings: LinearPredictionSettings) -> SpeechStates:
    """Means of the clusters of segments (s, L + 1, N, N), by k-means on their covariances at lags 0 and 1.

    There is at most one state per `settings.least_segments` segments.
    """
    count = max(1, min(count, len(segments) // settings.least_segments))
    labels = k_means(segments[:, :2].flatten(1).numpy(), count, seed, settings.clustering_rounds)
    return pooled(segments, torch.from_numpy(labels))


def pooled(segments: Tensor, labels: Tensor) -> SpeechStates:
    """States as means of the segments (s, L + 1, N, N) that have the same label; empty states are left out."""
    member = torch.nn.functional.one_hot(labels).double()  # (s, C)
    member = member[:, member.sum(0) > 0]
    sizes = member.sum(0)
    means = (member / sizes).mT @ segments.flatten(1)
    return SpeechStates(means.reshape(-1, *segments.shape[1:]), sizes / sizes.sum())


def k_means(features: NDArray[np.float64], count: int, seed: int, rounds: int) -> NDArray[np.int64]:
    """Labels (n,) of features (n, dim), by Lloyd's iterations from k-means++ seeds (Arthur and Vassilvitskii, 2007).

    rounds: iterations at most. Distances come from the Gram matrix, so labels do not depend on the basis in which
    features are written.
    """
    rng = np.random.default_rng(seed)
    squares = (features**2).sum(1)
    gram = features @ features.T
    between = np.maximum(squares[:, None] + squares[None] - 2 * gram, 0.0)  # squared distances (n, n)
    seeds = [int(rng.integers(len(features)))]
    while len(seeds) < count:
        near = between[:, seeds].min(1)
        total = near.sum()
        seeds.append(int(rng.choice(len(features), p=near / total)) if total > 0 else int(rng.integers(len(features))))
    labels: NDArray[np.int64] = between[:, seeds].argmin(1)
    for _ in range(rounds):
        share = np.eye(count)[labels]
        share /= np.maximum(share.sum(0), 1)  # (n, count): columns average the members
        to_centre = (share * (gram @ share)).sum(0)[None] - 2 * gram @ share  # less the features' own squares
        to_centre[:, share.sum(0) == 0] = np.inf
        moved = to_centre.argmin(1)
        if np.array_equal(moved, labels):
            break
        labels = moved
    return labels
