"""Global search for an orthogonal key of spectrogram blocks, from a few strong directions to all.

J (`tile_likelihood`) has many local minima in N(N - 1)/2 dimensions. But the plain blocks' strongest principal
directions span nearly what the ciphertext's do, so a key of those few is found first, from many starts, and extended:
the next directions are matched by energy, with signs synchronised to what is known. Behind each extension J is
descended with little noise in the public model, and a key that went wrong is mended: nearly always one direction
was taken for its negative, or two for each other, and both moves are known in closed form (`tile_discrete`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wrongkey.attacks.solvers.orthogonal_descent import descend
from wrongkey.attacks.solvers.stable_linalg import eigh, polar
from wrongkey.attacks.spectrograms.likelihood import TileLikelihood, whitening
from wrongkey.attacks.spectrograms.signs_and_orders import best_signs, exchange_changes, sign_energy
from wrongkey.attacks.spectrograms.statistics import Moments
from wrongkey.keys.draw import draw_keys

SIZES = (6, 10, 16, 24, 40, 64, 100, 160)  # directions of successive stages
SMALL = 16  # up to so many directions several keys go on, beyond it one
KEPT = 4  # keys that go on
STARTS = 32  # of the first stage
ANNEALED = (1.0, 0.1, 0.01)  # noise of the first stage, before `NOISE`
NOISE = 1e-3  # in the public model, of the mean variance
SHORT, LONG = 30, 100  # steps of a descent behind a move; of any other
MENDING, MENDING_LARGE, MENDING_LAST = (12, 4), (4, 1), (8, 1)  # rounds, and moves of each kind tried in one
GAIN = 1e-5  # that a move must bring
SAME = 0.05  # relative distance of keys that count as one


@dataclass(frozen=True)
class Found:
    """Different keys `(n, N, N)` from the best to the worst, their J `(n,)`, and how many starts led to the best."""

    keys: Tensor
    values: Tensor
    agreed: int = 1


def search(plain: Moments, cipher: Moments, seed: int) -> Found:
    """Orthogonal keys `(n, N, N)` of least J on covariances alone, which leaves the global sign open."""
    ours, theirs = principal(plain), principal(cipher)
    plain, cipher = plain.along(ours), cipher.along(theirs)
    size = len(ours)
    found: Found | None = None
    for few in ([s for s in SIZES if s < 0.8 * size] if size > SMALL else []) + [size]:
        p, c = _leading(plain, few), _leading(cipher, few)
        objective = TileLikelihood(whitening(p, NOISE), c, means=False)
        if found is None:
            starts = torch.from_numpy(draw_keys("rom", few, seed, 0, STARTS))
            for noise in ANNEALED:
                starts, _ = descend(TileLikelihood(whitening(p, noise), c, means=False), starts, LONG, 1e-7)
        else:
            starts = torch.stack([_extended(key, p, c) for key in found.keys])
        keys, values = descend(objective, starts, LONG, 1e-7)
        first = different(keys, values, KEPT if few <= SMALL else 1)
        agreed = first.agreed if found is None else found.agreed
        effort = MENDING if few <= SMALL else MENDING_LAST if few == size else MENDING_LARGE
        mended = [mend(objective, key, *effort) for key in first.keys]
        keys, values = torch.stack([k for k, _ in mended]), torch.stack([v for _, v in mended])
        best = different(keys, values, KEPT if few <= SMALL else 1)
        found = Found(best.keys, best.values, agreed)
    assert found is not None
    return Found(ours @ found.keys @ theirs.mT, found.values, found.agreed)


def mend(objective: TileLikelihood, key: Tensor, rounds: int, tried: int) -> tuple[Tensor, Tensor]:
    """Leaves local minima by reflections and exchanges of the rows of a key `(N, N)`: the key and its J.

    Every move is followed by a short descent, and the moves end when none lowers J.
    """
    value = objective.value(key[None])[0]
    for _ in range(rounds):
        descended, reached = descend(objective, _moves(objective, key, tried), SHORT, 1e-7)
        winner = int(reached.argmin())
        if float(reached[winner]) > float(value) - GAIN:
            break
        key, value = descended[winner], reached[winner]
    return key, value


def different(keys: Tensor, values: Tensor, most: int) -> Found:
    """The best `most` of keys that are not one key, up to the sign, found twice."""
    order = values.argsort()
    keys, values = keys[order], values[order]
    near = SAME * keys.shape[1] ** 0.5
    kept: list[int] = []
    for i, key in enumerate(keys):
        if all(_distance(key, keys[k]) > near for k in kept):
            kept.append(i)
        if len(kept) == most:
            break
    agreed = sum(_distance(keys[0], key) <= near for key in keys)
    return Found(keys[kept], values[kept], agreed)


def principal(of: Moments) -> Tensor:
    """Eigenvectors `(N, N)` of the covariance of a block, mean over all rows, the strongest first."""
    own: Tensor = of.covariance[:, 0, :, 0].mean(0)
    return eigh((own + own.mT) / 2)[1].flip(1)


def polished(objective: TileLikelihood, keys: Tensor) -> tuple[Tensor, float]:
    """The best of keys `(n, N, N)` after a long descent, and its J."""
    found, values = descend(objective, keys, 2 * LONG, 1e-9)
    best = int(values.argmin())
    return polar(found[best : best + 1])[0], float(values[best])


def _leading(of: Moments, few: int) -> Moments:
    """Moments of the first coordinates."""
    return Moments(of.mean[..., :few], of.second[:, :, :few, :, :few], of.count)


def _extended(key: Tensor, plain: Moments, cipher: Moments) -> Tensor:
    """A key of fewer directions, extended to all of `plain` one to one; signs by covariances with the old ones."""
    known, size = len(key), plain.mean.shape[-1]
    whole = torch.eye(size, dtype=key.dtype)
    whole[:known, :known] = key
    agreement = (_from_first(plain) * (whole @ _from_first(cipher) @ whole.mT)).sum(0)
    signs = torch.ones(1, size, dtype=key.dtype)
    return best_signs(-(agreement + agreement.mT) / 2, torch.zeros_like(signs[0]), signs, held=known)[:, None] * whole


def _from_first(of: Moments) -> Tensor:
    """Covariances `(rows · q, N, N)` between a block and each of its neighbourhood."""
    return of.covariance[:, 0].transpose(1, 2).flatten(0, 1)


def _moves(objective: TileLikelihood, key: Tensor, tried: int) -> Tensor:
    """The key after its best reflections, after its best exchanges, and with all signs synchronised at once."""
    quadratic, linear = sign_energy(objective, key)
    signs = torch.ones_like(linear)
    change = -4 * (quadratic.sum(1) - quadratic.diagonal()) + 2 * linear
    moved = [best_signs(quadratic, linear, signs[None])[:, None] * key]
    for i in change.argsort()[:tried].tolist():
        reflected = key.clone()
        reflected[i] *= -1
        moved.append(reflected)
    exchanges = exchange_changes(objective, key)
    row, column = torch.triu_indices(len(key), len(key), 1)
    for at in exchanges[row, column].argsort()[:tried].tolist():
        i, j = int(row[at]), int(column[at])
        exchanged = key.clone()
        exchanged[[i, j]] = key[[j, i]]
        quadratic, linear = sign_energy(objective, exchanged)
        moved.append(best_signs(quadratic, linear, signs[None])[:, None] * exchanged)
    return torch.stack(moved)


def _distance(first: Tensor, second: Tensor) -> float:
    return min(float((first - second).norm()), float((first + second).norm()))
