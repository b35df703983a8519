"""Moves from one key to another that leave a scheme's law of keys invariant, and are reversible.

A move proposes a key from a key, and its law is symmetric: the way back is as probable. Metropolis' rule then keeps the
law of random keys restricted to any set, by refusing to leave the set (`wrongkey.evaluation.strength.splitting`).

==================== ===================================================================================================
scheme               move, at a scale in (0, 1]
==================== ===================================================================================================
rom                  `K exp(2 · scale · A)` with a random antisymmetric A of spectral norm about 2, and, one time in
                     `MIRRORED`, a reflection in a random direction after it: O(N) has two parts
shuffling            up to `scale · N / 2` transpositions
flipping             one sign, and each of the others with probability `scale / 2`
of independent parts a move of one part, or of all of them (`Scheme.structure`)
with `moves`         the user's own, after a check
any other            in the space of the random words that a key is made of: Crank-Nicolson steps of all words as normal
                     numbers, `z' = √(1 - scale²) z + scale ξ` (Cotter et al. 2013), in turn with fresh draws of some
==================== ===================================================================================================

A chain's state is a row of 64-bit words: those that its key is made of, or the bits of its matrix.

Reference: S. L. Cotter, G. O. Roberts, A. M. Stuart, D. White, "MCMC methods for functions: modifying old algorithms to
make them faster", Statistical Science 28(3), 2013.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from wrongkey.errors import BadInput
from wrongkey.keys.schemes import SCHEMES, Matrices, Scheme, Words, normals, permutation_matrices

States = NDArray[np.uint64]  # (count, words of a state)
Array = NDArray[np.float64]

MIRRORED = 0.1  # share of moves of O(N) with a reflection
TOGETHER = 0.25  # share of moves of a key of several parts that move all of them
LOW = np.uint64(16)  # bits of a word that are lost where it becomes a normal number and a word again


class Law(Protocol):
    """The law of a scheme's keys at one size: independent draws, and moves that leave it invariant.

    Attributes
    ----------
    drawn, moved : int
        Uniform 64-bit words that a draw and a move consume.
    """

    drawn: int
    moved: int

    def draw(self, words: Words) -> States:
        """Independent states from `words (count, drawn)`."""

    def move(self, states: States, words: Words, scale: float) -> States:
        """States proposed from `states`, each with its own row of `words (count, moved)`."""

    def matrices(self, states: States) -> Matrices:
        """The keys `(count, N, N)` of states."""


class OfMatrices:
    """A law whose states are the bits of the matrices."""

    moved: int

    def __init__(self, scheme: Scheme, size: int) -> None:
        self.scheme, self.size, self.drawn = scheme, size, scheme.words(size)

    def draw(self, words: Words) -> States:
        """Keys as the scheme draws them."""
        return states_of(self.scheme.matrices(self.size, words))

    def matrices(self, states: States) -> Matrices:
        """The keys of states."""
        return np.ascontiguousarray(states).view(np.float64).reshape(-1, self.size, self.size)


class Rotations(OfMatrices):
    """O(N): `K exp(2 · scale · A)`, one time in `MIRRORED` with a reflection.

    With A and -A, and in every orthonormal basis, the law of A is the same, so that the way back is as probable.
    """

    LONGEST = 2.0  # at scale 1

    def __init__(self, scheme: Scheme, size: int) -> None:
        super().__init__(scheme, size)
        self.moved = 1 + size * size + size  # normal numbers come from an even number of words

    def move(self, states: States, words: Words, scale: float) -> States:
        """Turn every key by its own rotation."""
        import torch

        n = self.size
        drawn = normals(words[:, 1:])
        gaussian, axis = drawn[:, : n * n].reshape(-1, n, n), drawn[:, n * n :]
        antisymmetric = (gaussian - gaussian.transpose(0, 2, 1)) / np.sqrt(2 * n)
        rotation = torch.matrix_exp(torch.from_numpy(self.LONGEST * scale * antisymmetric)).numpy()
        axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
        reflected = rotation - 2 * (rotation @ axis[:, :, None]) * axis[:, None, :]
        mirrored = uniform(words[:, 0]) < MIRRORED
        return states_of(self.matrices(states) @ np.where(mirrored[:, None, None], reflected, rotation))


class Transpositions(OfMatrices):
    """Permutations: one to `scale · N / 2` transpositions, any number as probable."""

    def __init__(self, scheme: Scheme, size: int) -> None:
        super().__init__(scheme, size)
        self.moved = 1 + 2 * ceil(size / 2)

    def move(self, states: States, words: Words, scale: float) -> States:
        """Exchange pairs of elements."""
        n, most = self.size, max(ceil(scale * self.size / 2), 1)
        order = self.matrices(states).argmax(axis=1)
        u, rows = uniform(words), np.arange(len(states))
        swaps = 1 + (u[:, 0] * most).astype(np.int64)
        for swap in range(most):
            i = (u[:, 1 + 2 * swap] * n).astype(np.int64)
            j = (i + 1 + (u[:, 2 + 2 * swap] * (n - 1)).astype(np.int64)) % n
            j = np.where(swap < swaps, j, i)
            order[rows, i], order[rows, j] = order[rows, j], order[rows, i]
        return states_of(permutation_matrices(order))


class SignChanges(OfMatrices):
    """Signs: one change, and each of the others with probability `scale / 2`."""

    def __init__(self, scheme: Scheme, size: int) -> None:
        super().__init__(scheme, size)
        self.moved = 1 + size

    def move(self, states: States, words: Words, scale: float) -> States:
        """Change signs."""
        u = uniform(words)
        changed = u[:, 1:] < scale / 2
        changed[np.arange(len(u)), (u[:, 0] * self.size).astype(np.int64)] = True
        return states_of(self.matrices(states) * np.where(changed, -1.0, 1.0)[:, None, :])


class Own(OfMatrices):
    """A user's `moves`, each key with a generator of its own."""

    moved = 2

    def move(self, states: States, words: Words, scale: float) -> States:
        """Ask the scheme; raises BadInput for an answer of another shape, or that is not finite."""
        moves = self.scheme.moves
        assert moves is not None  # where this law is chosen
        found = []
        for key, seed in zip(self.matrices(states), words, strict=True):
            generator = np.random.Generator(np.random.Philox(key=seed))
            found.append(np.asarray(moves(key[None].copy(), self.size, scale, generator), dtype=np.float64))
            if found[-1].shape != (1, self.size, self.size) or not np.isfinite(found[-1]).all():
                raise BadInput(
                    f"The moves of the scheme {self.scheme.name!r} gave no finite matrix of shape "
                    f"{(1, self.size, self.size)}, but an array of shape {found[-1].shape}: correct them."
                )
        return states_of(np.concatenate(found))


class InWords:
    """Any scheme, in the space of the uniform words that a key is made of.

    Half of the moves are Crank-Nicolson steps of all words, for keys that depend on the words continuously; the lowest
    bits of a word are drawn afresh. The others draw one word afresh, and each of the others
    with probability `scale`.
    """

    def __init__(self, scheme: Scheme, size: int) -> None:
        self.scheme, self.size, self.drawn = scheme, size, scheme.words(size)
        self._normals = self.drawn + self.drawn % 2
        self.moved = 1 + self._normals + 2 * self.drawn

    def draw(self, words: Words) -> States:
        """The words themselves."""
        return words.copy()

    def matrices(self, states: States) -> Matrices:
        """The keys of their words."""
        return np.asarray(self.scheme.matrices(self.size, states), dtype=np.float64)

    def move(self, states: States, words: Words, scale: float) -> States:
        """Move all words a little, or some words anywhere."""
        choice, steps, fresh, which = np.split(words, np.cumsum([1, self._normals, self.drawn]), axis=1)
        u = uniform(choice[:, 0])
        one = np.maximum((2 * u - 1) * self.drawn, 0).astype(np.int64)
        redrawn = uniform(which) < scale
        redrawn[np.arange(len(u)), one] = True
        near = self._near(states, normals(steps)[:, : self.drawn], fresh, scale)
        return np.where((u < 0.5)[:, None], near, np.where(redrawn, fresh, states))

    @staticmethod
    def _near(states: States, steps: Array, fresh: Words, scale: float) -> States:
        z = ndtri(uniform(states) + 2.0**-54)
        u = ndtr(np.sqrt(1 - scale**2) * z + scale * steps)
        high = np.minimum(u * 2.0**48, 2.0**48 - 1).astype(np.uint64) << LOW
        return high | (fresh >> np.uint64(64) - LOW)


class Composed:
    """A key of independent parts: one of them moves, or, with probability `TOGETHER`, all of them."""

    def __init__(self, structure: Any, size: int) -> None:
        self.structure = structure
        self.parts: list[Law] = [law_of(part.scheme, part.size) for part in structure.parts(size)]
        self.drawn = sum(part.drawn for part in self.parts)
        self.moved = 1 + sum(part.moved for part in self.parts)

    def draw(self, words: Words) -> States:
        """Every part from its own words."""
        drawn = _split(words, [part.drawn for part in self.parts])
        states = [part.draw(some) for part, some in zip(self.parts, drawn, strict=True)]
        return np.concatenate(states, axis=1)

    def matrices(self, states: States) -> Matrices:
        """The keys that the parts make."""
        parts = zip(self.parts, self._of_parts(states), strict=True)
        return np.asarray(self.structure.compose([part.matrices(some) for part, some in parts]), dtype=np.float64)

    def move(self, states: States, words: Words, scale: float) -> States:
        """Move the chosen parts."""
        u = uniform(words[:, 0])
        chosen = ((u - TOGETHER) / (1 - TOGETHER) * len(self.parts)).astype(np.int64)
        given = _split(words[:, 1:], [part.moved for part in self.parts])
        moved = []
        for number, (part, some, own) in enumerate(zip(self.parts, self._of_parts(states), given, strict=True)):
            here = (u < TOGETHER) | (chosen == number)
            moved.append(np.where(here[:, None], part.move(some, own, scale), some))
        return np.concatenate(moved, axis=1)

    def _of_parts(self, states: States) -> list[States]:
        return _split(states, [_width(part) for part in self.parts])


BUILT_IN: Mapping[str, Callable[[Scheme, int], Law]] = {
    "rom": Rotations,
    "shuffling": Transpositions,
    "flipping": SignChanges,
}


def law_of(scheme: Scheme, size: int) -> Law:
    """The law of a scheme's keys of N = `size`, with the moves that suit it best."""
    if scheme.moves is not None:
        return Own(scheme, size)
    if scheme.structure is not None:
        return Composed(scheme.structure, size)
    for name, law in BUILT_IN.items():
        if scheme.matrices is SCHEMES[name].matrices:  # also with options that change no key
            return law(scheme, size)
    return InWords(scheme, size)


def uniform(words: Words) -> Array:
    """Uniform numbers in [0, 1) from the upper 53 bits of words."""
    numbers: Array = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers


def states_of(matrices: Matrices) -> States:
    """The bits of matrices, a row for each."""
    return np.ascontiguousarray(matrices, dtype=np.float64).reshape(len(matrices), -1).view(np.uint64)


def _split(words: Words, widths: list[int]) -> list[Words]:
    return np.split(words[:, : sum(widths)], np.cumsum(widths)[:-1], axis=1)


def _width(law: Law) -> int:
    """Words of a state."""
    if isinstance(law, Composed):
        return sum(map(_width, law.parts))
    return law.size**2 if isinstance(law, OfMatrices) else law.drawn
