"""How a key cuts what a layer reads: the kind of its blocks, their size, and how many are taken together."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks, check_block
from wrongkey.keys.lifted import axes_of
from wrongkey.keys.schemes import Scheme
from wrongkey.keys.structure import Along


@dataclass(frozen=True, init=False)
class KeyCut:
    """Blocks of `block_size` M, `span` P of them taken together, and so a key of `size` N = P M ** dims.

    Parameters
    ----------
    blocks
        The kind of blocks, or its name.
    block_size
        M, at least 1.
    span
        P, blocks of a super-block; 1 for a key of single blocks.
    along
        The axis of a query along which the tiles of a super-block lie: "time" or "bins". Samples lie along time, blocks
        of frames along bins.

    Raises
    ------
    BadInput
        For an unknown name and for a block size or span below 1.

    Examples
    --------
    >>> KeyCut("tiles", 4).size, KeyCut("tiles", 4, span=3).lengths
    (16, (4, 12))
    """

    blocks: Blocks
    block_size: int
    span: int = 1
    along: Along = "time"

    def __init__(self, blocks: Blocks | str, block_size: int, span: int = 1, along: Along = "time") -> None:
        object.__setattr__(self, "blocks", Blocks.named(blocks))
        object.__setattr__(self, "block_size", block_size)
        object.__setattr__(self, "span", span)
        object.__setattr__(self, "along", along if self.blocks is Blocks.TILES else "time")
        check_block(self.block_size, self.dims)
        if span < 1:
            raise BadInput(f"A key multiplies at least 1 block, not {span}.")

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
        KeyCut(blocks=<Blocks.SAMPLES: 'samples'>, block_size=10, span=1, along='time')
        """
        chosen = blocks_for(layer, blocks, name)
        if block_size is None:
            block_size = natural_block(layer, chosen)
        if block_size is None:
            raise BadInput(f"The layer {name!r} has no block size of its own for {chosen}: name one.")
        return cls(chosen, block_size)

    def __str__(self) -> str:
        """The cut in words."""
        return f"{self.blocks.noun} of {self.block_size}" + (f", {self.span} together" if self.span > 1 else "")

    @property
    def dims(self) -> int:
        """Dimensions of the key, 1 or 2."""
        return self.blocks.dims

    @property
    def size(self) -> int:
        """N, elements that the key multiplies together."""
        return int(self.span * self.block_size**self.dims)

    @property
    def lengths(self) -> tuple[int, ...]:
        """What the key takes together along each of `axes`."""
        whole = self.span * self.block_size
        if self.blocks is not Blocks.TILES:
            return (whole,)
        return (whole, self.block_size) if self.along == "bins" else (self.block_size, whole)

    @property
    def merged(self) -> KeyCut:
        """The same cut as single blocks, where the P blocks are a longer one: samples and frames; tiles stay."""
        return self if self.blocks is Blocks.TILES else KeyCut(self.blocks, self.lengths[0])

    def under(self, scheme: Scheme) -> KeyCut:
        """The same cut with as many blocks taken together as the keys of a scheme multiply."""
        structure = scheme.structure
        along: Along = "time" if structure is None else structure.along
        if along == "bins" and self.blocks is not Blocks.TILES:
            raise BadInput(f"Only tiles lie side by side along bins, and {scheme.name} would cut {self.blocks}.")
        return replace(self, span=scheme.span, along=along)

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of a query, counted from its end, that blocks cut."""
        return self.blocks.axes

    @property
    def steps(self) -> int:
        """Samples or frames of time that the key takes together."""
        return 1 if self.blocks is Blocks.FRAMES else self.lengths[-1]

    def reads_whole(self, layer: nn.Module) -> bool:
        """Whether a layer is a convolution each of whose outputs reads one block, and all of it; no lifting is needed.

        That is a kernel and stride of one block without padding or gaps. A Conv1d reads blocks of samples so, and a
        Conv2d reads tiles.
        """
        if not isinstance(layer, nn.Conv1d | nn.Conv2d) or self.blocks is Blocks.FRAMES:
            return False
        if isinstance(layer, nn.Conv2d) != (self.blocks is Blocks.TILES):
            return False
        return all(axis.reads_one_block for axis in axes_of(layer, self.lengths))


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
