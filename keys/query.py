"""Encryption of queries (paper, III-A): every block row vector x becomes x K.

Speech is a torch tensor or a numpy array: waveforms (samples,), (batch, samples) or (batch, channels,
samples); spectrograms (bins, frames), (batch, bins, frames) or (batch, channels, bins, frames). `blocks` says
how speech is cut (wrongkey.keys.blocks): "samples", "tiles" or "frames"; a 1-D key cuts samples and a 2-D key tiles
unless "frames" is asked for, which needs a 1-D key too. A key is a `SecretKey`, a raw matrix (N, N), or a batch of raw
matrices (keys, N, N). A raw matrix does not show its dimensions: name its `blocks`, or `dims` with N = M ** dims.
"""

from math import isqrt
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import Tail, cut, rows_of, speech_of
from wrongkey.keys.inverse import inverse_of
from wrongkey.keys.key import SecretKey
from wrongkey.keys.key_cut import KeyCut

Matrix = NDArray[np.float64] | Tensor
Key = SecretKey | Matrix
Cut = KeyCut | Blocks | str


@overload
def encrypt_query(
    speech: Tensor,
    key: Key,
    *,
    tail: Tail = "pad",
    dims: int | None = None,
    blocks: Cut | None = None,
) -> Tensor: ...
@overload
def encrypt_query(
    speech: NDArray[np.floating[Any]],
    key: Key,
    *,
    tail: Tail = "pad",
    dims: int | None = None,
    blocks: Cut | None = None,
) -> NDArray[np.floating[Any]]: ...
def encrypt_query(
    speech: Tensor | NDArray[np.floating[Any]],
    key: Key,
    *,
    tail: Tail = "pad",
    dims: int | None = None,
    blocks: Cut | None = None,
) -> Tensor | NDArray[np.floating[Any]]:
    """Encrypt speech block by block (paper, III-A).

    The product is made in the speech's dtype and on its device; float16 and bfloat16 are computed in float32. It is
    differentiable.

    Parameters
    ----------
    speech
        A waveform `(samples,)` or a spectrogram `(bins, frames)`, with up to two axes for batch and channels before.
    key
        A key, a matrix `(N, N)`, or matrices `(keys, N, N)`, which put a leading axis before the result.
    tail
        "pad" fills the last block with zeros, "drop" leaves out what does not fill one.
    dims
        1 or 2, of a raw matrix without `blocks`.
    blocks
        How speech is cut; None takes samples for a 1-D key and tiles for a 2-D key. A `KeyCut` says the whole of it.

    Returns
    -------
    Tensor or NDArray
        As the speech was given, whole blocks long.

    Raises
    ------
    BadInput
        For speech that is not floating point, not finite, empty or of another rank, and where `blocks`, `dims` and
        the key contradict each other.

    Examples
    --------
    >>> flip = np.diag([1.0, -1.0])
    >>> encrypt_query(np.array([1.0, 2.0, 3.0]), flip, blocks="samples") + 0.0
    array([ 1., -2.,  3.,  0.])
    """
    tensor = _checked(speech)
    matrix, key_cut = _matrix(key, dims, blocks)
    _check_rank(tensor, key_cut)
    encrypted = speech_of(_product(rows_of(tensor, key_cut, tail), matrix), key_cut)
    return encrypted if isinstance(speech, Tensor) else encrypted.detach().numpy()


@overload
def decrypt_query(
    encrypted: Tensor,
    key: Key,
    *,
    extent: int | tuple[int, ...] | None = None,
    dims: int | None = None,
    blocks: Cut | None = None,
) -> Tensor: ...
@overload
def decrypt_query(
    encrypted: NDArray[np.floating[Any]],
    key: Key,
    *,
    extent: int | tuple[int, ...] | None = None,
    dims: int | None = None,
    blocks: Cut | None = None,
) -> NDArray[np.floating[Any]]: ...
def decrypt_query(
    encrypted: Tensor | NDArray[np.floating[Any]],
    key: Key,
    *,
    extent: int | tuple[int, ...] | None = None,
    dims: int | None = None,
    blocks: Cut | None = None,
) -> Tensor | NDArray[np.floating[Any]]:
    """Undo `encrypt_query` with the same key and blocks, up to rounding (exactly for Shuffling and Flipping).

    Parameters
    ----------
    encrypted
        Whole blocks. A batch of keys decrypts the same speech with each of them.
    key, dims, blocks
        As they were given to `encrypt_query`.
    extent
        Samples, or `(bins, frames)`, of the plain speech: the padding is cut off.

    Returns
    -------
    Tensor or NDArray
        As the speech was given.

    Raises
    ------
    BadInput
        Where the speech is not whole blocks.

    Examples
    --------
    >>> key = SecretKey.from_seed("shuffling", 4, seed=0)
    >>> decrypt_query(encrypt_query(np.arange(6.0), key), key, extent=6)
    array([0., 1., 2., 3., 4., 5.])
    """
    matrix, key_cut = _matrix(key, dims, blocks)
    _check_rank(encrypted, key_cut)
    whole = tuple(encrypted.shape[-key_cut.blocks.query_axes :])
    lengths = key_cut.lengths
    if any(encrypted.shape[axis] % length for axis, length in zip(key_cut.axes, lengths, strict=True)):
        raise BadInput(
            f"Encrypted speech of extent {whole} is not whole blocks of {key_cut.block_size}: give the key that it was "
            "encrypted with."
        )
    plain = encrypt_query(_tensor(encrypted), inverse_of(matrix), blocks=key_cut)
    if extent is not None:
        extent = (extent,) if isinstance(extent, int) else tuple(extent)
        plain = cut(plain, key_cut.blocks.query_axes, extent)
    return plain if isinstance(encrypted, Tensor) else plain.detach().numpy()


def key_matrix(key: Key) -> Tensor:
    """The matrix (N, N) of a key, or the matrices (keys, N, N) of a batch, as a float64 tensor."""
    matrix = _tensor(key.matrix if isinstance(key, SecretKey) else key)
    if matrix.ndim not in (2, 3) or matrix.shape[-1] != matrix.shape[-2] or matrix.numel() == 0:
        raise BadInput(f"A key is a square matrix or a batch of them, and this one is {tuple(matrix.shape)}.")
    return matrix.to(torch.float64)


def block_of_matrix(size: int, dims: int) -> int:
    """Block size M of a key of N = `size` elements; BadInput where N is not M ** dims."""
    block_size = size if dims == 1 else isqrt(size)
    if block_size**dims != size:
        raise BadInput(f"A key of N = {size} has no {dims}-D blocks: N must be a square.")
    return block_size


def _matrix(key: Key, dims: int | None, blocks: Cut | None) -> tuple[Tensor, KeyCut]:
    """Matrix or matrices of a key, and how it cuts speech."""
    matrix = key_matrix(key)
    if isinstance(blocks, KeyCut):
        if matrix.shape[-1] != blocks.size:
            raise BadInput(f"A key of {blocks} has N = {blocks.size}, and this one has {matrix.shape[-1]}.")
        return matrix, blocks
    if blocks is not None:
        blocks = Blocks.named(blocks)
        if dims not in (None, blocks.dims):
            raise BadInput(f"Blocks of {blocks} need a {blocks.dims}-D key, and {dims}-D was asked for.")
        dims = blocks.dims
    if isinstance(key, SecretKey):
        if dims not in (None, key.dims):
            asked = f"{dims}-D" if blocks is None else f"{dims}-D ({blocks})"
            raise BadInput(f"This key is for {key.dims}-D blocks, and {asked} was asked for.")
        return matrix, key.cut(blocks)
    if dims is None:
        raise BadInput("A raw matrix needs dims=1 (waveforms) or dims=2 (spectrograms), or the name of its blocks.")
    return matrix, KeyCut(blocks or Blocks.named(dims), block_of_matrix(matrix.shape[-1], dims))


def _check_rank(speech: Tensor | NDArray[Any], key_cut: KeyCut) -> None:
    shape, axes, size = tuple(speech.shape), key_cut.blocks.query_axes, key_cut.block_size
    if axes == 2 and speech.ndim == 1:
        wanted = f"{size} × {size} tiles" if key_cut.blocks is Blocks.TILES else f"{size} bins of the frames"
        raise BadInput(
            f"Speech of shape {shape} is a waveform, and this key is for {wanted} of "
            "spectrograms: a waveform needs a key of 1-D blocks."
        )
    if not axes <= speech.ndim <= axes + 2:
        kind = "a waveform" if axes == 1 else "a spectrogram"
        raise BadInput(
            f"Speech of shape {shape} is not {kind}, nor a batch or channels of them: give it {axes} to {axes + 2} "
            "dimensions."
        )


def _checked(speech: Tensor | NDArray[np.floating[Any]]) -> Tensor:
    tensor = _tensor(speech)
    if not tensor.is_floating_point():
        raise BadInput(f"Speech must be floating point, and this is {tensor.dtype}: convert it first.")
    finite = torch.isfinite(tensor)
    if not bool(finite.all()):
        index = tuple((~finite).nonzero()[0].tolist())
        raise BadInput(f"Speech must be finite, and the value at index {index} is {tensor[index].item()}.")
    return tensor


def _tensor(array: Tensor | NDArray[Any]) -> Tensor:
    """The same memory where torch can have it: contiguous and writable."""
    return array if isinstance(array, Tensor) else torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _product(blocks: Tensor, matrix: Tensor) -> Tensor:
    """(*lead, N) times (N, N) -> (*lead, N); times (keys, N, N) -> (keys, *lead, N)."""
    dtype = blocks.dtype if blocks.dtype in (torch.float32, torch.float64) else torch.float32
    rows = blocks.reshape(-1, blocks.shape[-1]).to(dtype)
    product = (rows @ matrix.to(blocks.device, dtype)).to(blocks.dtype)
    return product.reshape(*matrix.shape[:-2], *blocks.shape)
