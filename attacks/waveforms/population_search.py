"""Global search over the orthogonal group: strong directions of speech first, weak ones last.

J has many local minima, but with a large white-noise correction only the few directions of most energy matter, and
several of a few dozen random starts find those. A population of keys is carried from a large correction to a small
one. At every level keys are varied inside the eigenbasis of what they decrypt (turned at random in a few directions,
all weak directions drawn again, parts of two keys combined); variants descend a few steps, the better ones further
(successive halving), and the best distinct keys go on.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import schur
from torch import Tensor

from wrongkey.attacks.solvers.haar import haar
from wrongkey.attacks.solvers.orthogonal_descent import descend
from wrongkey.attacks.waveforms.average_speech import average_starts
from wrongkey.attacks.waveforms.linear_prediction_settings import Effort, LinearPredictionSettings
from wrongkey.attacks.waveforms.prediction_objective import PredictionObjective


def search(
    objective: PredictionObjective, effort: Effort, seed: int, settings: LinearPredictionSettings
) -> tuple[Tensor, Tensor]:
    """The best distinct keys (n, N, N) by the objective at the last level, and their values (n,), best first.

    Half of the starts come from average speech, half are random.
    """
    rng = np.random.default_rng(seed)
    half = effort.starts // 2
    average = average_starts(objective.states, half, rng, settings)
    starts = torch.cat([average, haar(effort.starts - half, objective.size, rng)])
    keys, values = _halving(objective.with_correction(settings.levels[0]), starts, effort.kept, settings)
    for correction in settings.levels:
        here = objective.with_correction(correction)
        keys, values = descend(here, keys, settings.level_steps, settings.tolerance, settings)
        keys, values = distinct(here, keys, values, effort.kept, settings)
        keys, values = _level(here, keys, values, effort, rng, settings)
    return keys, values


def _level(
    objective: PredictionObjective,
    keys: Tensor,
    values: Tensor,
    effort: Effort,
    rng: np.random.Generator,
    settings: LinearPredictionSettings,
) -> tuple[Tensor, Tensor]:
    """Rounds of variants at one level."""
    fine = objective.correction <= settings.fine
    count = effort.variants // settings.fine_variants if fine else effort.variants
    patience = 1 if fine else effort.patience
    least_gain = settings.least_gain * objective.correction**0.5
    still = 0
    for _ in range(effort.rounds):
        best = float(values[0])
        offspring = variants(objective, keys, count, rng, settings.screened)
        new_keys, new_values = _halving(objective, offspring, effort.kept, settings)
        keys, values = torch.cat([keys, new_keys]), torch.cat([values, new_values])
        keys, values = distinct(objective, keys, values, effort.kept, settings)
        still = still + 1 if float(values[0]) > best - least_gain else 0
        if still >= patience:
            break
    return keys, values


def _halving(
    objective: PredictionObjective, keys: Tensor, kept: int, settings: LinearPredictionSettings
) -> tuple[Tensor, Tensor]:
    """Descend with all keys a little and with the better ones further: the best `kept`, converged, and their values."""
    for steps in settings.halving_steps:
        keys, values = descend(objective, keys, steps, settings.tolerance, settings)
        keys = keys[values.argsort()[: max(kept, len(keys) // 2)]]
    keys, values = descend(objective, keys, settings.kept_steps, settings.tolerance, settings)
    order = values.argsort()[:kept]
    return keys[order], values[order]


def distinct(
    objective: PredictionObjective, keys: Tensor, values: Tensor, kept: int, settings: LinearPredictionSettings
) -> tuple[Tensor, Tensor]:
    """The best `kept` keys that decrypt speech differently by more than the correction's noise floor, best first."""
    order = values.argsort()
    keys, values = keys[order], values[order]
    likeness = similarity(objective, low_frequencies_strongest(objective, keys))
    same = likeness > 1 - min(settings.niche * objective.correction, settings.most_niche)
    chosen: list[int] = []
    for i in range(len(keys)):
        if len(chosen) < kept and not bool(same[i, chosen].any()):
            chosen.append(i)
    return keys[chosen], values[chosen]


def similarity(objective: PredictionObjective, keys: Tensor) -> Tensor:
    """The absolute correlation (n, n) of the speech that keys (n, N, N) decrypt to."""
    covariance = torch.einsum("c,cij->ij", objective.states.weights, objective.states.covariances[:, 0])
    return ((keys @ covariance).flatten(1) @ keys.flatten(1).mT).abs() / covariance.trace()


def low_frequencies_strongest(objective: PredictionObjective, keys: Tensor) -> Tensor:
    """Keys (n, N, N), those of even N turned so that decrypted speech has more low than high frequencies.

    For even N, J cannot tell K from diag(+1, -1, +1, ...) K, under which the spectrum of speech is reversed.
    """
    size = objective.size
    if size % 2:
        return keys
    r = torch.einsum("c,bck->bk", objective.states.weights, objective.autocorrelations(keys))
    sign = torch.where(r[:, 1] < 0, -1.0, 1.0).double()[:, None] ** torch.arange(size)
    return sign[:, :, None] * keys


def variants(
    objective: PredictionObjective, keys: Tensor, count: int, rng: np.random.Generator, screened: int
) -> Tensor:
    """About `count` variants of keys (n, N, N), which come best first; more of the better ones.

    A third is turned at random. A third are signed permutations of few directions, the best by value of `screened`
    times as many. A third is combined from two keys.
    """
    size, part = objective.size, count // 3
    basis = objective.basis(keys)  # (n, N, N), strongest direction first
    turned = _inside(basis, keys, _parents(len(keys), part, rng), np.stack([_turned(size, rng) for _ in range(part)]))
    pool = np.stack([_permuted(size, rng) for _ in range(screened * part)])
    permuted = _inside(basis, keys, _parents(len(keys), len(pool), rng), pool)
    permuted = permuted[objective.value(permuted).argsort()[:part]]
    if len(keys) == 1:
        return torch.cat([turned, permuted])
    aligned = low_frequencies_strongest(objective, keys).numpy()
    first = _parents(len(keys), part, rng)
    second = (first + rng.integers(1, len(keys), part)) % len(keys)  # any other key
    crossed = np.stack([_crossed(aligned[i], aligned[j], rng) for i, j in zip(first, second, strict=True)])
    return torch.cat([turned, permuted, torch.from_numpy(crossed)])


def _parents(keys: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ranks (count,) of keys to vary, geometrically distributed with mean near the middle."""
    return np.minimum(rng.geometric(2 / (keys + 1), count) - 1, keys - 1)


def _inside(basis: Tensor, keys: Tensor, parents: NDArray[np.int64], turns: NDArray[np.float64]) -> Tensor:
    """Keys turned by `turns` (n, N, N), which are written in the eigenbasis of what the keys decrypt."""
    inside = basis[parents]
    return inside @ (torch.from_numpy(turns) @ (inside.mT @ keys[parents]))


def _turned(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A Haar rotation of few directions, neighbours in energy or any, or of all the weak ones."""
    turn = np.eye(size)
    if rng.random() < 0.7:
        k = int(rng.integers(2, min(6, size) + 1))
        first = int(rng.integers(0, size - k + 1))
        chosen = np.arange(first, first + k) if rng.random() < 0.5 else rng.choice(size, k, replace=False)
    else:
        chosen = np.arange(int(rng.integers(0, size - 1)), size)
    turn[np.ix_(chosen, chosen)] = haar(1, len(chosen), rng)[0].numpy()
    return turn


def _permuted(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A signed permutation of few directions, or of a range of neighbours in energy: mirrored, shifted, or its signs.

    Directions are roughly bands of frequency, and speech with its bands in another order is nearly as predictable.
    """
    turn = np.eye(size)
    if rng.random() < 0.5:
        k = int(rng.integers(1, min(4, size) + 1))
        window = min(size, k + 3) if rng.random() < 0.5 else size
        chosen = int(rng.integers(0, size - window + 1)) + rng.choice(window, k, replace=False)
        turn[np.ix_(chosen, chosen)] = np.eye(k)[rng.permutation(k)] * rng.choice([-1.0, 1.0], k)
        return turn
    first, last = np.sort(rng.choice(size + 1, 2, replace=False))
    range_ = np.arange(first, last)
    order = (range_, range_[::-1], np.roll(range_, 1), np.roll(range_, -1))[rng.integers(4)]
    signs = rng.choice([-1.0, 1.0]) * rng.choice([-1.0, 1.0]) ** np.arange(len(range_))
    turn[range_] = 0
    turn[range_, order] = signs
    return turn


def _crossed(one: NDArray[np.float64], other: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Key `one` moved to `other` in a random half of the planes in which they differ (real Schur form)."""
    if (one * other).sum() < 0:
        other = -other
    form, planes = schur(other @ one.T, output="real")
    size, i = len(one), 0
    turn = np.eye(size)
    while i < size:
        wide = 2 if i + 1 < size and abs(form[i + 1, i]) > 1e-8 else 1
        if rng.random() < 0.5:
            turn[i : i + wide, i : i + wide] = form[i : i + wide, i : i + wide]
        i += wide
    return planes @ turn @ planes.T @ one
