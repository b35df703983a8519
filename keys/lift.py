"""Block lifting: a first layer rewritten so that it reads whole blocks, and a key multiplied into it.

Decryption fused with the layer, layer(y K⁻¹), is a linear map of every block, so it has plain weights. Lifting finds
them for the identity key: a kernel = stride convolution stays as it is, any other becomes a `LiftedConvolution`, and
layers that read the bins of a frame only need their inputs padded to whole blocks. Every axis of the lifted weights
that a key cuts is then a whole number of blocks, and the key multiplies each block of them.

What lifted weights show of the key. Where the stride s is smaller than the block, the kernels of the B / s phases
are one plain kernel, each s samples later than the one before. That shift S, seen through the key, is Kᵀ S K, a
least-squares solution over the encrypted weights alone, and its chain of images gives K up to one orthogonal
matrix of s x s repeated in every phase: for s = 1 the whole key up to its sign
(tests/keys/test_lift.py::test_a_stride_below_the_block_shows_the_key_to_who_holds_the_model). An incorrect user
learns nothing from that, but anyone who holds the encrypted model does: against the cloud the key is only as strong as
one of `hidden_elements` elements. A block equal to the stride, and blocks of frames, show nothing of the kind.
"""

import copy
from math import prod
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.keys.block_rows import rows_of_blocks, weight_of_rows
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.compatibility import keyed_weights, mismatch, why_not_keyed
from wrongkey.keys.inverse import inverse_of
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.lifted import LiftedConvolution

Layer = TypeVar("Layer", bound=nn.Module)


def lift(layer: nn.Module, cut: KeyCut) -> nn.Module:
    """A copy of `layer` that reads whole blocks and answers what the layer answers to queries padded to them.

    Parameters
    ----------
    layer
        A Conv1d, Conv2d, Linear, RNN, LSTM or GRU; it is copied, never changed.
    cut
        How keys cut its input. Under samples and tiles a convolution becomes a `LiftedConvolution`, unless kernel,
        stride and block are equal. Under frames the layer keeps its class, with its input bins padded to a multiple of
        the block. A Conv1d under tiles is padded and lifted.

    Returns
    -------
    nn.Module
        Under no key yet.

    Raises
    ------
    BadInput
        With the reason, where the layer cannot take a key exactly.

    Examples
    --------
    >>> lift(nn.Conv1d(1, 2, 4, stride=2), KeyCut("samples", 8)).weight.shape
    torch.Size([8, 1, 16])
    """
    if reason := why_not_keyed(layer) or mismatch(layer, cut):
        raise BadInput(f"This layer cannot take a key exactly, because {reason}.")
    if cut.reads_whole(layer):
        return copy.deepcopy(layer)
    if not isinstance(layer, nn.Conv1d | nn.Conv2d) or cut.blocks is Blocks.FRAMES:
        return _with_whole_bins(layer, cut.lengths[0])
    if isinstance(layer, nn.Conv1d) and cut.blocks is Blocks.TILES:
        return LiftedConvolution(_with_whole_bins(layer, cut.lengths[0]), cut.lengths)
    return LiftedConvolution(layer, cut.lengths)


def absorb(lifted: nn.Module, matrix: Tensor, cut: KeyCut) -> None:
    """Absorb the key `matrix` (N, N) in a lifted layer, in place; computed in float64 and cast back."""
    for name in keyed_weights(lifted):
        weight = lifted.get_parameter(name)
        with torch.no_grad():
            weight.copy_(under_key(weight, matrix, cut))


def under_key(weight: Tensor, matrix: Tensor, cut: KeyCut) -> Tensor:
    """Every block w of a lifted layer's weight becomes w K⁻ᵀ (w K of an orthogonal key): float64, of the same shape."""
    rows = rows_of_blocks(weight.detach().to(torch.float64), cut)
    return weight_of_rows(rows @ inverse_of(matrix).mT.to(weight.device), cut)


def hidden_elements(lifted: nn.Module, size: int) -> int:
    """The most elements of a key that stay hidden from anyone who holds the lifted, encrypted layer.

    Fewer stay hidden where the kernel is not a multiple of the stride: its zero ends show the order within a stride,
    too (`wrongkey.attacks.weights.shifted_kernels`).

    Parameters
    ----------
    lifted
        A layer that `lift` gave.
    size
        N, elements of the key.

    Returns
    -------
    int
        From 1 to `size`.

    Examples
    --------
    >>> hidden_elements(lift(nn.Conv1d(1, 2, 4, stride=2), KeyCut("samples", 8)), 8)
    2
    """
    return size // prod(axis.phases for axis in lifted.axes) if isinstance(lifted, LiftedConvolution) else size


def multiplications(layer: nn.Module) -> float:
    """Multiplications of a layer per position of its input: a sample, a frame, or a bin of a frame for a Conv2d.

    The ratio of a lifted layer's to the plain layer's is what lifting costs.

    Parameters
    ----------
    layer
        Plain or lifted.

    Returns
    -------
    float
        Multiplications per position.

    Raises
    ------
    BadInput
        For a layer that cannot take a key.

    Examples
    --------
    >>> multiplications(nn.Conv1d(1, 64, 10, stride=10))
    64.0
    """
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return layer.weight.numel() / prod(layer.stride)
    if isinstance(layer, LiftedConvolution):
        return layer.weight.numel() / prod(axis.block for axis in layer.axes)
    if isinstance(layer, nn.Linear | nn.RNN | nn.LSTM | nn.GRU):
        return float(sum(weight.numel() for name, weight in layer.named_parameters() if name.startswith("weight")))
    raise BadInput(f"The multiplications of a {type(layer).__name__} are not known.")


def _with_whole_bins(layer: Layer, length: int) -> Layer:
    """A copy with its input bins, axis 1 of its weights, padded with zeros to a multiple of `length`."""
    wide = copy.deepcopy(layer)
    names = keyed_weights(layer)
    weights = [wide.get_parameter(name) for name in names]
    missing = -weights[0].shape[1] % length
    if missing == 0:
        return wide
    for name, weight in zip(names, weights, strict=True):
        padding = [0, 0] * (weight.ndim - 2) + [0, missing]
        setattr(wide, name, nn.Parameter(F.pad(weight.detach(), padding), requires_grad=weight.requires_grad))
    width = next(name for name in ("in_channels", "in_features", "input_size") if hasattr(wide, name))
    setattr(wide, width, getattr(wide, width) + missing)
    if isinstance(wide, nn.RNN | nn.LSTM | nn.GRU):
        wide.flatten_parameters()
    return wide
