"""Encryption of models (paper, III-B): every first-layer kernel e becomes K⁻¹ e, so that x K K⁻¹ e = x e.

A convolution whose kernel, stride and block are equal stays a convolution. Any other first layer that is linear in
the query is lifted first (wrongkey.keys.lift), which holds for every kernel, stride that divides the block, padding and
dilation, for Linear and for recurrent layers. The key acts on the block of every input channel.

Where the speech is no multiple of the block, an encrypted network answers as the plain one on speech padded with
zeros to whole blocks, which may give more output frames. Compare with the padded plain query, or encrypt with
tail="drop".
"""

import copy
from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.compatibility import keyed_weights, mismatch, why_not_keyed
from wrongkey.keys.inverse import inverse_of
from wrongkey.keys.key import SecretKey
from wrongkey.keys.key_cut import KeyCut, blocks_for, natural_block
from wrongkey.keys.lift import absorb, lift
from wrongkey.keys.query import Cut, Key, Matrix, block_of_matrix, key_matrix


def encrypt_model(network: nn.Module, layer_name: str, key: Key, blocks: Cut | None = None) -> nn.Module:
    """A copy of `network` that answers queries under `key` as the network answers plain ones.

    The weights are computed in float64 and cast back; the bias, which no input touches, stays. The copy holds neither
    the plain weights nor the key; `wrongkey.keys.lift` says what lifted weights show of the key.

    Parameters
    ----------
    network
        Any module; it is copied, never changed.
    layer_name
        Dotted name of the first layer; the lifted, encrypted layer takes its place. Empty for the network itself.
    key
        A key or a matrix `(N, N)`.
    blocks
        How the key cuts queries; None takes `default_blocks` of the layer. A `KeyCut` says the whole of it.

    Returns
    -------
    nn.Module
        The encrypted network.

    Raises
    ------
    BadInput
        With the reason, where the layer cannot take the key exactly.

    Examples
    --------
    >>> key, network = SecretKey.from_seed("rom", 4, seed=0), nn.Sequential(nn.Conv1d(1, 2, 4, stride=4))
    >>> encrypted = encrypt_model(network, "0", key)
    >>> encrypted[0].weight.shape
    torch.Size([2, 1, 4])
    """
    layer = first_layer(network, layer_name)
    cut = check_exact(layer, layer_name, key, blocks)
    assert cut is not None  # a key was given
    encrypted = _lifted(network, layer_name, cut)
    absorb(encrypted.get_submodule(layer_name), key_matrix(key), cut)
    return encrypted


def lift_model(network: nn.Module, layer_name: str, block_size: int, blocks: Cut | None = None) -> nn.Module:
    """A copy of `network` with its first layer lifted for keys of `block_size`, under no key yet.

    It has the architecture of what `encrypt_model` returns, so it takes such a state dict.

    Parameters
    ----------
    network
        Any module; it is copied, never changed.
    layer_name
        Dotted name of the first layer.
    block_size
        M of the keys.
    blocks
        How keys cut queries; None takes `default_blocks` of the layer. A `KeyCut` says the whole of it.

    Returns
    -------
    nn.Module
        The lifted network.

    Raises
    ------
    BadInput
        With the reason, where the layer cannot take such keys exactly.

    Examples
    --------
    >>> plain, key = nn.Sequential(nn.Conv1d(1, 2, 3)), SecretKey.from_seed("rom", 4, seed=0)
    >>> network = lift_model(plain, "0", 4)
    >>> network.load_state_dict(encrypt_model(plain, "0", key).state_dict())
    <All keys matched successfully>
    """
    layer = first_layer(network, layer_name)
    if reason := why_not_keyed(layer):
        raise _refusal(layer_name, reason)
    cut = blocks if isinstance(blocks, KeyCut) else KeyCut.for_layer(layer, blocks, block_size, layer_name)
    if reason := mismatch(layer, cut):
        raise _refusal(layer_name, reason)
    return _lifted(network, layer_name, cut)


def encrypt_kernels(weight: Tensor, key: Matrix) -> Tensor:
    """Kernels K⁻¹ e of kernels e (out, in / groups, *block): float64, of the same shape."""
    rows = weight.detach().to(torch.float64).flatten(2)
    return (rows @ inverse_of(key_matrix(key)).mT.to(weight.device)).reshape(weight.shape)


def relative_kernels(weight: Tensor, keys: Matrix, model_key: Matrix) -> Tensor:
    """The kernels K' K⁻¹ e: what a model under `model_key` computes, asked with each of `keys`.

    As rows this is w K⁻ᵀ K'ᵀ, since x K' K⁻¹ e = x (K' K⁻¹ e).

    Parameters
    ----------
    weight
        `(out, in / groups, *block)`, the plain layer's.
    keys
        `(n, N, N)`, of the queries.
    model_key
        `(N, N)`.

    Returns
    -------
    Tensor
        Float64 `(n, out, in / groups, *block)`.

    Raises
    ------
    BadInput
        Where the keys have another shape.

    Examples
    --------
    >>> keys = torch.eye(3).repeat(2, 1, 1)
    >>> relative_kernels(torch.ones(5, 1, 3), keys, keys[0]).shape
    torch.Size([2, 5, 1, 3])
    """
    rows = encrypt_kernels(weight, model_key).flatten(2)  # (out, in / groups, N)
    queries = key_matrix(keys).to(weight.device)
    if queries.ndim != 3:
        raise BadInput(f"Query keys must be (keys, N, N), and these are {tuple(queries.shape)}.")
    kernels = rows.flatten(0, 1) @ queries.mT
    return kernels.reshape(len(queries), *weight.shape)


def first_layer(network: nn.Module, name: str) -> nn.Module:
    """The layer with this dotted name; BadInput with the nearest names where there is none."""
    layers: dict[str, nn.Module] = dict(network.named_modules(remove_duplicate=False))
    if name in layers:
        return layers[name]
    near = get_close_matches(name, layers, n=3, cutoff=0.3) or keyable_layers(network)[:3]
    hint = f": did you mean {' or '.join(near)}?" if near else "."
    raise BadInput(f"The network has no layer {name!r}{hint}")


def check_exact(layer: nn.Module, name: str = "", key: Key | None = None, blocks: Cut | None = None) -> KeyCut | None:
    """Raise BadInput, with the reason in one sentence, unless the layer can absorb a key (this key) exactly.

    Returns how the key cuts what the layer reads, None where no key was given.
    """
    if reason := why_not_keyed(layer):
        raise _refusal(name, reason)
    if key is None:
        return None
    cut = _cut_by(layer, name, key, blocks)
    if reason := mismatch(layer, cut):
        raise _refusal(name, reason)
    return cut


def check_unshared(network: nn.Module, name: str) -> None:
    """Raise BadInput where the network holds a keyed weight under another name too: both would be keyed."""
    layer = network.get_submodule(name)
    for own in [f"{name}.{weight}" if name else weight for weight in keyed_weights(layer)]:
        weight = network.get_parameter(own)
        for other, parameter in network.named_parameters(remove_duplicate=False):
            if other == own or is_lazy(parameter):  # a lazy one has no memory yet
                continue
            if parameter is weight or parameter.data_ptr() == weight.data_ptr() != 0:
                raise _refusal(name, f"its weight is shared with {other!r}")


def keyable_layers(network: nn.Module) -> list[str]:
    """Names of the layers that can take a key; whether the query reaches one unchanged is for the caller to know.

    Parameters
    ----------
    network
        Any module.

    Returns
    -------
    list of str
        Dotted names, in the network's order.

    Examples
    --------
    >>> keyable_layers(nn.Sequential(nn.Conv1d(1, 2, 4), nn.ReLU(), nn.Linear(2, 2)))
    ['0', '2']
    """
    return [
        name for name, layer in network.named_modules() if why_not_keyed(layer) is None and _unshared(network, name)
    ]


def _lifted(network: nn.Module, layer_name: str, cut: KeyCut) -> nn.Module:
    """A copy of the network with its first layer, which can take such a key, lifted."""
    check_unshared(network, layer_name)
    lifted = lift(first_layer(network, layer_name), cut)
    if not layer_name:
        return lifted
    copied = copy.deepcopy(network)
    copied.set_submodule(layer_name, lifted)
    return copied


def _refusal(name: str, reason: str) -> BadInput:
    return BadInput(f"The layer {name!r} cannot take a key exactly, because {reason}.")


def _unshared(network: nn.Module, name: str) -> bool:
    try:
        check_unshared(network, name)
    except BadInput:
        return False
    return True


def _cut_by(layer: nn.Module, name: str, key: Key, blocks: Cut | None) -> KeyCut:
    """How a key cuts what a layer reads; BadInput where the layer does not imply it, or the key does not fit it."""
    chosen = blocks.blocks if isinstance(blocks, KeyCut) else blocks_for(layer, blocks, name)
    exact = isinstance(blocks, KeyCut) and not isinstance(key, SecretKey)  # a matrix whose N need be no square
    if not exact and (reason := _key_mismatch(layer, key, chosen)):
        raise _refusal(name, reason)
    if isinstance(blocks, KeyCut):
        if (size := key_matrix(key).shape[-1]) != blocks.size:
            raise _refusal(name, f"it reads {blocks} of N = {blocks.size}, and the key has N = {size}")
        return blocks
    if isinstance(key, SecretKey):
        return key.cut(chosen)
    return KeyCut(chosen, block_of_matrix(key.shape[-1], chosen.dims))


def _key_mismatch(layer: nn.Module, key: Key, blocks: Blocks) -> str | None:
    """Why a key does not fit these blocks, for any layer, or None."""
    dims, natural = blocks.dims, None
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        natural = natural_block(layer, Blocks.SAMPLES if isinstance(layer, nn.Conv1d) else Blocks.TILES)
    size = "" if natural is None else f" of block size {natural}"
    if isinstance(key, SecretKey):
        if key.dims == dims:
            return None
        return f"it reads {dims}-D blocks and the key is for {key.dims}-D blocks: give a {dims}-D key{size}"
    shape = tuple(key.shape)
    if len(shape) == 2 and shape[0] == shape[1] and round(shape[0] ** (1 / dims)) ** dims == shape[0] > 0:
        return None
    return f"it takes a matrix (N, N){', N a square,' if dims == 2 else ''} and this one is {shape}"
