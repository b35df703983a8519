"""Whether the score of a key can be predicted: kernel ridge regression of ranks, judged on keys that it has not seen.

The reader has nothing to choose: the ridge and the width of the kernel are found by generalised cross-validation
(Golub, Heath and Wahba 1979) on the keys that a fold trains on, never on those that it predicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.solvers.stable_linalg import array_eigh
from wrongkey.errors import BadInput

FOLDS = 10
MOST_KEYS = 2_000  # their Gram matrix is inverted in seconds
RIDGES = np.logspace(-6, 3, 19)
WIDTHS = (0.25, 0.5, 1.0, 2.0)  # of a Gaussian kernel, in median distances
RESAMPLES = 1_000
WEAKEST = 0.1  # share of keys taken for weak


@dataclass(frozen=True)
class Prediction:
    """How well ranks of the error are predicted for keys that were not trained on.

    Attributes
    ----------
    keys : int
        How many keys took part.
    rho, low, high : float
        Spearman's rank correlation of predicted and measured ranks, with its 95 % bootstrap interval over keys.
    r2 : float
        The share of the variance of ranks that is explained; negative where the mean rank predicts better.
    hits : float
        The share of the truly weakest tenth among the keys predicted to be the weakest tenth; chance is a tenth.
    """

    keys: int
    rho: float
    low: float
    high: float
    r2: float
    hits: float


def spearman(values: Matrix, error: Matrix) -> Matrix:
    """Rank correlation of `values (…, keys)` with `error (…, keys)` along the last axis; NaN if constant."""
    a, b = (rankdata(x, axis=-1) for x in (values, error))
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def spearman_interval(values: Matrix, error: Matrix, seed: int = 0) -> tuple[float, float, float]:
    """Rank correlation of `(keys,)` and `(keys,)` with the 95 % percentile interval of a bootstrap over keys."""
    draws = np.random.default_rng(seed).integers(len(error), size=(RESAMPLES, len(error)))
    low, high = np.nanquantile(spearman(values[draws], error[draws]), (0.025, 0.975))
    return float(spearman(values, error)), float(low), float(high)


def predict(kernels: Sequence[Matrix], error: Matrix, seed: int = 0) -> Prediction:
    """Judge the prediction of `error (keys,)` by kernels `(keys, keys)`, of which each fold takes the best one."""
    if len(error) < 2 * FOLDS:
        raise BadInput(
            f"{len(error)} keys are too few to ask whether weak ones can be predicted: give {2 * FOLDS} or more."
        )
    ranks = rankdata(error) / len(error)
    predicted = out_of_fold(kernels, ranks, seed)
    weak = ranks <= np.quantile(ranks, WEAKEST)
    predicted_weak = rankdata(predicted, method="ordinal") <= weak.sum()
    r2 = 1 - ((ranks - predicted) ** 2).sum() / ((ranks - ranks.mean()) ** 2).sum()
    rho, low, high = spearman_interval(predicted, error, seed)
    return Prediction(len(error), rho, low, high, float(r2), float((weak & predicted_weak).sum() / weak.sum()))


def out_of_fold(kernels: Sequence[Matrix], target: Matrix, seed: int = 0) -> Matrix:
    """Predictions `(keys,)`, each by a regression on the other folds."""
    centre = (
        target.mean()
    )  # known beforehand of ranks; the mean of the other folds would lie opposite to the held one's
    fold = np.random.default_rng(seed).permutation(len(target)) % FOLDS
    predicted = np.empty(len(target))
    for held in range(FOLDS):
        train, test = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        fits = [_fit(kernel[np.ix_(train, train)], target[train] - centre) for kernel in kernels]
        best = min(range(len(kernels)), key=lambda number: fits[number][0])
        predicted[test] = centre + kernels[best][np.ix_(test, train)] @ fits[best][1]
    return predicted


def squares_kernel(features: Matrix) -> Matrix:
    """Gram matrix of the ranks of features `(keys, features)` and of their squares: a ridge regression on both.

    Ranks run from -1 to 1, so that no outlier dominates; squares, because a key may be weak at both ends of a measure.
    Constant features are left out.
    """
    varied = features[:, features.std(axis=0) > 1e-9]
    if varied.shape[1] == 0:
        return np.zeros((len(features), len(features)))
    ranks = (2 * rankdata(varied, axis=0) - 1) / len(varied) - 1
    both = np.concatenate([ranks, ranks**2 - 1 / 3], axis=1)
    return both @ both.T / both.shape[1]


def gaussian_kernels(points: Matrix) -> list[Matrix]:
    """Gaussian kernels of several widths of points `(keys, dim)`: keys near each other score alike."""
    squares = (points**2).sum(1)
    distances = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    median = float(np.median(distances[np.triu_indices(len(points), 1)])) or 1.0
    return [np.exp(-distances / (2 * width**2 * median)) for width in WIDTHS]


def _fit(kernel: Matrix, target: Matrix) -> tuple[float, Matrix]:
    """Generalised cross-validation score and dual weights of the best ridge."""
    values, vectors = array_eigh(kernel)
    values = np.maximum(values, 0)
    projected = vectors.T @ target
    ridges = RIDGES * max(float(values.mean()), 1e-12)
    left = ridges[:, None] / (values + ridges[:, None])  # (ridges, keys): residual of each direction
    scores = ((left * projected) ** 2).mean(1) / left.mean(1) ** 2
    best = int(np.argmin(scores))
    return float(scores[best]), vectors @ (projected / (values + ridges[best]))
