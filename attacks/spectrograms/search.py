"""Global search for an orthogonal key of spectrogram blocks, from a few strong directions to all.

J (module `likelihood`) has many local minima in N(N - 1)/2 dimensions. But the plain blocks' strongest principal
directions span nearly what the ciphertext's do, so a key of those few is found first, from many starts, and extended:
the next directions are matched by energy, with signs synchronised to what is known. After each extension J is
descended with little noise in the public statistics, and a key that went wrong is mended: nearly always one direction
was taken for its negative, or two for each other, and both moves are known in closed form (module `signs_and_orders`).

With many directions, J curves 10⁵ times more along some rotations than along others, and a plain descent creeps. Near
the right key the plane of two principal directions curves as it does in plain speech (`TileLikelihood.curvatures`), so
these descents begin with that as their Hessian, and new directions with the rotation that fits their covariances with
the old ones best.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from wrongkey.attacks.solvers.orthogonal_descent import descend
from wrongkey.attacks.solvers.stable_linalg import eigh, polar
from wrongkey.attacks.spectrograms.likelihood import TileLikelihood, whitening
from wrongkey.attacks.spectrograms.settings import SpectrogramMomentsSettings
from wrongkey.attacks.spectrograms.signs_and_orders import best_signs, exchange_changes, sign_energy
from wrongkey.attacks.spectrograms.statistics import Moments
from wrongkey.keys.draw import draw_keys


@dataclass(frozen=True)
class Ranked:
    """Different keys from the best to the worst.

    Attributes
    ----------
    keys : Tensor
        `(n, N, N)`.
    values : Tensor
        Their J, `(n,)`.
    agreed : int
        Number of starts that led to the best.
    """

    keys: Tensor
    values: Tensor
    agreed: int = 1


@dataclass(frozen=True)
class Stage:
    """One stage of the search: with how many directions, how many keys go on, and how they are mended.

    rounds: of moves that mend a key; tried: moves of each kind in a round.
    """

    directions: int
    kept: int
    rounds: int
    tried: int


def stages(size: int, settings: SpectrogramMomentsSettings) -> Iterator[Stage]:
    """Yield the stages from few directions to all of a block of N = `size`; small blocks need only the last."""
    if size > settings.small:
        for few in settings.directions:
            if few < settings.directions_share * size:
                mending = settings.mending if few <= settings.small else settings.mending_large
                yield Stage(few, settings.kept if few <= settings.small else 1, *mending)
        yield Stage(size, 1, *settings.mending_last)
    else:
        yield Stage(size, settings.kept, *settings.mending)


def search(plain: Moments, cipher: Moments, seed: int, settings: SpectrogramMomentsSettings) -> Ranked:
    """Return orthogonal keys `(n, N, N)` of least J on covariances alone, which leaves the global sign open."""
    ours, theirs = principal(plain), principal(cipher)
    plain, cipher = plain.along(ours), cipher.along(theirs)
    first, *rest = stages(len(ours), settings)
    p, c = _leading(plain, first.directions), _leading(cipher, first.directions)
    ranked, agreed = _run(first, p, c, _first_starts(p, c, seed, settings), settings)
    for stage in rest:
        p, c = _leading(plain, stage.directions), _leading(cipher, stage.directions)
        starts = torch.stack([_extended(key, p, c, settings) for key in ranked.keys])
        if stage.directions > settings.small:
            starts = _gently(p, c, starts, settings)
        ranked, _ = _run(stage, p, c, starts, settings)
    return Ranked(ours @ ranked.keys @ theirs.mT, ranked.values, agreed)


def _first_starts(plain: Moments, cipher: Moments, seed: int, settings: SpectrogramMomentsSettings) -> Tensor:
    """Random keys, descended with less and less noise in the public statistics."""
    keys = torch.from_numpy(draw_keys("rom", plain.mean.shape[-1], seed, 0, settings.starts))
    for noise in settings.first_noises:
        objective = _covariance_objective(plain, cipher, noise, settings)
        keys, _ = descend(objective, keys, settings.long, settings.tolerance, settings)
    return keys


def _run(
    stage: Stage, plain: Moments, cipher: Moments, starts: Tensor, settings: SpectrogramMomentsSettings
) -> tuple[Ranked, int]:
    """The best different keys after descents and mending, and how many starts agreed before it."""
    objective = _covariance_objective(plain, cipher, settings.noise, settings)
    scale = _scale(plain, settings.noise, settings)
    ends = descend(objective, starts, settings.long, settings.tolerance, settings, scale)
    descended = different(*ends, stage.kept, settings.same)
    mended = [mend(objective, key, stage, settings, scale) for key in descended.keys]
    keys, values = torch.stack([key for key, _ in mended]), torch.stack([value for _, value in mended])
    return different(keys, values, stage.kept, settings.same), descended.agreed


def _gently(plain: Moments, cipher: Moments, keys: Tensor, settings: SpectrogramMomentsSettings) -> Tensor:
    """Keys descended with less and less noise in the public statistics."""
    for noise in settings.later_noises:
        objective, scale = _covariance_objective(plain, cipher, noise, settings), _scale(plain, noise, settings)
        keys, _ = descend(objective, keys, settings.long, settings.tolerance, settings, scale)
    return keys


def _scale(plain: Moments, noise: float, settings: SpectrogramMomentsSettings) -> Tensor | None:
    """The inverse Hessian `(N, N)` of plain speech by planes, for moments along principal directions, if many."""
    if plain.mean.shape[-1] <= settings.small:
        return None
    curved = _covariance_objective(plain, plain, noise, settings).curvatures()
    return 1 / curved.clamp(min=settings.flattest * float(curved.max()))


def _covariance_objective(
    plain: Moments, cipher: Moments, noise: float, settings: SpectrogramMomentsSettings
) -> TileLikelihood:
    return TileLikelihood(whitening(plain, noise), cipher, means=False, negligible=settings.negligible)


def mend(
    objective: TileLikelihood,
    key: Tensor,
    stage: Stage,
    settings: SpectrogramMomentsSettings,
    scale: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Leave local minima by reflections and exchanges of the rows of a key `(N, N)`; returns the key and its J.

    Every move is followed by a short descent, and the moves end when none lowers J.
    """
    value = objective.value(key[None])[0]
    for _ in range(stage.rounds):
        moved = _moves(objective, key, stage.tried)
        descended, reached = descend(objective, moved, settings.short, settings.tolerance, settings, scale)
        winner = int(reached.argmin())
        if float(reached[winner]) > float(value) - settings.gain:
            break
        key, value = descended[winner], reached[winner]
    return key, value


def different(keys: Tensor, values: Tensor, most: int, same: float) -> Ranked:
    """Return the best `most` of keys that are not one key, up to the sign, found twice.

    Keys count as one where their distance, relative to their norm, is at most `same`.
    """
    order = values.argsort()
    keys, values = keys[order], values[order]
    near = same * keys.shape[1] ** 0.5
    kept: list[int] = []
    for i, key in enumerate(keys):
        if all(_distance(key, keys[k]) > near for k in kept):
            kept.append(i)
        if len(kept) == most:
            break
    agreed = sum(_distance(keys[0], key) <= near for key in keys)
    return Ranked(keys[kept], values[kept], agreed)


def principal(of: Moments) -> Tensor:
    """Return eigenvectors `(N, N)` of the covariance of a block, mean over all rows, the strongest first."""
    own = of.covariance[:, 0, :, 0].mean(0)
    return eigh((own + own.mT) / 2)[1].flip(1)


def polished(
    objective: TileLikelihood, keys: Tensor, settings: SpectrogramMomentsSettings, scale: Tensor | None = None
) -> tuple[Tensor, float]:
    """Return the best of keys `(n, N, N)` after a long descent, and its J."""
    ends, values = descend(objective, keys, 2 * settings.long, settings.last_tolerance, settings, scale)
    best = int(values.argmin())
    return polar(ends[best : best + 1])[0], float(values[best])


def polished_along(plain: Moments, cipher: Moments, keys: Tensor, settings: SpectrogramMomentsSettings) -> Tensor:
    """Return what `polished` does, `(N, N)`, by a descent along principal directions, with means."""
    ours, theirs = principal(plain), principal(cipher)
    plain, cipher = plain.along(ours), cipher.along(theirs)
    objective = TileLikelihood(whitening(plain, settings.noise), cipher, means=True, negligible=settings.negligible)
    scale = _scale(plain, settings.noise, settings)
    return ours @ polished(objective, ours.mT @ keys @ theirs, settings, scale)[0] @ theirs.mT


def _leading(of: Moments, few: int) -> Moments:
    """Moments of the first coordinates."""
    return Moments(of.mean[..., :few], of.second[:, :, :few, :, :few], of.count)


def _extended(key: Tensor, plain: Moments, cipher: Moments, settings: SpectrogramMomentsSettings) -> Tensor:
    """A key of fewer directions, extended to all of `plain` by the new ones' covariances with the old ones.

    Few new directions are matched one to one, with signs; of many the rotation is found (Procrustes).
    """
    known, size = len(key), plain.mean.shape[-1]
    whole = torch.eye(size, dtype=key.dtype)
    whole[:known, :known] = key
    ours, theirs = _from_first(plain), whole @ _from_first(cipher) @ whole.mT
    if size > settings.small:
        variance = plain.covariance[:, 0, :, 0].mean(0).diagonal()
        deviation = variance.clamp(min=torch.finfo(key.dtype).eps * variance.max()).sqrt()  # some may be dead
        weights = 1 / (deviation[:, None] * deviation)
        ours, theirs = ours * weights, theirs * weights
        before = ours[:, :known, known:].mT @ theirs[:, :known, known:]
        behind = ours[:, known:, :known] @ theirs[:, known:, :known].mT
        whole[known:, known:] = polar((before + behind).sum(0, keepdim=True))[0]
        return whole
    agreement = (ours * theirs).sum(0)
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
