"""Lag covariances of block sequences: what everyone who holds the ciphertext sees of speech under an orthogonal key.

With rows `y_t = x_t K`, the covariances `B_l = E[y_tᵀ y_{t+l}]` are `Kᵀ A_l K` of the plain ones, and stationary speech
makes every `A_l` a section of one Toeplitz sequence: entry (i, j) at block lag l depends on `l N + j - i` alone.

Everything that is done before a key is known is invariant to it: block norms (energies, gates, tapers that weight whole
blocks) and Frobenius distances between covariances do not change under an orthogonal matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import to_blocks


def moving_energy(rows: Matrix, width: int) -> Matrix:
    """The mean square `(t,)` of block rows `(t, N)`, averaged over those of the `width` rows around each that exist."""
    total = np.concatenate([[0.0], np.cumsum((rows**2).mean(1))])
    place = np.arange(len(rows))
    begin, end = np.maximum(place - width // 2, 0), np.minimum(place + (width + 1) // 2, len(rows))
    return (total[end] - total[begin]) / (end - begin)


def block_rows(queries: Sequence[Tensor], block_size: int, blocks: Blocks = Blocks.SAMPLES) -> list[Matrix]:
    """The block rows `(t, N)`, float64, of every query `(samples,)`; a tail shorter than a block is left out."""
    whole = (query.detach().cpu().double() for query in queries if query.shape[-1] >= block_size)
    return [to_blocks(query, block_size, blocks, "drop").numpy() for query in whole]


def lags_for(order: int, size: int) -> int:
    """Block lags L whose covariances hold the scalar lags 0 to `order`, each at N pairs of positions."""
    return -(-order // size)


def segment_covariances(sequences: Sequence[Matrix], lags: int, window: float, hop: float, gate: float) -> Matrix:
    """Lag covariances of short segments of block rows `(t, N)`: `(segments, lags + 1, N, N)`, each of trace N at lag 0.

    window, hop: in samples (elements of the sequence), rounded to whole blocks; a window has at least lags + 3 blocks.
    gate: decibels below the loud segments at which a segment is left out as a pause. A sine taper weights whole blocks
    and products are not divided by their number, so every segment's autocorrelation is positive semidefinite. Segments
    have equal energy, because loud vowels must not drown the rest. Raises BadInput where no sequence is as long as one
    segment, or all are silent.
    """
    parts = []
    for rows in sequences:
        size = rows.shape[1]
        length, step = max(lags + 3, round(window / size)), max(1, round(hop / size))
        if len(rows) < length:
            continue
        taper = np.sin(np.pi * (np.arange(length) + 0.5) / length)
        first = np.arange(0, len(rows) - length + 1, step)
        segments = rows[first[:, None] + np.arange(length)] * taper[:, None]
        products = [segments[:, : length - lag].mT @ segments[:, lag:] for lag in range(lags + 1)]
        parts.append(np.stack(products, axis=1))
    if not parts:
        raise BadInput(f"No query holds a segment of {window:g} samples and {lags + 3} blocks: give more ciphertext.")
    covariances = np.concatenate(parts)
    energies = np.trace(covariances[:, 0], axis1=1, axis2=2)
    loud = energies > np.percentile(energies, 98) * 10 ** (-gate / 10)
    if not loud.any():
        raise BadInput("The ciphertext is silent: there is nothing to learn from it.")
    size = covariances.shape[-1]
    return covariances[loud] / (energies[loud] / size)[:, None, None, None]


def states(covariances: Matrix, count: int, seed: int, least_segments: int, rounds: int) -> tuple[Matrix, Matrix]:
    """Segments `(S, L + 1, N, N)` pooled into at most `count` states: `(C, L + 1, N, N)` and their shares `(C,)`.

    `rounds` of k-means by the Frobenius distance of the covariances at block lags 0 and 1, which no key changes. There
    is at most one state per `least_segments` segments; a state that loses all its segments is dropped.
    """
    count = max(1, min(count, len(covariances) // least_segments))
    features = covariances[:, :2].reshape(len(covariances), -1)
    products = features @ features.T
    members = np.random.default_rng(seed).choice(len(features), count, replace=False)
    shares = np.zeros((count, len(features)))  # row c: weights of the segments whose mean is centre c
    shares[np.arange(count), members] = 1
    for _ in range(rounds):
        distances = (shares @ products * shares).sum(1)[:, None] - 2 * shares @ products
        label = distances.argmin(0)
        chosen = label == np.arange(len(shares))[:, None]
        chosen = chosen[chosen.any(1)]
        shares = chosen / chosen.sum(1, keepdims=True)
    pooled = np.tensordot(shares, covariances, 1)
    return pooled, chosen.mean(1)


def scalar_lags(size: int, lags: int) -> NDArray[np.int64]:
    """The scalar lag `l N + j - i` of every entry: integers `(lags + 1, N, N)`."""
    i, j = np.arange(size)[:, None], np.arange(size)
    return np.arange(lags + 1)[:, None, None] * size + j - i


def autocorrelations(covariances: Matrix, order: int) -> Matrix:
    """Autocorrelation `(..., order + 1)` of covariances `(..., L + 1, N, N)`: means over entries of equal scalar lag.

    Every lag k has N entries with `l N + j - i = k`, given L of `lags_for(order, N)`.
    """
    *lead, blocks, size, _ = covariances.shape
    lag = scalar_lags(size, blocks - 1).ravel()
    inside = np.flatnonzero((lag >= 0) & (lag <= order))
    inside = inside[np.argsort(lag[inside], kind="stable")]
    if len(inside) != (order + 1) * size:
        raise BadInput(
            f"Covariances at {blocks - 1} block lags of N = {size} do not hold the scalar lags up to {order}."
        )
    entries = covariances.reshape(*lead, -1)[..., inside]
    return entries.reshape(*lead, order + 1, size).mean(-1)


def toeplitz_sections(autocorrelation: Matrix, size: int, lags: int) -> Matrix:
    """Lag covariances `(..., lags + 1, N, N)` of a stationary signal; zero beyond the lags of `(..., order + 1)`."""
    lag = np.abs(scalar_lags(size, lags))
    order = autocorrelation.shape[-1] - 1
    return np.where(lag <= order, autocorrelation[..., np.minimum(lag, order)], 0.0)


def halves(covariances: Matrix, run: int) -> Matrix:
    """Means `(2, L + 1, N, N)` of two halves of segments `(S, L + 1, N, N)`, which take turns of `run` segments.

    The halves are nearly independent: of two neighbouring runs only the last and the first segment share speech.
    """
    run = max(1, min(run, len(covariances) // 2))
    second = np.arange(len(covariances)) // run % 2 == 1
    parts = [covariances[~second], covariances[second] if second.any() else covariances]
    return np.stack([part.mean(0) for part in parts])


def stationarity(both: Matrix, order: int) -> Matrix:
    """How Toeplitz covariances of two halves `(2, L + 1, N, N)` are within lags 1 to `order`, at every place: `(N,)`.

    It is 1 where the signal is stationary. What means over equal lags explain, and the remainder, are multiplied
    between the halves and summed over the entries of a place. Sampling noise is independent in the halves and cancels;
    a remainder that recurs at the same entries does not.
    """
    size, lags = both.shape[-1], both.shape[-3] - 1
    lag = scalar_lags(size, lags)
    inside = (lag >= 1) & (lag <= order)
    sections = toeplitz_sections(autocorrelations(both, order), size, lags)
    left = both - sections
    explained, unexplained = _by_place(sections[0] * sections[1] * inside), _by_place(left[0] * left[1] * inside)
    explained, unexplained = np.maximum(explained, 0), np.maximum(unexplained, 0)
    return explained / np.maximum(explained + unexplained, 1e-300)


def _by_place(entries: Matrix) -> Matrix:
    """Sums `(N,)` over the entries `(L + 1, N, N)` of every place, as a row and as a column."""
    return entries.sum((0, 1)) + entries.sum((0, 2))
