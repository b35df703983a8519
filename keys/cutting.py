"""Cuts speech into blocks (paper, eqs. 1 to 3) and joins them again, for tensors of any device and dtype.

samples: a waveform (..., samples) becomes blocks (..., t, M) of M consecutive samples.
tiles: a spectrogram (..., bins, frames) becomes tiles (..., f, t, M * M), each M x M tile flattened row by row.
frames: a spectrogram (..., bins, frames) becomes blocks (..., frames, f, M) of M consecutive bins of one frame.

A tail shorter than a block is filled with zeros to a whole block (`tail="pad"`) or left out (`tail="drop"`,
Algorithm 1). Everything is differentiable.
"""

from typing import Literal

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks, check_block
from wrongkey.keys.key_cut import KeyCut

Tail = Literal["pad", "drop"]


def to_blocks(speech: Tensor, block_size: int, blocks: Blocks | str | int, tail: Tail = "pad") -> Tensor:
    """Cut speech into its blocks (paper, eqs. 1 to 3).

    Parameters
    ----------
    speech
        A waveform `(..., samples)` or a spectrogram `(..., bins, frames)`.
    block_size
        M, at least 1.
    blocks
        The kind of blocks, or its name; 1 is samples and 2 is tiles.
    tail
        "pad" fills what is shorter than a block with zeros, "drop" leaves it out.

    Returns
    -------
    Tensor
        `(..., blocks, M)` of samples, `(..., f, t, M * M)` of tiles, `(..., frames, f, M)` of frames.

    Raises
    ------
    BadInput
        For empty speech and, with tail="drop", for speech shorter than a block.

    Examples
    --------
    >>> import torch
    >>> to_blocks(torch.arange(5.0), 2, "samples")
    tensor([[0., 1.],
            [2., 3.],
            [4., 0.]])
    """
    blocks = Blocks.named(blocks)
    axes = blocks.query_axes
    check_block(block_size, blocks.dims)
    if tail not in ("pad", "drop"):
        raise BadInput(f"The tail of speech is either 'pad' or 'drop', not {tail!r}.")
    if speech.ndim < axes or speech.numel() == 0:
        raise BadInput(f"Speech of shape {tuple(speech.shape)} holds nothing to cut into {blocks.noun}.")
    if blocks is Blocks.FRAMES:
        return to_blocks(speech.transpose(-2, -1), block_size, Blocks.SAMPLES, tail)
    lead, extent = speech.shape[:-axes], speech.shape[-axes:]
    if tail == "pad":
        missing = [-length % block_size for length in extent]
        if any(missing):
            last_first = [amount for length in reversed(missing) for amount in (0, length)]
            speech = F.pad(speech, last_first)
    else:
        if min(extent) < block_size:
            raise BadInput(f"Speech of extent {tuple(extent)} is shorter than one block of {block_size}: pad its tail.")
        for axis, length in enumerate(extent, start=-axes):
            speech = speech.narrow(axis, 0, length - length % block_size)
    if blocks is Blocks.SAMPLES:
        return speech.reshape(*lead, -1, block_size)
    rows, columns = (length // block_size for length in speech.shape[-2:])
    tiles = speech.reshape(*lead, rows, block_size, columns, block_size).transpose(-3, -2)
    return tiles.reshape(*lead, rows, columns, block_size * block_size)


def from_blocks(
    cut_blocks: Tensor, block_size: int, blocks: Blocks | str | int, extent: tuple[int, ...] | None = None
) -> Tensor:
    """Join blocks to speech: the inverse of `to_blocks`.

    Parameters
    ----------
    cut_blocks
        As `to_blocks` lays them out.
    block_size
        M.
    blocks
        The kind of blocks, or its name.
    extent
        `(samples,)` or `(bins, frames)` of the plain speech: the padding is cut off.

    Returns
    -------
    Tensor
        `(..., samples)` or `(..., bins, frames)`.

    Raises
    ------
    BadInput
        Where the speech is shorter than `extent`.

    Examples
    --------
    >>> import torch
    >>> from_blocks(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), 2, "samples", (3,))
    tensor([0., 1., 2.])
    """
    blocks = Blocks.named(blocks)
    if blocks is Blocks.TILES:
        *lead, rows, columns, _ = cut_blocks.shape
        tiles = cut_blocks.reshape(*lead, rows, columns, block_size, block_size).transpose(-3, -2)
        speech = tiles.reshape(*lead, rows * block_size, columns * block_size)
    else:
        speech = cut_blocks.reshape(*cut_blocks.shape[:-2], -1)
        speech = speech.transpose(-2, -1).contiguous() if blocks is Blocks.FRAMES else speech
    return speech if extent is None else cut(speech, blocks.query_axes, extent)


def rows_of(speech: Tensor, key_cut: KeyCut, tail: Tail = "pad") -> Tensor:
    """What a key multiplies, as rows `(..., N)`: the blocks of `to_blocks`, or P of them end to end."""
    if key_cut.span == 1:
        return to_blocks(speech, key_cut.block_size, key_cut.blocks, tail)
    if key_cut.blocks is not Blocks.TILES:
        return to_blocks(speech, key_cut.lengths[0], key_cut.blocks, tail)
    rows, columns = key_cut.lengths
    bins, frames = speech.shape[-2:]
    if tail == "pad":
        speech = F.pad(speech, (0, -frames % columns, 0, -bins % rows))
    else:
        speech = speech[..., : bins // rows * rows, : frames // columns * columns]
    tiles = to_blocks(speech, key_cut.block_size, key_cut.blocks, tail)
    return rearrange(tiles, "... (f p) (t q) n -> ... f t (p q n)", **_tiles_together(key_cut))


def speech_of(rows: Tensor, key_cut: KeyCut) -> Tensor:
    """The speech whose rows these are: the inverse of `rows_of`."""
    if key_cut.blocks is not Blocks.TILES:
        return from_blocks(rows, key_cut.lengths[0], key_cut.blocks)
    tiles = rearrange(rows, "... f t (p q n) -> ... (f p) (t q) n", **_tiles_together(key_cut))
    return from_blocks(tiles, key_cut.block_size, key_cut.blocks)


def _tiles_together(key_cut: KeyCut) -> dict[str, int]:
    """Tiles along bins (p) and along time (q) that a key multiplies together."""
    return dict(zip("pq", (length // key_cut.block_size for length in key_cut.lengths), strict=True))


def cut(speech: Tensor, axes: int, extent: tuple[int, ...]) -> Tensor:
    """The first (samples,) or (bins, frames) of speech that has at least that many; BadInput otherwise."""
    whole = tuple(speech.shape[-axes:])
    if len(extent) != axes or any(not 0 < part <= full for part, full in zip(extent, whole, strict=True)):
        raise BadInput(f"Speech of extent {whole} cannot be cut to {tuple(extent)}.")
    for axis, length in enumerate(extent, start=-axes):
        speech = speech.narrow(axis, 0, length)
    return speech
