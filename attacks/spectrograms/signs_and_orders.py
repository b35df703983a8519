"""Signs and orders of directions: Flipping and Shuffling keys of spectrogram blocks, and moves out of local minima.

With B_k = K S_k Kᵀ, the moments of blocks that are decrypted with K, J (module `likelihood`) of keys D K and P K has a
closed form: for signs D = diag(s) a quadratic form in s (an Ising energy), for permutations P a quadratic assignment in
which an exchange of two directions costs O(k N) [1]_.

References
----------
.. [1] R. Burkard, M. Dell'Amico and S. Martello, "Assignment Problems", SIAM, 2009, section 8.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from wrongkey.attacks.spectrograms.annealing import move_changes
from wrongkey.attacks.spectrograms.likelihood import TileLikelihood
from wrongkey.attacks.spectrograms.statistics import Moments

LEAST_GAIN = 1e-9  # of J: what is less is rounding


def sign_energy(objective: TileLikelihood, key: Tensor) -> tuple[Tensor, Tensor]:
    """Return symmetric A `(N, N)` and l `(N,)` with J(diag(s) K) = sᵀ A s - lᵀ s + const for signs s and a key."""
    quadratic = (objective.inverse * _decrypted(objective, key)).sum(0)
    return (quadratic + quadratic.mT) / 2, (objective.linear * key).sum(1)


def best_signs(quadratic: Tensor, linear: Tensor, starts: Tensor, held: int = 0) -> Tensor:
    """Return signs `(N,)` of least sᵀ A s - lᵀ s that single changes find from `starts (n, N)`.

    The first `held` signs stay as they are.
    """
    coupling = quadratic - torch.diag(quadratic.diagonal())
    signs = starts.clone()
    for _ in range(50 * signs.shape[1]):
        change = -4 * signs * (signs @ coupling) + 2 * signs * linear
        change[:, :held] = 0
        least, where = change.min(1)
        going = least < -LEAST_GAIN
        if not bool(going.any()):
            break
        rows = torch.arange(len(signs))[going]
        signs[rows, where[going]] *= -1
    energy = ((signs @ coupling) * signs).sum(1) - signs @ linear
    return signs[int(energy.argmin())]


def find_flips(objective: TileLikelihood, plain: Moments, cipher: Moments, seed: int, starts: int) -> Tensor:
    """Return the Flipping key `(N, N)` of least J from `starts` patterns: of covariances, of means, and random ones."""
    size = plain.mean.shape[-1]
    quadratic, linear = sign_energy(objective, torch.eye(size, dtype=torch.float64))
    covariance = (plain.covariance[:, 0] * cipher.covariance[:, 0]).sum((0, 2))
    means = (plain.mean[:, 0] * cipher.mean[:, 0]).sum(0)
    rng = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (starts, size), generator=rng).double() * 2 - 1
    signs[0] = grown_signs(covariance)
    signs[1] = -signs[0]
    signs[2] = torch.where(means >= 0, 1.0, -1.0)
    return torch.diag(best_signs(quadratic, linear, signs))


def grown_signs(agreement: Tensor) -> Tensor:
    """Return signs `(N,)` of large Σ_ij s_i A_ij s_j by merging the two groups that agree most, until one is left.

    Two groups that are each right by themselves, but not with each other, stay so under single changes of sign.
    """
    bond = (agreement + agreement.mT) / 2
    scale = bond.diagonal().abs().clamp(min=1e-30).rsqrt()
    bond = bond * scale[:, None] * scale
    signs, group = torch.ones(len(bond), dtype=bond.dtype), torch.arange(len(bond))
    bond.fill_diagonal_(0.0)
    for _ in range(len(bond) - 1):
        i, j = divmod(int(bond.abs().argmax()), len(bond))
        if i == j:
            break
        turn = 1.0 if float(bond[i, j]) >= 0 else -1.0
        signs[group == j] *= turn
        group[group == j] = i
        bond[i] += turn * bond[j]
        bond[:, i] = bond[i]
        bond[j], bond[:, j], bond[i, i] = 0.0, 0.0, 0.0
    return signs


def exchange_changes(objective: TileLikelihood, key: Tensor) -> Tensor:
    """Return `(N, N)`: how J changes when directions i and j of a key, its rows, are exchanged."""
    a, b = objective.inverse, _decrypted(objective, key)
    change = _across(a, b) + _across(a.mT, b.mT)
    a_own, b_own = a.diagonal(dim1=1, dim2=2), b.diagonal(dim1=1, dim2=2)
    change = change + ((a_own[:, :, None] - a_own[:, None]) * (b_own[:, None] - b_own[:, :, None])).sum(0)
    swapped = ((a - a.mT) * b.mT).sum(0)
    change = change + swapped + swapped.mT
    moved = objective.linear @ key.mT
    own = moved.diagonal()
    return change - (moved + moved.mT - own[:, None] - own[None])


def find_order(objective: TileLikelihood, start: Tensor, rounds: int) -> tuple[Tensor, float]:
    """Return a Shuffling key `(N, N)` of lower J than `start`, and its J, after at most `rounds`.

    A round makes all best exchanges of disjoint pairs, or the best one alone where together they do not help. Where no
    exchange helps, it moves one row to another place: a row that stands far from its place shifts all between, which no
    exchange mends.
    """
    key, value = start.clone(), float(objective.value(start[None])[0])
    for _ in range(rounds):
        pairs = _disjoint(exchange_changes(objective, key))
        if pairs:
            tries = torch.stack([_exchanged(key, pairs), _exchanged(key, pairs[:1])])
        else:
            tries = _best_move(key, move_changes(objective, key))[None]
        values = objective.value(tries)
        best = int(values.argmin())
        if float(values[best]) > value - LEAST_GAIN:
            break
        key, value = tries[best], float(values[best])
    return key, value


def _disjoint(change: Tensor) -> list[tuple[int, int]]:
    """Pairs (i, j) that lower J, the best first, none with a direction of a better one."""
    row, column = torch.triu_indices(len(change), len(change), 1)
    gains = change[row, column]
    used: set[int] = set()
    pairs = []
    for at in gains.argsort()[: int((gains < -LEAST_GAIN).sum())].tolist():
        i, j = int(row[at]), int(column[at])
        if not {i, j} & used:
            used |= {i, j}
            pairs.append((i, j))
    return pairs


def _exchanged(key: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
    order = torch.arange(len(key))
    for i, j in pairs:
        order[[i, j]] = order[[j, i]]
    return key[order]


def _best_move(key: Tensor, change: Tensor) -> Tensor:
    """The key with the row moved whose move changes J the most downwards."""
    i, j = divmod(int(change.argmin()), len(change))
    order = [row for row in range(len(key)) if row != i]
    return key[[*order[:j], i, *order[j:]]]


def order_by_variance(plain: Moments, cipher: Moments) -> Tensor:
    """Return a first Shuffling key `(N, N)`: by mean and variance of the positions in every row, which no order hides.

    Means count in units of the rows' deviation.
    """
    ours, theirs = _profile(plain), _profile(cipher)
    return nearest_order(-torch.cdist(ours, theirs).square())


def nearest_order(likeness: Tensor) -> Tensor:
    """Return the permutation matrix `(N, N)` nearest to a matrix, by assignment."""
    row, column = linear_sum_assignment(-likeness.numpy())
    key = torch.zeros_like(likeness)
    key[row, column] = 1
    return key


def _profile(of: Moments) -> Tensor:
    """`(N, features)`: mean, logarithm of the variance, and covariance at the next column, of every row."""
    mean = of.mean[:, 0]
    own = of.covariance[:, 0].diagonal(dim1=1, dim2=3)  # (rows, q, N)
    spread = own[:, :1].mean((1, 2))[:, None]
    return torch.cat(
        [mean / spread.sqrt(), own[:, 0].clamp(min=1e-9).log(), *(own[:, 1:] / spread[:, None]).unbind(1)]
    ).mT


def _decrypted(objective: TileLikelihood, key: Tensor) -> Tensor:
    return key @ objective.seen @ key.mT


def _across(a: Tensor, b: Tensor) -> Tensor:
    """Σ over k and m other than i and j of (A_im - A_jm)(B_jm - B_im), `(N, N)`."""
    product = (a @ b.mT).sum(0)
    own = product.diagonal()
    whole = product + product.mT - own[:, None] - own[None]
    a_own, b_own = a.diagonal(dim1=1, dim2=2), b.diagonal(dim1=1, dim2=2)
    at_i = ((a_own[:, :, None] - a.mT) * (b.mT - b_own[:, :, None])).sum(0)  # m = i
    return whole - at_i - at_i.mT
