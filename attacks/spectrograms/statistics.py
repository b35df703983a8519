"""Second moments of a spectrogram's blocks and their neighbours, row of blocks by row of blocks.

Encryption hides what a block holds, not where it stands: an adversary knows which bins a block covers and which blocks
touch it. So every row of blocks has plain statistics of its own, known from background speech, and its ciphertext shows
the same statistics turned by the one key.

Blocks of a query are laid out `(rows, columns, N)`: rows from low to high frequency, columns in time. The
neighbourhood of a block is itself and the blocks beside, below and above it, `(rows, columns, q, N)`; a neighbour
beyond the lowest or highest row is zero, in plain speech and ciphertext alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import to_blocks
from wrongkey.keys.key_cut import KeyCut

Offset = tuple[int, int]  # rows up, columns on
BESIDE: tuple[Offset, ...] = ((0, 0), (0, -1), (0, 1))
CROSS: tuple[Offset, ...] = (*BESIDE, (-1, 0), (1, 0))


@dataclass(frozen=True)
class Moments:
    """Moments of neighbourhoods of q blocks.

    Attributes
    ----------
    mean : Tensor
        `(rows, q, N)`.
    second : Tensor
        Second moments about zero, `(rows, q, N, q, N)`.
    count : int
        Number of neighbourhoods.
    """

    mean: Tensor
    second: Tensor
    count: int

    @property
    def covariance(self) -> Tensor:
        """Second moments about the mean, `(rows, q, N, q, N)`."""
        return self.second - torch.einsum("faj,fbk->fajbk", self.mean, self.mean)

    def along(self, basis: Tensor) -> Moments:
        """Return the moments of the blocks' coordinates along the columns of `basis (N, r)`."""
        second = torch.einsum("faibj,ik,jl->fakbl", self.second, basis, basis)
        return Moments(self.mean @ basis, second, self.count)


def block_grid(query: Tensor, cut: KeyCut) -> Tensor:
    """Return the blocks `(rows, columns, N)` of a spectrogram `(bins, frames)`, float64, repeats left out.

    The highest row is filled with zeros, as a user encrypts it; frames behind the last whole block are left out.
    Columns that equal the one before are filling (silence behind the speech, at the floor of the logarithm) and no
    sample of speech. Raises BadInput for a query with fewer frames than a block.
    """
    bins, frames = query.shape
    size = cut.block_size
    if frames < cut.steps:
        raise BadInput(f"A query of {bins} bins and {frames} frames holds no whole block of {size}.")
    query = pad(query.double(), (0, 0, 0, -bins % size))
    if cut.blocks is Blocks.FRAMES:
        grid = to_blocks(query, size, cut.blocks).transpose(0, 1)
    else:
        grid = to_blocks(query, size, cut.blocks, tail="drop")
    changes = torch.ones(grid.shape[1], dtype=torch.bool)
    changes[1:] = (grid[:, 1:] != grid[:, :-1]).any(0).any(-1)
    return grid[:, changes]


def offsets(rows: int) -> tuple[Offset, ...]:
    """Return which neighbours count: of a single row those before and after."""
    return CROSS if rows > 1 else BESIDE


def neighbourhoods(grid: Tensor) -> Tensor:
    """Return the neighbourhoods `(rows, columns - 2, q, N)` of blocks `(rows, columns, N)`.

    The first and last column are neighbours only.
    """
    rows, columns, size = grid.shape
    framed = grid.new_zeros(rows + 2, columns, size)
    framed[1:-1] = grid
    parts = [framed[1 + up : 1 + up + rows, 1 + on : columns - 1 + on] for up, on in offsets(rows)]
    return torch.stack(parts, dim=2)


def moments(grids: Iterable[Tensor]) -> Moments:
    """Return the moments of all neighbourhoods in block grids `(rows, columns, N)` of equal rows.

    Raises BadInput where there is none.
    """
    first: Tensor | None = None
    second: Tensor | None = None
    count = 0
    for grid in grids:
        if grid.shape[1] < 3:
            continue
        around = neighbourhoods(grid)
        rows, columns, near, size = around.shape
        flat = around.reshape(rows, columns, near * size)
        total, product = flat.sum(1), flat.mT @ flat
        first = total if first is None else first + total
        second = product if second is None else second + product
        shape = near, size
        count += columns
    if first is None or second is None:
        raise BadInput("The speech holds no three blocks in a row: give longer recordings.")
    rows = len(first)
    return Moments(first.reshape(rows, *shape) / count, second.reshape(rows, *shape, *shape) / count, count)
