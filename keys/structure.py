"""Keys composed of independent keys: several in turn, signs per block, blocks in another order, signed permutations.

A composed key multiplies a super-block of P consecutive blocks, laid end to end: it is one matrix of N = P M ** dims,
so queries and models are encrypted as under any other key, and the model's first layer reads P blocks. An adversary
knows the structure, not the parts.

References
----------
Tanaka, Kiya, Shiota, "…multiple random orthogonal secret keys…", 2025, arXiv:2509.19906, for keys in turn. We know its
abstract alone: docs/schemes.md says what is our reading.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.keys.schemes import SCHEMES, Group, Matrices, Ranks, Scheme, Words

Along = Literal["time", "bins"]


@dataclass(frozen=True)
class Part:
    """An independent key of a composed one: its scheme, and its size."""

    scheme: Scheme
    size: int


@dataclass(frozen=True)
class Structure:
    """What a composed key is made of.

    Attributes
    ----------
    base
        The scheme whose keys multiply the single blocks; None where a key is no composition of blocks.
    span
        P, blocks of a super-block.
    along
        The axis along which these lie side by side, of tiles: "time" or "bins".
    parts
        `parts(N)`: the independent keys of a key of size N.
    compose
        Matrices `(count, n, n)` of the parts, in their order, to keys `(count, N, N)`.
    decompose
        The inverse of `compose`.
    alike
        Whether all parts are blocks of the key's diagonal, so that some of them can be right and others wrong.
    """

    base: Scheme | None
    span: int
    parts: Callable[[int], tuple[Part, ...]]
    compose: Callable[[Sequence[Matrices]], Matrices]
    decompose: Callable[[Matrices], list[Matrices]]
    along: Along = "time"
    alike: bool = False


def composed(name: str, structure: Structure, group: Group) -> Scheme:
    """The scheme of a structure: words, keys, key space and numbering follow from its parts.

    Parameters
    ----------
    name
        As users write it.
    structure
        What a key is made of.
    group
        The smallest group of matrices that holds the keys.

    Returns
    -------
    Scheme
        Its keys are uniform over all compositions if those of the parts are.

    Examples
    --------
    >>> in_turn("rom+turns=2", SCHEMES["rom"], 2).words(6)
    20
    """
    parts_of = structure.parts

    def words(size: int) -> int:
        return sum(part.scheme.words(part.size) for part in parts_of(size))

    def matrices(size: int, drawn: Words) -> Matrices:
        parts = parts_of(size)
        ends = np.cumsum([part.scheme.words(part.size) for part in parts])[:-1]
        pairs = zip(parts, np.split(drawn, ends, axis=1), strict=True)
        return structure.compose([part.scheme.matrices(part.size, own) for part, own in pairs])

    def spaces(size: int) -> list[int] | None:
        counts = [part.scheme.space(part.size) for part in parts_of(size)]
        return None if None in counts else [count for count in counts if count is not None]

    def space(size: int) -> int | None:
        counts = spaces(size)
        return None if counts is None else prod(counts)

    def unrank(size: int, ranks: Ranks) -> Matrices:
        found = []
        for part, count in zip(parts_of(size), spaces(size) or (), strict=True):
            assert part.scheme.unrank is not None
            found.append(part.scheme.unrank(part.size, ranks % count))
            ranks = ranks // count
        return structure.compose(found)

    def rank(keys: Matrices) -> Ranks:
        size = keys.shape[-1]
        found, place = np.zeros(len(keys), dtype=np.int64), 1
        for part, count, own in zip(parts_of(size), spaces(size) or (), structure.decompose(keys), strict=True):
            assert part.scheme.rank is not None
            found += place * part.scheme.rank(own)
            place *= count
        return found

    numbered = all(part.scheme.rank and part.scheme.unrank for part in parts_of(structure.span))
    return Scheme(
        name,
        words,
        matrices,
        space,
        unrank if numbered else None,
        rank if numbered else None,
        group,
        structure=structure,
    )


def in_turn(name: str, base: Scheme, count: int) -> Scheme:
    """P = `count` independent keys in turn: block t is multiplied by key t mod P (block-diagonal)."""

    def parts(size: int) -> tuple[Part, ...]:
        return (Part(base, _block(name, size, count)),) * count

    def decompose(keys: Matrices) -> list[Matrices]:
        grid = _grid(keys, count)
        return [grid[:, t, :, t] for t in range(count)]

    structure = Structure(base, _span(base, count), parts, _diagonal, decompose, _along(base), alike=True)
    return composed(name, structure, base.group)


def with_signs(name: str, base: Scheme, count: int) -> Scheme:
    """One key for all P = `count` blocks, and a random sign for each of them.

    Where the base has -K beside K the first block keeps its sign: no key is counted twice.
    """
    free = count - 1 if base.signed else count

    def parts(size: int) -> tuple[Part, ...]:
        return Part(base, _block(name, size, count)), Part(SCHEMES["flipping"], free)

    def compose(drawn: Sequence[Matrices]) -> Matrices:
        key, flips = drawn
        signs = np.ones((len(key), count))
        signs[:, count - free :] = np.diagonal(flips, axis1=1, axis2=2)
        return _diagonal([signs[:, t, None, None] * key for t in range(count)])

    def decompose(keys: Matrices) -> list[Matrices]:
        grid = _grid(keys, count)
        key = grid[:, 0, :, 0] if base.signed else np.abs(grid[:, 0, :, 0])
        signs = np.sign(np.einsum("cij,ctitj->ct", key, grid))[:, count - free :]
        return [key, signs[:, :, None] * np.eye(free)]

    structure = Structure(base, _span(base, count), parts, compose, decompose, _along(base))
    group = Group.SIGNED_PERMUTATIONS if base.group is Group.PERMUTATIONS else base.group
    return composed(name, structure, group)


def in_order(name: str, base: Scheme, count: int) -> Scheme:
    """One key for all P = `count` blocks, which are then permuted."""

    def parts(size: int) -> tuple[Part, ...]:
        return Part(base, _block(name, size, count)), Part(SCHEMES["shuffling"], count)

    def compose(drawn: Sequence[Matrices]) -> Matrices:
        key, order = drawn
        size = count * key.shape[-1]
        return np.einsum("cst,cij->csitj", order, key).reshape(-1, size, size)

    def decompose(keys: Matrices) -> list[Matrices]:
        grid = _grid(keys, count)
        order = (np.einsum("csitj,csitj->cst", grid, grid) > 0).astype(np.float64)
        return [grid.sum(axis=3)[:, 0], order]  # one block of each row of blocks is not zero

    structure = Structure(base, _span(base, count), parts, compose, decompose, _along(base))
    group = Group.SIGNED_PERMUTATIONS if base.group is Group.SIGNS else base.group
    return composed(name, structure, group)


def signed_shuffling() -> Scheme:
    """A permutation of a block's elements, then a sign for each of them."""

    def parts(size: int) -> tuple[Part, ...]:
        return Part(SCHEMES["shuffling"], size), Part(SCHEMES["flipping"], size)

    def decompose(keys: Matrices) -> list[Matrices]:
        return [np.abs(keys), keys.sum(axis=1)[:, :, None] * np.eye(keys.shape[-1])]

    structure = Structure(None, 1, parts, lambda drawn: drawn[0] @ drawn[1], decompose)
    return composed("signed-shuffling", structure, Group.SIGNED_PERMUTATIONS)


def lying_along(name: str, scheme: Scheme, axis: Along) -> Scheme:
    """The scheme with its blocks taken together along another axis.

    Raises BadInput where it takes no blocks together.
    """
    if scheme.structure is None or scheme.span == 1:
        raise BadInput(f"The scheme {name!r} takes no blocks together that could lie along {axis}: leave along out.")
    return replace(scheme, name=name, structure=replace(scheme.structure, along=axis))


def _block(name: str, size: int, count: int) -> int:
    if size % count:
        raise BadInput(f"A key of {name} multiplies {count} blocks together: N = {size} is no multiple of {count}.")
    return size // count


def _span(base: Scheme, count: int) -> int:
    return count * base.span


def _along(base: Scheme) -> Along:
    return "time" if base.structure is None else base.structure.along


def _grid(keys: Matrices, count: int) -> NDArray[np.float64]:
    """Keys as count x count blocks: (keys, block row, row, block column, column)."""
    size = keys.shape[-1] // count
    return keys.reshape(len(keys), count, size, count, size)


def _diagonal(blocks: Sequence[Matrices]) -> Matrices:
    """Block-diagonal keys of single blocks."""
    count, size = len(blocks), blocks[0].shape[-1]
    keys = np.zeros((len(blocks[0]), count, size, count, size))
    for t, block in enumerate(blocks):
        keys[:, t, :, t] = block
    return keys.reshape(-1, count * size, count * size)
