"""Encrypts models (paper, III-B): every first-layer kernel e becomes K^T e, so that x K K^T e = x e.

This holds exactly for a convolution whose kernel, stride and block are equal (`check_exact`). The key acts on
the block of every input channel. Where the speech is no multiple of the block, such a layer leaves the tail
out: a query encrypted with tail="pad" gives one output frame more than the plain query does. Compare with the
padded plain query, or encrypt with tail="drop".
"""

import copy
from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from keys.errors import BadInput
from keys.key import SecretKey
from keys.query import Key, Matrix, key_matrix

Convolution = nn.Conv1d | nn.Conv2d


def encrypt_model(network: nn.Module, layer_name: str, key: Key) -> nn.Module:
    """A copy of `network` that answers queries under `key` as the network answers plain ones.

    layer_name: dotted name of the first layer. The kernels are computed in float64 and cast back; the bias,
    which no input touches, stays. A raw matrix (N, N) takes its dimensions from the layer. Raises BadInput
    with the reason where the layer cannot take the key exactly.
    """
    layer = first_layer(network, layer_name)
    check_exact(layer, layer_name, key)
    check_unshared(network, layer_name)
    encrypted = copy.deepcopy(network)
    weight = encrypted.get_parameter(f"{layer_name}.weight" if layer_name else "weight")
    with torch.no_grad():
        weight.copy_(encrypt_kernels(weight, key_matrix(key)))
    return encrypted


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


def check_exact(layer: nn.Module, name: str = "", key: Key | None = None) -> None:
    """BadInput, with the reason in one sentence, unless the layer can absorb a key of its block exactly."""
    reason = _obstacle(layer) or (None if key is None else _mismatch(layer, key))
    if reason:
        raise BadInput(f"The layer {name!r} cannot take a key exactly: {reason}.")


def check_unshared(network: nn.Module, name: str) -> None:
    """BadInput where the network holds the layer's weight under another name too: both would be keyed."""
    own = f"{name}.weight" if name else "weight"
    weight = network.get_parameter(own)
    for other, parameter in network.named_parameters(remove_duplicate=False):
        if other == own or is_lazy(parameter):  # a lazy one has no memory yet
            continue
        if parameter is weight or parameter.data_ptr() == weight.data_ptr() != 0:
            raise BadInput(f"The layer {name!r} cannot take a key exactly: its weight is shared with {other!r}.")


def keyable_layers(network: nn.Module) -> list[str]:
    """Names of the layers that qualify; whether the query reaches one unchanged is the caller's knowledge."""
    return [name for name, layer in network.named_modules() if _obstacle(layer) is None and _unshared(network, name)]


def layer_block(layer: Convolution) -> tuple[int, int]:
    """Block size M and dimensions (1 or 2) of the key that a layer takes."""
    return layer.kernel_size[0], len(layer.kernel_size)


def _unshared(network: nn.Module, name: str) -> bool:
    try:
        check_unshared(network, name)
    except BadInput:
        return False
    return True


def _obstacle(layer: nn.Module) -> str | None:
    """Why no key can be absorbed exactly, or None."""
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        return "it is a transposed convolution, which spreads a block instead of reading it"
    if not isinstance(layer, nn.Conv1d | nn.Conv2d):
        return f"it is a {type(layer).__name__}, and only Conv1d and Conv2d are possible"
    base = nn.Conv1d if isinstance(layer, nn.Conv1d) else nn.Conv2d
    calls = ("forward", "_conv_forward")
    if any(call in vars(layer) or getattr(type(layer), call) is not getattr(base, call) for call in calls):
        return f"its class {type(layer).__name__} computes something else than {base.__name__}"
    if "weight" not in layer._parameters:
        return "its weight is parametrised (weight norm, spectral norm, pruning): make it a plain weight first"
    if is_lazy(layer.weight):
        return "its weight has no shape yet: run the network once"
    if not layer.weight.is_floating_point():
        return f"its weight is {layer.weight.dtype}, not floating point"
    if len(set(layer.kernel_size)) != 1:
        return f"its kernel {layer.kernel_size} is not square"
    if layer.stride != layer.kernel_size:
        return f"its kernel {layer.kernel_size} and its stride {layer.stride} differ"
    if layer.padding not in ("valid", (0,) * len(layer.kernel_size)):
        return f"it pads its input ({layer.padding!r})"
    if any(step != 1 for step in layer.dilation):
        return f"its dilation {layer.dilation} skips samples"
    return None


def _mismatch(layer: nn.Module, key: Key) -> str | None:
    """Why this key does not fit a layer that has no obstacle, or None."""
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    block_size, dims = layer_block(layer)
    if isinstance(key, SecretKey):
        if key.dims != dims:
            return (
                f"it reads {dims}-D blocks and the key is for {key.dims}-D blocks: "
                f"give a {dims}-D key of block size {block_size}"
            )
        if key.block_size != block_size:
            return (
                f"its kernel has {block_size} and the key has block size {key.block_size}: "
                f"give a key of block size {block_size}"
            )
        return None
    shape, size = tuple(key.shape), block_size**dims
    return None if shape == (size, size) else f"it takes a key of ({size}, {size}) and this matrix is {shape}"
