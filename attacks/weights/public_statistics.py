"""Public statistics: no plain kernel is known, only what a batch norm keeps of plain speech behind the first layer.

The provider has encrypted kernels `w' = w K` (rows) and the norm's running mean and variance of `w x` over plain
speech. Background speech has nearly the same second moments S, up to its level, so the key must fulfil

    (w'_c K^T) S (w'_c K^T)^T = v_c        for every channel c,

quadratic equations whose misfit is the spread of `log v_c / q_c`. For C channels they are C - 1 equations for the
N (N - 1) / 2 numbers of a ROM key, or for one key of a finite scheme. They depend on no more than `K^T S K`: an
orthogonal matrix fits as well after turning the sign of any eigenvector of S, and an order of samples as well as its
reverse. Between keys that fit equally, the statistics of the deeper norms decide
(`wrongkey.attacks.weights.norm_statistics`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from wrongkey.attacks.base import (
    AttackDefaults,
    BackgroundSpeech,
    Case,
    Evidence,
    Matrix,
    Need,
    Recovery,
    Setting,
    Threat,
)
from wrongkey.attacks.solvers.batch_norms import kept_norms, stored
from wrongkey.attacks.solvers.haar import haar
from wrongkey.attacks.solvers.key_lists import every_key, listed, part_of_its_group
from wrongkey.attacks.solvers.stable_linalg import array_eigh
from wrongkey.attacks.weights.kernel_rows import keyed_rows
from wrongkey.attacks.weights.norm_statistics import chosen_pieces, discrepancy, norm_behind
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import to_blocks
from wrongkey.keys.schemes import Group, Scheme, permutation_matrices

Judge = Callable[[Matrix], float]
State = NDArray[Any]  # signs, an order, or an order with signs, (N,), or several (n, N)


@dataclass(frozen=True)
class PublicStatisticsSettings:
    """How keys are searched for, and when two of them count as different.

    Attributes
    ----------
    enumerated : int
        A finite scheme of at most this many keys is tried completely; a larger one is searched.
    best : int
        Keys of least misfit that a complete trial keeps.
    descents : int
        Random starts of a descent over orthogonal keys.
    climbs : int
        Random starts of a local search over orders or signs.
    kept : int
        Different keys, the best by misfit, among which the deeper norms choose.
    same : float
        Two keys count as one where no element differs by more than this, up to a common sign.
    misfit : float
        Largest misfit, a root mean square of log variances, that the difference between two corpora explains; the
        right key has 0.05 to 0.24 (benchmarks/known_pairs.py statistics).
    clear_factor : float
        Two keys count as different only where the ratio of their misfits, or discrepancies, exceeds this factor.
    clear_difference : float
        Two keys count as different only where the difference of their misfits, or discrepancies, exceeds this number.
    pieces : int
        Pieces of background speech that run through the model for one key.
    """

    enumerated: int = 2**17
    best: int = 64
    descents: int = 24
    climbs: int = 300
    kept: int = 6
    same: float = 1e-3
    misfit: float = 0.3
    clear_factor: float = 1.2
    clear_difference: float = 0.02
    pieces: int = 32

    def apart(self, more: float, least: float) -> bool:
        """Whether a key with the misfit or discrepancy `more` is worse than the best one by more than chance."""
        return bool(more > max(self.clear_factor * least, least + self.clear_difference))


class PublicStatistics(AttackDefaults):
    """The key under which the first layer's outputs on background speech have the variances that the norm keeps."""

    name = "public-statistics"
    family = 4
    needs: frozenset[Need] = frozenset({"encrypted model", "other speech"})
    threat = Threat("Holds the encrypted model with its batch norms, and plain speech of other people.", needs)

    def __init__(self, settings: PublicStatisticsSettings = PublicStatisticsSettings()) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """A first layer that sums over several blocks mixes their moments; a long list of keys cannot be compared."""
        if setting.model is None:
            return "It reads a batch norm, and no model was given."
        layer = setting.model.network.get_submodule(setting.model.first_layer)
        if not setting.cut.reads_whole(layer) or getattr(layer, "in_channels", 1) != 1:
            return "The first layer reads more than one block at a time, whose joint moments this attack does not use."
        scheme, most = setting.scheme, self.settings.enumerated
        if part_of_its_group(scheme, setting.size) and not listed(scheme, setting.size, most):
            return (
                f"It compares the keys of a finite scheme one by one, and {scheme.name} does not number its keys or "
                f"has more than {most:,}."
            )
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """All background speech at once."""
        return [Case()]

    def run(self, evidence: Evidence) -> Recovery:
        """Find the best key.

        Success is claimed where there are more equations than unknowns, they fit, and something decided between keys.
        objective: the misfit, a spread of log variances. measured: `equations` and `unknowns`, the norms' `discrepancy`
        under the key, and under the `next best` one. Raises BadInput without the encrypted model or background speech.
        """
        if evidence.encrypted is None or evidence.background is None or not evidence.background.queries:
            raise BadInput("The attack public-statistics needs the encrypted model and plain speech of other people.")
        setting, model, settings = evidence.setting, evidence.encrypted, self.settings
        pieces = chosen_pieces(model, evidence.background.queries, evidence.seed, settings.pieces)
        name = norm_behind(model, pieces[0])
        if name is None:
            return Recovery(
                None, success_claimed=False, note="No batch norm keeps statistics of the first layer's outputs."
            )
        problem = problem_of(model, evidence.background, setting, name)
        finite = setting.scheme.finite(setting.size)
        unknowns = 0 if finite else setting.size * (setting.size - 1) // 2
        equations = len(problem.rows) - 1
        keys = candidates(problem, setting, np.random.default_rng(evidence.seed), settings)

        def judge(key: Matrix) -> float:
            return discrepancy(model, pieces, key, setting.blocks)

        key, score, rival = chosen(keys, judge)
        if not finite and equations > unknowns:
            key, score, rival = turned(key, score, problem, judge)
        misfit, decided = float(problem.misfits(key[None])[0]), settings.apart(rival, score)
        return Recovery(
            key,
            success_claimed=bool(equations > unknowns and misfit < settings.misfit and decided),
            objective=misfit,
            measured={"equations": equations, "unknowns": unknowns, "discrepancy": score, "next best": rival},
            note=_note(equations > unknowns, decided),
        )


def _note(determined: bool, decided: bool) -> str:
    if not determined:
        return "The norm keeps fewer numbers than a key has: many keys fit."
    return "" if decided else "Another key fits the statistics as well: they cannot tell a block from its reverse."


@dataclass(frozen=True)
class Problem:
    """What a key must fulfil.

    Attributes
    ----------
    rows : Matrix
        Encrypted kernels, `(C, N)`.
    variances, means : Matrix
        What the norm keeps, `(C,)`; the means less the layer's bias.
    second, first : Matrix
        Covariance `(N, N)` and mean `(N,)` of blocks of plain background speech.
    """

    rows: Matrix
    variances: Matrix
    means: Matrix
    second: Matrix
    first: Matrix

    def misfits(self, keys: Matrix) -> Matrix:
        """Return the misfits `(n,)` of keys: root of the variance of `log v / q` plus the means' squared error."""
        return np.sqrt(self.squares(torch.from_numpy(np.ascontiguousarray(keys))).numpy())

    def squares(self, keys: Tensor) -> Tensor:
        """Return the squared misfits `(n,)` of keys `(n, N, N)`, differentiable."""
        rows, second, first, means, variances = (
            torch.from_numpy(part) for part in (self.rows, self.second, self.first, self.means, self.variances)
        )
        decrypted = rows @ keys.mT
        powers = ((decrypted @ second) * decrypted).sum(-1)
        ratios = (variances / powers).log()
        level = ratios.mean(-1, keepdim=True)
        off = means - (level / 2).exp() * (decrypted @ first)
        return (ratios - level).square().mean(-1) + (off.square() / variances).mean(-1)


def problem_of(encrypted: Model, background: BackgroundSpeech, setting: Setting, norm_name: str) -> Problem:
    """Return the equations of an encrypted model whose norm `norm_name` reads the first layer."""
    network = encrypted.network
    layer = network.get_submodule(encrypted.first_layer)
    running_mean, running_variance = (part.double() for part in stored(kept_norms(network)[norm_name]))
    bias = getattr(layer, "bias", None)
    means = running_mean - (0.0 if bias is None else bias.detach().double())
    first, second = moments(background.queries, setting)
    return Problem(keyed_rows(layer, setting), running_variance.clamp(min=1e-12).numpy(), means.numpy(), second, first)


def moments(queries: Sequence[Tensor], setting: Setting) -> tuple[Matrix, Matrix]:
    """Return the mean `(N,)` and covariance `(N, N)` of the blocks of plain queries."""
    size = setting.size
    total, products, count = np.zeros(size), np.zeros((size, size)), 0
    for query in queries:
        rows = to_blocks(query.double(), setting.block_size, setting.blocks).reshape(-1, size).numpy()
        total, products, count = total + rows.sum(0), products + rows.T @ rows, count + len(rows)
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def candidates(
    problem: Problem, setting: Setting, rng: np.random.Generator, settings: PublicStatisticsSettings
) -> list[Matrix]:
    """Return the keys among which the deeper norms choose: with both signs, where both count and may be keys.

    Under blocks of samples the sign of a key does not count.
    """
    scheme, both_signs = setting.scheme, setting.blocks is not Blocks.SAMPLES
    if listed(scheme, setting.size, settings.enumerated):
        return solve(problem, scheme, rng, settings, up_to_sign=not both_signs)
    keys = solve(problem, scheme, rng, settings)
    return keys + [-key for key in keys] if both_signs and scheme.signed else keys


def solve(
    problem: Problem,
    scheme: Scheme,
    rng: np.random.Generator,
    settings: PublicStatisticsSettings,
    up_to_sign: bool = True,
) -> list[Matrix]:
    """Return different keys `(N, N)` of a scheme that fulfil the equations about as well as the best, best first."""

    def same(key: Matrix, other: Matrix) -> bool:
        differences = [np.abs(key - other).max()] + ([np.abs(key + other).max()] if up_to_sign else [])
        return bool(min(differences) <= settings.same)

    keys = _searched(problem, scheme, rng, settings)
    misfits = problem.misfits(keys)
    different: list[Matrix] = []
    for index in np.argsort(misfits, kind="stable"):
        if settings.apart(misfits[index], misfits.min()):
            break
        if not any(same(keys[index], key) for key in different):
            different.append(keys[index])
        if len(different) == settings.kept:
            break
    return different


def _searched(problem: Problem, scheme: Scheme, rng: np.random.Generator, settings: PublicStatisticsSettings) -> Matrix:
    """Keys `(n, N, N)` of small misfit: of all keys, or the ends of several searches."""
    size = problem.rows.shape[1]
    if listed(scheme, size, settings.enumerated):
        return _best_of(problem, np.concatenate(list(every_key(scheme, size))), settings.best)
    match scheme.group:
        case Group.SIGNS:
            return _signs(problem, size, rng, settings)
        case Group.PERMUTATIONS:
            return _orders(problem, size, rng, settings)
        case Group.SIGNED_PERMUTATIONS:
            return _signed_orders(problem, size, rng, settings)
        case Group.INVERTIBLE:
            raise NotImplementedError  # no attack that asks this applies to such keys
        case Group.ORTHOGONAL:
            return np.stack([_descended(problem, start) for start in haar(settings.descents, size, rng).numpy()])


def chosen(keys: Sequence[Matrix], judge: Judge) -> tuple[Matrix, float, float]:
    """Return the best key by `judge`, its value, and the next best value (infinite where there is one key)."""
    values = [judge(key) for key in keys]
    best = int(np.argmin(values))
    return keys[best], values[best], min((v for i, v in enumerate(values) if i != best), default=float("inf"))


def turned(key: Matrix, value: float, problem: Problem, judge: Judge) -> tuple[Matrix, float, float]:
    """Return the best key by `judge` among those that differ in signs of S's eigenvectors, its value and the next best.

    The equations do not distinguish these keys. One or two signs turn at a time, as long as that helps; the next best
    value is that of the last turns, none of which did.
    """
    vectors = array_eigh(problem.second)[1]
    size = len(vectors)
    turns = [1 - 2 * np.isin(np.arange(size), places) for places in _one_or_two(size) if len(places) < size]
    while True:
        keys = [(vectors * turn) @ vectors.T @ key for turn in turns]
        best, lower, _ = chosen(keys, judge)
        if not lower < value * (1 - 1e-6):
            return key, value, lower
        key, value = best, lower


def _one_or_two(size: int) -> list[tuple[int, ...]]:
    """All single places, and all pairs of them."""
    return [(i,) for i in range(size)] + [(i, j) for j in range(size) for i in range(j)]


def _signs(problem: Problem, size: int, rng: np.random.Generator, settings: PublicStatisticsSettings) -> Matrix:
    if 2**size <= settings.enumerated:
        bits = np.arange(2**size)[:, None] >> np.arange(size) & 1
        return _best_of(problem, _diagonals(1.0 - 2.0 * bits), settings.best)
    turns = np.stack([1.0 - 2.0 * np.isin(np.arange(size), places) for places in _one_or_two(size)])
    starts = rng.choice([-1.0, 1.0], (settings.climbs, size))
    return np.stack([_climbed(problem, signs, lambda s: s * turns, _diagonals) for signs in starts])


def _orders(problem: Problem, size: int, rng: np.random.Generator, settings: PublicStatisticsSettings) -> Matrix:
    if factorial(size) <= settings.enumerated:
        every = permutation_matrices(np.array(list(permutations(range(size)))))
        return _best_of(problem, every, settings.best)
    swaps = _swaps(size)
    starts = (rng.permutation(size) for _ in range(settings.climbs))
    return np.stack([_climbed(problem, order, lambda o: o[swaps], permutation_matrices) for order in starts])


def _signed_orders(problem: Problem, size: int, rng: np.random.Generator, settings: PublicStatisticsSettings) -> Matrix:
    """Local search over orders whose numbers 1 … N carry the signs: a swap of two, or the sign of one turned."""
    swaps, turns = _swaps(size), 1 - 2 * np.eye(size, dtype=int)

    def neighbours(order: State) -> State:
        return np.concatenate([order[swaps], order * turns])

    def keys(orders: State) -> Matrix:
        return permutation_matrices(np.abs(orders) - 1) * np.sign(orders)[:, None, :]

    starts = ((1 + rng.permutation(size)) * rng.choice([-1, 1], size) for _ in range(settings.climbs))
    return np.stack([_climbed(problem, order, neighbours, keys) for order in starts])


def _diagonals(signs: State) -> Matrix:
    """`(n, N)` to matrices `(n, N, N)`."""
    return signs[:, :, None] * np.eye(signs.shape[1])


def _swaps(size: int) -> State:
    """Orders `(pairs, N)` in which two places are exchanged."""
    orders = np.tile(np.arange(size), (size * (size - 1) // 2, 1))
    for order, pair in zip(orders, (places for places in _one_or_two(size) if len(places) == 2), strict=True):
        order[list(pair)] = order[list(reversed(pair))]
    return orders


def _climbed(
    problem: Problem, state: State, neighbours: Callable[[State], State], keys: Callable[[State], Matrix]
) -> Matrix:
    """Move to the best neighbour as long as one is better; returns the key of the last state."""
    value = float(problem.misfits(keys(state[None]))[0])
    while True:
        tried = neighbours(state)
        values = problem.misfits(keys(tried))
        best = int(np.argmin(values))
        if not values[best] < value:
            return keys(state[None])[0]
        state, value = tried[best], float(values[best])


def _best_of(problem: Problem, keys: Matrix, count: int) -> Matrix:
    """The `count` keys of least misfit, the best first."""
    misfits = np.concatenate([problem.misfits(part) for part in np.array_split(keys, -(-len(keys) // 4096))])
    return keys[np.argsort(misfits, kind="stable")[:count]]


def _descended(problem: Problem, start: Matrix) -> Matrix:
    """Descent (L-BFGS) over `start exp(A)` for skew-symmetric A."""
    size = len(start)
    upper = torch.triu_indices(size, size, 1)
    origin = torch.from_numpy(start)

    def key_at(numbers: Tensor) -> Tensor:
        skew = torch.zeros(size, size, dtype=torch.float64).index_put((upper[0], upper[1]), numbers)
        return origin @ torch.linalg.matrix_exp(skew - skew.T)

    def value_and_slope(numbers: Matrix) -> tuple[float, Matrix]:
        with torch.enable_grad():
            at = torch.from_numpy(numbers).requires_grad_(True)
            value = problem.squares(key_at(at)[None])[0]
            (slope,) = torch.autograd.grad(value, at)
        return float(value.detach()), slope.numpy()

    numbers = minimize(value_and_slope, np.zeros(upper.shape[1]), jac=True, method="L-BFGS-B").x
    return key_at(torch.from_numpy(numbers)).numpy()
