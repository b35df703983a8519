"""Keys of several independent blocks along the diagonal, as of ROMs in turn: what an attack may leave out.

A key of N = P M whose P blocks are known to be all that is not zero has P M^2 unknowns in place of N^2. A plain key is
the case P = 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wrongkey.attacks.solvers.stable_linalg import polar
from wrongkey.keys.schemes import Scheme
from wrongkey.keys.structure import Part


def independent_blocks(scheme: Scheme, size: int) -> int:
    """P, the independent blocks along the diagonal of a scheme's keys of N = `size`; 1 where none are public."""
    return size // independent_block(scheme, size).size


def independent_block(scheme: Scheme, size: int) -> Part:
    """What each of these blocks is a key of."""
    structure = scheme.structure
    if structure is None or structure.base is None or not structure.alike:
        return Part(scheme, size)
    return independent_block(structure.base, structure.parts(size)[0].size)


def diagonal_blocks(matrix: Tensor, count: int) -> Tensor:
    """The `count` blocks (P, M, M) along the diagonal of a matrix (N, N)."""
    size, place = len(matrix) // count, torch.arange(count)
    return matrix.reshape(count, size, count, size)[place, :, place]


def of_blocks(blocks: Tensor) -> Tensor:
    """The matrix (N, N) with these blocks (P, M, M) along its diagonal, and nothing else."""
    count, size, _ = blocks.shape
    matrix, place = blocks.new_zeros(count, size, count, size), torch.arange(count)
    matrix[place, :, place] = blocks
    return matrix.reshape(count * size, count * size)


def within_blocks(matrix: Tensor, count: int) -> Tensor:
    """A matrix (N, N) without what lies outside its blocks."""
    return matrix if count == 1 else of_blocks(diagonal_blocks(matrix, count))


def nearest_key(matrix: Tensor, count: int) -> Tensor:
    """The nearest orthogonal matrix (N, N) of so many blocks."""
    return polar(matrix) if count == 1 else of_blocks(polar(diagonal_blocks(matrix, count)))
