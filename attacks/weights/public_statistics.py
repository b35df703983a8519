"""Public statistics: no plain kernel is known, only what a batch norm keeps of plain speech behind the first layer.

The provider has encrypted kernels `w' = w K` (rows) and the norm's running mean and variance of `w x` over plain
speech. Other people's speech has nearly the same second moments S, up to its level, so the key must fulfil

    (w'_c K^T) S (w'_c K^T)^T = v_c        for every channel c,

quadratic equations whose misfit is the spread of `log v_c / q_c`. For C channels they are C - 1 equations for the
N (N - 1) / 2 numbers of a ROM key, or for one of finitely many Flipping or Shuffling keys. They cannot see more than
`K^T S K`: an orthogonal matrix fits as well after turning the sign of any eigenvector of S, and an order of samples as
well as its reverse. What fits equally is decided by the statistics of the deeper norms
(wrongkey.attacks.weights.norm_statistics).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from wrongkey.attacks.base import Case, Evidence, Matrix, Need, Recovery, Setting, Threat
from wrongkey.attacks.solvers.haar import haar
from wrongkey.attacks.solvers.stable_linalg import array_eigh
from wrongkey.attacks.weights.kernel_rows import keyed_rows
from wrongkey.attacks.weights.norm_statistics import chosen_pieces, discrepancy, kept_norms, norm_behind
from wrongkey.errors import BadInput
from wrongkey.keys.cutting import to_blocks
from wrongkey.keys.schemes import Group, Scheme, permutation_matrices

ENUMERATED = 2**17  # keys of a discrete scheme that are all tried; more are searched
DESCENTS = 24  # starts of a descent over orthogonal keys
CLIMBS = 300  # starts of a search over orders or signs
KEPT = 6  # best different keys among which the deeper norms choose
MISFIT = 0.3  # that another corpus explains; the right key has 0.05 to 0.24 (benchmarks/known_pairs.py statistics)
CLEAR, LEAST = 1.2, 0.02  # misfits or discrepancies of two keys tell them apart from this factor, and this difference


Judge = Callable[[Matrix], float]
State = NDArray[Any]  # signs or an order, (N,), or several (n, N)


class PublicStatistics:
    """The key under which the first layer's outputs on other people's speech have the variances that the norm keeps."""

    name = "public-statistics"
    family = 4
    needs: frozenset[Need] = frozenset({"encrypted model", "other speech"})
    threat = Threat("Holds the encrypted model with its batch norms, and plain speech of other people.", needs)

    def inapplicable(self, setting: Setting) -> str | None:
        """A first layer that sums over several blocks mixes their moments."""
        if setting.model is None:
            return "It reads a batch norm, and no model was given."
        layer = setting.model.network.get_submodule(setting.model.first_layer)
        one = setting.cut.reads_whole(layer)
        if not one or getattr(layer, "in_channels", 1) != 1:
            return "The first layer reads more than one block at a time, whose joint moments this attack does not use."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        return [Case()]

    def run(self, evidence: Evidence) -> Recovery:
        """The best key; believed where there are more equations than unknowns, they fit, and something decided.

        objective: the misfit, a spread of log variances. measured: `equations` and `unknowns`, the norms' `discrepancy`
        under the key, and under the `next best` one.
        """
        if evidence.encrypted is None or evidence.background is None or not evidence.background.queries:
            raise BadInput("public-statistics needs the encrypted model and other people's speech.")
        setting, model = evidence.setting, evidence.encrypted
        pieces = chosen_pieces(model, evidence.background.queries, evidence.seed)
        name = norm_behind(model, pieces[0])
        if name is None:
            return Recovery(
                None, success_claimed=False, note="No batch norm keeps statistics of the first layer's outputs."
            )
        problem = problem_of(evidence, name)
        discrete = setting.scheme.monomial
        unknowns = 0 if discrete else setting.size * (setting.size - 1) // 2
        equations = len(problem.rows) - 1
        found = solve(problem, setting.scheme, np.random.default_rng(evidence.seed))
        if setting.blocks != "samples" and setting.scheme.group is not Group.PERMUTATIONS:
            found += [-key for key in found]

        def judge(key: Matrix) -> float:
            return discrepancy(model, pieces, key, setting.blocks)

        key, score, rival = chosen(found, judge)
        if not discrete and equations > unknowns:
            key, score, rival = turned(key, score, problem, judge)
        misfit, decided = float(problem.misfits(key[None])[0]), apart(rival, score)
        return Recovery(
            key,
            success_claimed=bool(equations > unknowns and misfit < MISFIT and decided),
            objective=misfit,
            measured={"equations": equations, "unknowns": unknowns, "discrepancy": score, "next best": rival},
            note=_said(equations > unknowns, decided),
        )


def apart(more: float, least: float) -> bool:
    """Whether a key with the misfit or discrepancy `more` is worse than the best one by more than chance."""
    return bool(more > max(CLEAR * least, least + LEAST))


def _said(determined: bool, decided: bool) -> str:
    if not determined:
        return "The norm keeps fewer numbers than a key has: many keys fit."
    return "" if decided else "Another key fits the statistics as well: they cannot tell a block from its reverse."


@dataclass(frozen=True)
class Problem:
    """What a key must fulfil.

    rows: encrypted kernels `(C, N)`. variances, means: that the norm keeps, the means less the layer's bias, `(C,)`.
    second, first: covariance `(N, N)` and mean `(N,)` of blocks of other people's plain speech.
    """

    rows: Matrix
    variances: Matrix
    means: Matrix
    second: Matrix
    first: Matrix

    def misfits(self, keys: Matrix) -> Matrix:
        """Of keys `(n, N, N)`: root of the variance of `log v / q` plus the means' squared error, `(n,)`."""
        squares: Matrix = self.squares(torch.from_numpy(np.ascontiguousarray(keys))).numpy()
        roots: Matrix = np.sqrt(squares)
        return roots

    def squares(self, keys: Tensor) -> Tensor:
        """The same squared, differentiable."""
        rows, second, first, means, variances = (
            torch.from_numpy(part) for part in (self.rows, self.second, self.first, self.means, self.variances)
        )
        decrypted = rows @ keys.mT
        powers = ((decrypted @ second) * decrypted).sum(-1)
        ratios = (variances / powers).log()
        level = ratios.mean(-1, keepdim=True)
        off = means - (level / 2).exp() * (decrypted @ first)
        squares: Tensor = (ratios - level).square().mean(-1) + (off.square() / variances).mean(-1)
        return squares


def problem_of(evidence: Evidence, norm_name: str) -> Problem:
    """The equations of an encrypted model whose norm `norm_name` reads the first layer."""
    assert evidence.encrypted is not None and evidence.background is not None
    setting, network = evidence.setting, evidence.encrypted.network
    layer, norm = network.get_submodule(evidence.encrypted.first_layer), kept_norms(network)[norm_name]
    assert norm.running_mean is not None and norm.running_var is not None
    bias = getattr(layer, "bias", None)
    means = norm.running_mean.double() - (0.0 if bias is None else bias.detach().double())
    first, second = moments(evidence.background.queries, setting)
    variances = norm.running_var.double().clamp(min=1e-12).numpy()
    return Problem(keyed_rows(layer, setting), variances, means.numpy(), second, first)


def moments(queries: Sequence[Tensor], setting: Setting) -> tuple[Matrix, Matrix]:
    """Mean `(N,)` and covariance `(N, N)` of the blocks of plain queries."""
    size = setting.size
    total, products, count = np.zeros(size), np.zeros((size, size)), 0
    for query in queries:
        rows = to_blocks(query.double(), setting.block_size, setting.blocks).reshape(-1, size).numpy()
        total, products, count = total + rows.sum(0), products + rows.T @ rows, count + len(rows)
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def solve(problem: Problem, scheme: Scheme, rng: np.random.Generator) -> list[Matrix]:
    """Different keys `(N, N)` of a scheme that fulfil the equations about as well as the best, which comes first."""
    size = problem.rows.shape[1]
    if scheme.group is Group.SIGNS:
        keys = _signs(problem, size, rng)
    elif scheme.group is Group.PERMUTATIONS:
        keys = _orders(problem, size, rng)
    else:
        keys = np.stack([_descended(problem, start) for start in haar(DESCENTS, size, rng).numpy()])
    misfits = problem.misfits(keys)
    found: list[Matrix] = []
    for index in np.argsort(misfits, kind="stable"):
        if apart(misfits[index], misfits.min()):
            break
        if all(min(np.abs(keys[index] - key).max(), np.abs(keys[index] + key).max()) > 1e-3 for key in found):
            found.append(keys[index])
        if len(found) == KEPT:
            break
    return found


def chosen(keys: Sequence[Matrix], judge: Judge) -> tuple[Matrix, float, float]:
    """The best key by `judge`, its value, and the next best value (infinite where there is one key)."""
    values = [judge(key) for key in keys]
    best = int(np.argmin(values))
    return keys[best], values[best], min((v for i, v in enumerate(values) if i != best), default=float("inf"))


def turned(key: Matrix, value: float, problem: Problem, judge: Judge) -> tuple[Matrix, float, float]:
    """The best key by `judge` among those that turn signs of S's eigenvectors, which the equations cannot tell apart.

    One or two signs at a time, as long as that helps; the next best value is that of the last turns, none of which did.
    """
    vectors = array_eigh(problem.second)[1]
    size = len(vectors)
    turns = [1 - 2 * np.isin(np.arange(size), pair) for pair in _pairs(size) if len(pair) < size]
    while True:
        keys = [(vectors * turn) @ vectors.T @ key for turn in turns]
        best, lower, _ = chosen(keys, judge)
        if not lower < value * (1 - 1e-6):
            return key, value, lower
        key, value = best, lower


def _pairs(size: int) -> list[tuple[int, ...]]:
    return [(i,) for i in range(size)] + [(i, j) for j in range(size) for i in range(j)]


def _signs(problem: Problem, size: int, rng: np.random.Generator) -> Matrix:
    if 2**size <= ENUMERATED:
        bits = np.arange(2**size)[:, None] >> np.arange(size) & 1
        return _best_of(problem, (1.0 - 2.0 * bits)[:, :, None] * np.eye(size))
    neighbours = np.stack([1.0 - 2.0 * np.isin(np.arange(size), pair) for pair in _pairs(size)])
    found = []
    for signs in rng.choice([-1.0, 1.0], (CLIMBS, size)):
        found.append(_climbed(problem, signs, lambda s: s * neighbours, lambda s: s[:, :, None] * np.eye(size)))
    return np.stack(found)


def _orders(problem: Problem, size: int, rng: np.random.Generator) -> Matrix:
    if size <= 8:
        return _best_of(problem, permutation_matrices(np.array(list(permutations(range(size))))))
    swaps = np.stack([_swap(size, *pair) for pair in _pairs(size) if len(pair) == 2])
    found = []
    for _ in range(CLIMBS):
        order = rng.permutation(size)
        found.append(_climbed(problem, order, lambda o: o[swaps], permutation_matrices))
    return np.stack(found)


def _swap(size: int, i: int, j: int) -> State:
    order = np.arange(size)
    order[[i, j]] = order[[j, i]]
    return order


def _climbed(
    problem: Problem, state: State, neighbours: Callable[[State], State], keys: Callable[[State], Matrix]
) -> Matrix:
    """Local search: the best neighbour as long as one is better; returns its key."""
    value = float(problem.misfits(keys(state[None]))[0])
    while True:
        tried = neighbours(state)
        values = problem.misfits(keys(tried))
        best = int(np.argmin(values))
        if not values[best] < value:
            found: Matrix = keys(state[None])[0]
            return found
        state, value = tried[best], float(values[best])


def _best_of(problem: Problem, keys: Matrix) -> Matrix:
    """The 64 best of many keys."""
    misfits = np.concatenate([problem.misfits(part) for part in np.array_split(keys, -(-len(keys) // 4096))])
    return keys[np.argsort(misfits, kind="stable")[:64]]


def _descended(problem: Problem, start: Matrix) -> Matrix:
    """Descent (L-BFGS) over `start exp(A)` for skew-symmetric A."""
    size = len(start)
    upper = torch.triu_indices(size, size, 1)
    origin = torch.from_numpy(start)

    def key_at(numbers: Tensor) -> Tensor:
        skew = torch.zeros(size, size, dtype=torch.float64).index_put((upper[0], upper[1]), numbers)
        key: Tensor = origin @ torch.linalg.matrix_exp(skew - skew.T)
        return key

    def value_and_slope(numbers: Matrix) -> tuple[float, Matrix]:
        with torch.enable_grad():
            at = torch.from_numpy(numbers).requires_grad_(True)
            value = problem.squares(key_at(at)[None])[0]
            (slope,) = torch.autograd.grad(value, at)
        return float(value.detach()), slope.numpy()

    numbers = minimize(value_and_slope, np.zeros(upper.shape[1]), jac=True, method="L-BFGS-B").x
    found: Matrix = key_at(torch.from_numpy(numbers)).numpy()
    return found
