"""The modules that a model holds: copied, cast and moved together."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.hardware import is_out_of_memory
from wrongkey.evaluation.models.completed import unwrapped

if TYPE_CHECKING:
    from wrongkey.evaluation.models.protocol import Model

Of = TypeVar("Of", bound="Model")

# Layers whose answers depend on the mode; the flag of any other module means nothing.
TRAINED = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd, nn.RNNBase, nn.MultiheadAttention)
# Unlike nn.Module.to(dtype), these leave complex tensors alone.
CASTS = {
    torch.float64: nn.Module.double,
    torch.float32: nn.Module.float,
    torch.bfloat16: nn.Module.bfloat16,
    torch.float16: nn.Module.half,
}


def modules_of(model: Model) -> list[nn.Module]:
    """``network``, and the modules beside it: the user's object and its attributes, where they are modules."""
    own = unwrapped(model)
    held = [model.network, own, *getattr(own, "__dict__", {}).values()]
    return [module for module in held if isinstance(module, nn.Module)]


def in_training(model: Model) -> list[str]:
    """Names and types of the layers in training mode, as ``norm (BatchNorm1d)``."""
    layers = {
        id(layer): f"{name or 'the layer itself'} ({type(layer).__name__})"
        for module in modules_of(model)
        for name, layer in module.named_modules()
        if isinstance(layer, TRAINED) and layer.training
    }
    return list(layers.values())


def copied(model: Of) -> Of:
    """A copy that shares nothing; BadInput for an object that cannot be copied."""
    try:
        return copy.deepcopy(model)
    except Exception as error:  # a user's object may refuse in any way
        if is_out_of_memory(error):
            raise
        raise BadInput(
            f"model {model.name} cannot be copied, as it must be to take a key ({in_one_line(error)}): give an object "
            "that copy.deepcopy takes"
        ) from error


def cast(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The module itself, its real floating-point tensors in ``dtype``; whole and complex numbers stay."""
    return CASTS[dtype](module)


def move(model: Model, device: torch.device | None, dtype: torch.dtype) -> None:
    """Brings every module that a model holds to a device (None: where it is) and a precision, in place."""
    for module in modules_of(model):
        cast(module, dtype).to(device)


def widened(model: Of, double: bool) -> Of:
    """A model whose weights are float32, or float64 where some are and ``double`` wants them kept.

    Weights saved in half precision lose nothing by it, and ``--precision`` alone says in what a network runs. The
    user's object stays as it is: where anything must be cast, a copy is.
    """
    weights = (weight for module in modules_of(model) for weight in module.parameters())
    found = {weight.dtype for weight in weights if weight.is_floating_point()}
    wanted = torch.float64 if double and torch.float64 in found else torch.float32
    if found <= {wanted}:
        return model
    model = copied(model)
    for module in modules_of(model):
        cast(module, wanted)
    return model
