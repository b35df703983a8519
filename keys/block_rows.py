"""The weights of a lifted first layer as rows of blocks: the layout in which a key multiplies them.

Every block of the query meets one row of each kernel, so encrypting the layer is the product of all rows with the key
(`wrongkey.keys.lift.absorb`). Axes that the key does not cut keep their place: f and t count blocks along the bins
and along time, r and c run inside a block.
"""

from einops import rearrange
from torch import Tensor

from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut

# (blocks, axes of the weight) -> how the weight is written, and its rows
_LAYOUTS = {
    (Blocks.SAMPLES, 3): ("out channel (t c)", "out channel t c"),  # Conv1d
    # Tiles that a key takes together are numbered by p (along bins) and q (along time); one of the two is 1.
    (Blocks.TILES, 4): ("out channel (f p r) (t q c)", "out channel f t (p q r c)"),  # Conv2d
    (Blocks.TILES, 3): ("out (f p r) (t q c)", "out f t (p q r c)"),  # Conv1d over the bins of a spectrogram
    (Blocks.FRAMES, 3): ("out (f r) kernel", "out f kernel r"),  # Conv1d
    (Blocks.FRAMES, 2): ("out (f r)", "out f r"),  # Linear and recurrent layers
}


def rows_of_blocks(weight: Tensor, cut: KeyCut) -> Tensor:
    """Blocks of a lifted layer's weight as rows, each block flattened row by row.

    Parameters
    ----------
    weight
        Of a lifted layer, `(out, ...)`: every axis that the key cuts is a whole number of blocks.
    cut
        How the key cuts what the layer reads.

    Returns
    -------
    Tensor
        `(out, ..., N)`, in the weight's dtype and on its device; a view where the layout allows it.

    Examples
    --------
    >>> import torch
    >>> rows_of_blocks(torch.zeros(16, 3, 40), KeyCut(Blocks.SAMPLES, 8)).shape
    torch.Size([16, 3, 5, 8])
    >>> rows_of_blocks(torch.zeros(16, 1, 8, 12), KeyCut(Blocks.TILES, 4)).shape
    torch.Size([16, 1, 2, 3, 16])
    """
    written, rows = _LAYOUTS[cut.blocks, weight.ndim]
    return rearrange(weight, f"{written} -> {rows}", **_lengths(cut))


def weight_of_rows(rows: Tensor, cut: KeyCut) -> Tensor:
    """The weight whose rows of blocks these are: the inverse of `rows_of_blocks`.

    Parameters
    ----------
    rows
        `(out, ..., N)`, as `rows_of_blocks` lays them out.
    cut
        How the key cuts what the layer reads.

    Returns
    -------
    Tensor
        `(out, ...)`, of the weight's shape.

    Examples
    --------
    >>> import torch
    >>> cut = KeyCut(Blocks.FRAMES, 8)
    >>> weight = torch.arange(96.0).reshape(2, 16, 3)
    >>> torch.equal(weight_of_rows(rows_of_blocks(weight, cut), cut), weight)
    True
    """
    written, layout = _LAYOUTS[cut.blocks, rows.ndim - 1]
    return rearrange(rows, f"{layout} -> {written}", **_lengths(cut))


def _lengths(cut: KeyCut) -> dict[str, int]:
    """Extents of what a key takes together by the names of its axes."""
    if cut.blocks is Blocks.TILES:
        rows, columns = cut.lengths
        return {"p": rows // cut.block_size, "q": columns // cut.block_size, "r": cut.block_size, "c": cut.block_size}
    return {{Blocks.SAMPLES: "c", Blocks.FRAMES: "r"}[cut.blocks]: cut.lengths[0]}
