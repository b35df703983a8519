"""Encrypts models (paper, III-B): every first-layer kernel e becomes K^T e, so that x K K^T e = x e.

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
from wrongkey.keys.compatibility import keyed_weights, mismatch, obstacle
from wrongkey.keys.key import SecretKey
from wrongkey.keys.key_cut import KeyCut, natural_block
from wrongkey.keys.lift import absorb, lift
from wrongkey.keys.query import Key, Matrix, block_of_matrix, key_matrix


def encrypt_model(network: nn.Module, layer_name: str, key: Key, blocks: Blocks | str | None = None) -> nn.Module:
    """A copy of `network` that answers queries under `key` as the network answers plain ones.

    layer_name: dotted name of the first layer; the lifted, encrypted layer takes its place.
    blocks: how the key cuts queries (wrongkey.keys.blocks); None takes `default_blocks` of the layer.
    The weights are computed in float64 and cast back; the bias, which no input touches, stays. The copy
    holds neither the plain weights nor the key; what lifted weights show of the key stands in wrongkey.keys.lift.
    Raises BadInput with the reason where the layer cannot take the key exactly.
    """
    layer = first_layer(network, layer_name)
    cut = check_exact(layer, layer_name, key, blocks)
    assert cut is not None  # a key was given
    encrypted = lift_model(network, layer_name, cut.block_size, cut.blocks)
    absorb(encrypted.get_submodule(layer_name), key_matrix(key), cut)
    return encrypted


def lift_model(network: nn.Module, layer_name: str, block_size: int, blocks: Blocks | str | None = None) -> nn.Module:
    """A copy of `network` with its first layer lifted for keys of `block_size`, under no key yet.

    It has the architecture of `encrypt_model`'s answer, so it takes such a state dict:

        network = lift_model(plain, "conv1", 8, "tiles")
        network.load_state_dict(safetensors.torch.load_file("encrypted.safetensors"))
    """
    layer = first_layer(network, layer_name)
    if blocks is None and (reason := obstacle(layer)):
        raise _refusal(layer_name, reason)
    cut = KeyCut.for_layer(layer, blocks, block_size, layer_name)
    if reason := obstacle(layer) or mismatch(layer, cut):
        raise _refusal(layer_name, reason)
    check_unshared(network, layer_name)
    lifted = lift(layer, cut)
    if not layer_name:
        return lifted
    copied = copy.deepcopy(network)
    copied.set_submodule(layer_name, lifted)
    return copied


def encrypt_kernels(weight: Tensor, key: Matrix) -> Tensor:
    """Kernels K^T e of kernels e (out, in / groups, *block): float64, of the same shape."""
    rows = weight.detach().to(torch.float64).flatten(2)
    return (rows @ key_matrix(key).to(weight.device)).reshape(weight.shape)


def relative_kernels(weight: Tensor, keys: Matrix, model_key: Matrix) -> Tensor:
    """The plain model's kernels K' K^T e: what a model under `model_key` computes asked with each of `keys`.

    weight (out, in / groups, *block), keys (n, N, N) and model_key (N, N) give float64
    (n, out, in / groups, *block). As rows: w K K'^T, since x K' K^T e = x (K' K^T e).
    """
    rows = encrypt_kernels(weight, model_key).flatten(2)  # (out, in / groups, N)
    queries = key_matrix(keys).to(weight.device)
    if queries.ndim != 3:
        raise BadInput(f"Query keys must be (keys, N, N), and these are {tuple(queries.shape)}.")
    kernels = rows.flatten(0, 1) @ queries.mT
    return kernels.reshape(len(queries), *weight.shape)


def first_layer(network: nn.Module, name: str) -> nn.Module:
    """The layer with this dotted name; BadInput naming the nearest names where there is none."""
    layers: dict[str, nn.Module] = dict(network.named_modules(remove_duplicate=False))
    if name in layers:
        return layers[name]
    near = get_close_matches(name, layers, n=3, cutoff=0.3) or keyable_layers(network)[:3]
    hint = f": did you mean {' or '.join(near)}?" if near else "."
    raise BadInput(f"The network has no layer {name!r}{hint}")


def check_exact(
    layer: nn.Module, name: str = "", key: Key | None = None, blocks: Blocks | str | None = None
) -> KeyCut | None:
    """BadInput, with the reason in one sentence, unless the layer can absorb a key (this key) exactly.

    Returns how the key cuts what the layer reads, None where no key was given.
    """
    if reason := obstacle(layer):
        raise _refusal(name, reason)
    if key is None:
        return None
    cut = _cut_by(layer, name, key, blocks)
    if reason := mismatch(layer, cut):
        raise _refusal(name, reason)
    return cut


def check_unshared(network: nn.Module, name: str) -> None:
    """BadInput where the network holds a keyed weight under another name too: both would be keyed."""
    layer = network.get_submodule(name)
    for own in [f"{name}.{weight}" if name else weight for weight in keyed_weights(layer)]:
        weight = network.get_parameter(own)
        for other, parameter in network.named_parameters(remove_duplicate=False):
            if other == own or is_lazy(parameter):  # a lazy one has no memory yet
                continue
            if parameter is weight or parameter.data_ptr() == weight.data_ptr() != 0:
                raise _refusal(name, f"its weight is shared with {other!r}")


def keyable_layers(network: nn.Module) -> list[str]:
    """Names of the layers that can take a key; whether the query reaches one unchanged is the caller's knowledge."""
    return [name for name, layer in network.named_modules() if obstacle(layer) is None and _unshared(network, name)]


def _refusal(name: str, reason: str) -> BadInput:
    return BadInput(f"The layer {name!r} cannot take a key exactly: {reason}.")


def _unshared(network: nn.Module, name: str) -> bool:
    try:
        check_unshared(network, name)
    except BadInput:
        return False
    return True


def _cut_by(layer: nn.Module, name: str, key: Key, blocks: Blocks | str | None) -> KeyCut:
    """How a key cuts what a layer reads; BadInput where the layer does not say it, or the key is none for it."""
    if blocks is None and (reason := obstacle(layer)):
        raise _refusal(name, reason)
    chosen = KeyCut.for_layer(layer, blocks, 1, name).blocks
    if reason := _key_mismatch(layer, key, chosen):
        raise _refusal(name, reason)
    return KeyCut(chosen, key.block_size if isinstance(key, SecretKey) else block_of_matrix(key.shape[-1], chosen.dims))


def _key_mismatch(layer: nn.Module, key: Key, blocks: Blocks) -> str | None:
    """Why a key is none for these blocks, whatever the layer, or None."""
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
