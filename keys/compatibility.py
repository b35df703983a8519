"""Which layers can absorb a key exactly, and why the others cannot: every reason is the rest of one sentence."""

from math import lcm

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.lifted import LiftedConvolution, axes_of

POSSIBLE = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.RNN, nn.LSTM, nn.GRU)


def keyed_weights(layer: nn.Module) -> list[str]:
    """Names of the weights that multiply the layer's input: all that a key changes."""
    if not isinstance(layer, nn.RNN | nn.LSTM | nn.GRU):
        return ["weight"]
    return ["weight_ih_l0", "weight_ih_l0_reverse"] if layer.bidirectional else ["weight_ih_l0"]


def why_not_keyed(layer: nn.Module) -> str | None:
    """Why no key of any block can be absorbed exactly, or None."""
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        return "it is a transposed convolution, which spreads a block instead of reading it"
    if isinstance(layer, LiftedConvolution):
        return "it is lifted already: encrypt the plain model"
    base = next((kind for kind in POSSIBLE if isinstance(layer, kind)), None)
    if base is None:
        return _foreign(layer)
    calls = ("forward", "_conv_forward") if base in (nn.Conv1d, nn.Conv2d) else ("forward",)
    if any(call in vars(layer) or getattr(type(layer), call) is not getattr(base, call) for call in calls):
        return f"its class {type(layer).__name__} computes something else than {base.__name__}"
    weights = [layer._parameters.get(name) for name in keyed_weights(layer)]
    return next((reason for weight in weights if (reason := _weight_not_keyed(weight))), None) or _hooked(layer)


def mismatch(layer: nn.Module, cut: KeyCut) -> str | None:
    """Why a layer that some key fits cannot take keys with this cut, or None."""
    blocks = cut.blocks
    if not isinstance(layer, nn.Conv1d | nn.Conv2d):
        if blocks is Blocks.FRAMES:
            return None
        kind = _a(type(layer))
        if blocks is Blocks.TILES and cut.steps > 1:
            return f"it is {kind}, which reads one frame at a time, and a tile mixes {cut.steps}: ask for frames"
        return f"it is {kind}, which reads frames of features: ask for blocks of frames, not of {blocks}"
    if isinstance(layer, nn.Conv2d):
        if blocks is not Blocks.TILES:
            return f"it is a Conv2d, which reads 2-D tiles, not blocks of {blocks}: ask for tiles"
    elif blocks is Blocks.FRAMES:
        return _straddling(layer, cut.lengths[0])
    if blocks is Blocks.TILES and isinstance(layer, nn.Conv1d) and layer.groups > 1:
        return f"its {layer.groups} groups each read different bins, and a tile may mix them: ask for frames"
    if layer.padding_mode != "zeros" and any(axis.before or axis.after for axis in axes_of(layer, cut.lengths)):
        return f"it pads its input by {layer.padding_mode}, not with zeros, and would copy samples out of their blocks"
    if any(axis.block % axis.stride for axis in axes_of(layer, cut.lengths)):
        stride = layer.stride[0] if len(set(layer.stride)) == 1 else layer.stride
        block = f"a block of {cut.block_size}" + (f", {cut.span} together," if cut.span > 1 else "")
        multiple = lcm(*layer.stride)
        return f"{block} is not a multiple of its stride {stride}: give {multiple}, or a multiple of it"
    return None


def _foreign(layer: nn.Module) -> str:
    kind, possible = _a(type(layer)), "only Conv1d, Conv2d, Linear, RNN, LSTM and GRU are possible"
    norm = next((type(part) for part in layer.modules() if "Norm" in type(part).__name__), None)
    if norm is None:
        return f"it is {kind}, which is not known to be linear in its input: {possible}"
    inside = "" if norm is type(layer) else f" with {_a(norm)}"
    return f"it is {kind}{inside}, which is not linear in its input: {possible}"


def _weight_not_keyed(weight: Tensor | None) -> str | None:
    if weight is None:
        return "its weight is parametrised (weight norm, spectral norm, pruning): make it a plain weight first"
    if is_lazy(weight):
        return "its weight has no shape yet: run the network once"
    if type(weight.data) is not Tensor:
        return f"its weight is {_a(type(weight.data))}, perhaps quantised: make it a plain tensor first"
    if not weight.is_floating_point() or weight.dtype.itemsize < torch.bfloat16.itemsize:
        return f"its weight is {weight.dtype}, not floating point of 16 bits or more"
    return None


def _hooked(layer: nn.Module) -> str | None:
    if layer._forward_pre_hooks or layer._forward_hooks:
        return "it has forward hooks, which may change what it reads or answers: remove them first"
    return None


def _straddling(layer: nn.Conv1d, block_size: int) -> str | None:
    bins = layer.in_channels // layer.groups
    if layer.groups == 1 or bins % block_size == 0:
        return None
    return f"blocks of {block_size} bins straddle its {layer.groups} groups of {bins}: give a block that divides {bins}"


def _a(kind: type) -> str:
    name = kind.__name__
    return f"{'an' if name[0] in 'AEIOU' or name in ('LSTM', 'RNN') else 'a'} {name}"
