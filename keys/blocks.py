"""How a key cuts speech: the three kinds of blocks. Knows no torch.

samples: M consecutive samples of a waveform (..., samples); N = M.
tiles: an M x M tile of a spectrogram (..., bins, frames), flattened row by row; N = M * M.
frames: M consecutive bins of one frame of a spectrogram; N = M, and M = bins makes a block of every whole frame.

`wrongkey.keys.cutting` cuts tensors; `wrongkey.keys.key_cut.KeyCut` is the kind with its block size.
"""

from __future__ import annotations

from enum import StrEnum

from wrongkey.errors import BadInput


class Blocks(StrEnum):
    """What a block is; each member is its own name, as the command line and run folders write it.

    Examples
    --------
    >>> Blocks("tiles").dims, Blocks.FRAMES.axes
    (2, (-2,))
    """

    SAMPLES = "samples"
    TILES = "tiles"
    FRAMES = "frames"

    @classmethod
    def named(cls, blocks: str | int) -> Blocks:
        """The kind of this name.

        Parameters
        ----------
        blocks
            "samples", "tiles" or "frames"; the dimensions 1 and 2 stand for samples and tiles.

        Returns
        -------
        Blocks
            The member.

        Raises
        ------
        BadInput
            For any other name or number.

        Examples
        --------
        >>> Blocks.named(2)
        <Blocks.TILES: 'tiles'>
        """
        if isinstance(blocks, int):
            check_block(1, blocks)
            return cls.SAMPLES if blocks == 1 else cls.TILES
        try:
            return cls(blocks)
        except ValueError:
            raise BadInput(f"A key cuts speech into samples, tiles or frames, not into {blocks!r}.") from None

    @property
    def dims(self) -> int:
        """Dimensions of the key: N = M ** dims."""
        return 2 if self is Blocks.TILES else 1

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of a query, counted from its end, that blocks cut into lengths of M."""
        return {Blocks.SAMPLES: (-1,), Blocks.TILES: (-2, -1), Blocks.FRAMES: (-2,)}[self]

    @property
    def query_axes(self) -> int:
        """Axes of a query at its end: 1 of a waveform, 2 of a spectrogram."""
        return 1 if self is Blocks.SAMPLES else 2

    @property
    def noun(self) -> str:
        """The kind in a sentence."""
        return {"samples": "blocks of samples", "tiles": "tiles", "frames": "blocks of a frame's bins"}[self]


def check_block(block_size: int, dims: int) -> None:
    """Raise BadInput unless `dims` is 1 or 2 and `block_size` at least 1."""
    if dims not in (1, 2):
        raise BadInput(f"A key works in 1 dimension (waveforms) or 2 (spectrograms), not in {dims}.")
    if block_size < 1:
        raise BadInput(f"A block size must be at least 1, not {block_size}.")
