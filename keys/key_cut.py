"""How a key cuts what a layer reads: the kind of its blocks and their size, decided once and passed on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks, check_block
from wrongkey.keys.lifted import axes_of


@dataclass(frozen=True, init=False)
class KeyCut:
    """Blocks of `block_size` M, and so a key of `size` N = M ** dims.

    Parameters
    ----------
    blocks
        The kind of blocks, or its name.
    block_size
        M, at least 1.

    Raises
    ------
    BadInput
        For an unknown name and for a block size below 1.

    Examples
    --------
    >>> KeyCut("tiles", 4).size
    16
    """

    blocks: Blocks
    block_size: int

    def __init__(self, blocks: Blocks | str, block_size: int) -> None:
        object.__setattr__(self, "blocks", Blocks.named(blocks))
        object.__setattr__(self, "block_size", block_size)
        check_block(self.block_size, self.dims)

    @classmethod
    def for_layer(
        cls, layer: nn.Module, blocks: Blocks | str | None = None, block_size: int | None = None, name: str = ""
    ) -> KeyCut:
        """What is asked for, or else what the layer itself implies: `default_blocks` and `natural_block`.

        Parameters
        ----------
        layer
            The first layer of a network.
        blocks, block_size
            What is asked for; None leaves it to the layer.
        name
            Of the layer, for error messages.

        Returns
        -------
        KeyCut
            How keys cut what the layer reads.

        Raises
        ------
        BadInput
            Where a part of it is neither asked for nor implied.

        Examples
        --------
        >>> KeyCut.for_layer(nn.Conv1d(1, 64, 10, stride=10))
        KeyCut(blocks=<Blocks.SAMPLES: 'samples'>, block_size=10)
        """
        chosen = blocks_for(layer, blocks, name)
        if block_size is None:
            block_size = natural_block(layer, chosen)
        if block_size is None:
            raise BadInput(f"The layer {name!r} has no block size of its own for {chosen}: name one.")
        return cls(chosen, block_size)

    @property
    def dims(self) -> int:
        """Dimensions of the key, 1 or 2."""
        return self.blocks.dims

    @property
    def size(self) -> int:
        """N, elements of a block."""
        return int(self.block_size**self.dims)

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of a query, counted from its end, that blocks cut."""
        return self.blocks.axes

    @property
    def steps(self) -> int:
        """Samples or frames of time that a block takes."""
        return self.blocks.steps(self.block_size)

    def reads_whole(self, layer: nn.Module) -> bool:
        """Whether a layer is a convolution each of whose outputs reads one block, and all of it; no lifting is needed.

        That is a kernel and stride of one block without padding or gaps. A Conv1d reads blocks of samples so, and a
        Conv2d reads tiles.
        """
        if not isinstance(layer, nn.Conv1d | nn.Conv2d) or self.blocks is Blocks.FRAMES:
            return False
        if isinstance(layer, nn.Conv2d) != (self.blocks is Blocks.TILES):
            return False
        return all(axis.reads_one_block for axis in axes_of(layer, self.block_size))


def blocks_for(layer: nn.Module, asked: Blocks | str | None, name: str = "") -> Blocks:
    """The blocks that are asked for, or else those that the layer implies; BadInput where it implies none."""
    chosen = Blocks.named(asked) if asked is not None else default_blocks(layer)
    if chosen is None and natural_block(layer, Blocks.SAMPLES) is not None:
        return Blocks.SAMPLES  # of every channel, as for a single one
    if chosen is None:
        raise BadInput(
            f"The layer {name!r} reads {getattr(layer, 'in_channels', 'several')} channels: say whether a key cuts "
            "them, as the bins of a spectrogram, into tiles or frames, or each of them into samples."
        )
    return chosen


def default_blocks(layer: nn.Module) -> Blocks | None:
    """How keys cut the queries of a layer unless something else is asked for.

    Parameters
    ----------
    layer
        A Conv1d of one channel reads samples; one of several channels reads a spectrogram (tiles or frames, as asked)
        or channels of samples. A Conv2d reads tiles; Linear and recurrent layers read frames.

    Returns
    -------
    Blocks or None
        None where the layer does not imply it.

    Examples
    --------
    >>> default_blocks(nn.Linear(80, 256))
    <Blocks.FRAMES: 'frames'>
    """
    if isinstance(layer, nn.Conv2d):
        return Blocks.TILES
    if isinstance(layer, nn.Conv1d):
        return Blocks.SAMPLES if layer.in_channels == 1 else None
    return Blocks.FRAMES if isinstance(layer, nn.Linear | nn.RNN | nn.LSTM | nn.GRU) else None


def natural_block(layer: nn.Module, blocks: Blocks) -> int | None:
    """The block size that a layer itself has: a kernel that is its stride, or a whole frame; None where it has none."""
    if blocks is Blocks.FRAMES and not isinstance(layer, nn.Conv2d):
        widths = (getattr(layer, name, None) for name in ("in_channels", "in_features", "input_size"))
        return next((width for width in widths if width is not None), None)
    kernel: tuple[int, ...] = getattr(layer, "kernel_size", ())
    return kernel[0] if kernel and KeyCut(blocks, kernel[0]).reads_whole(layer) else None
