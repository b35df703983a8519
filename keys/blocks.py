"""Cuts speech into blocks (paper, eqs. 1 to 3) and joins them again, for tensors of any device and dtype.

A waveform (..., samples) becomes blocks (..., t, M) of M consecutive samples; a spectrogram
(..., bins, frames) becomes tiles (..., f, t, M * M), each M x M tile flattened row by row. A tail shorter
than a block is filled with zeros to a whole block (`tail="pad"`) or left out (`tail="drop"`, Algorithm 1).
Everything is differentiable.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from keys.errors import BadInput
from keys.key import check_block

Tail = Literal["pad", "drop"]


def to_blocks(speech: Tensor, block_size: int, dims: int, tail: Tail = "pad") -> Tensor:
    """(..., samples) -> (..., t, M) for dims = 1, (..., bins, frames) -> (..., f, t, M * M) for dims = 2.

    Raises BadInput for empty speech and, with tail="drop", for speech shorter than a block.
    """
    check_block(block_size, dims)
    if tail not in ("pad", "drop"):
        raise BadInput(f"The tail of speech is either 'pad' or 'drop', not {tail!r}.")
    if speech.ndim < dims or speech.numel() == 0:
        raise BadInput(f"Speech of shape {tuple(speech.shape)} holds nothing to cut into {dims}-D blocks.")
    lead, extent = speech.shape[:-dims], speech.shape[-dims:]
    if tail == "pad":
        missing = [-length % block_size for length in extent]
        if any(missing):
            last_first = [amount for length in reversed(missing) for amount in (0, length)]
            speech = F.pad(speech, last_first)
    else:
        if min(extent) < block_size:
            raise BadInput(f"Speech of extent {tuple(extent)} is shorter than one block of {block_size}: pad its tail.")
        for axis, length in enumerate(extent, start=-dims):
            speech = speech.narrow(axis, 0, length - length % block_size)
    if dims == 1:
        return speech.reshape(*lead, -1, block_size)
    rows, columns = (length // block_size for length in speech.shape[-2:])
    tiles = speech.reshape(*lead, rows, block_size, columns, block_size).transpose(-3, -2)
    return tiles.reshape(*lead, rows, columns, block_size * block_size)


def from_blocks(blocks: Tensor, block_size: int, dims: int, extent: tuple[int, ...] | None = None) -> Tensor:
    """The inverse of `to_blocks`; `extent` ((samples,) or (bins, frames)) cuts the padding off."""
    if dims == 1:
        speech = blocks.reshape(*blocks.shape[:-2], -1)
    else:
        *lead, rows, columns, _ = blocks.shape
        tiles = blocks.reshape(*lead, rows, columns, block_size, block_size).transpose(-3, -2)
        speech = tiles.reshape(*lead, rows * block_size, columns * block_size)
    return speech if extent is None else cut(speech, dims, extent)


def cut(speech: Tensor, dims: int, extent: tuple[int, ...]) -> Tensor:
    """The first (samples,) or (bins, frames) of speech that has at least so many; BadInput otherwise."""
    whole = tuple(speech.shape[-dims:])
    if len(extent) != dims or any(not 0 < part <= full for part, full in zip(extent, whole, strict=True)):
        raise BadInput(f"Speech of extent {whole} cannot be cut to {tuple(extent)}.")
    for axis, length in enumerate(extent, start=-dims):
        speech = speech.narrow(axis, 0, length)
    return speech
