"""The modules that a model holds: copied, cast and moved together."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.hardware import is_out_of_memory
from wrongkey.evaluation.models.completed import unwrapped
from wrongkey.evaluation.models.protocol import Model

AnyModel = TypeVar("AnyModel", bound=Model)

# Layers whose answers depend on whether they are in training mode.
TRAINED = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd, nn.RNNBase, nn.MultiheadAttention)
# Unlike nn.Module.to(dtype), these leave complex tensors alone.
CASTS = {
    torch.float64: nn.Module.double,
    torch.float32: nn.Module.float,
    torch.bfloat16: nn.Module.bfloat16,
    torch.float16: nn.Module.half,
}


def modules_of(model: Model) -> list[nn.Module]:
    """Return ``network`` and the modules beside it: the user's object and its attributes, where they are modules."""
    own = unwrapped(model)
    held = [model.network, own, *getattr(own, "__dict__", {}).values()]
    return [module for module in held if isinstance(module, nn.Module)]


def in_training(model: Model) -> list[str]:
    """Return names and types of the layers in training mode, as ``norm (BatchNorm1d)``."""
    layers = {
        id(layer): f"{name or 'the layer itself'} ({type(layer).__name__})"
        for module in modules_of(model)
        for name, layer in module.named_modules()
        if isinstance(layer, TRAINED) and layer.training
    }
    return list(layers.values())


def copied(model: AnyModel) -> AnyModel:
    """Return a copy that shares nothing with the model; raises BadInput for an object that cannot be copied."""
    try:
        return copy.deepcopy(model)
    except Exception as error:  # a user's object may refuse in any way
        if is_out_of_memory(error):
            raise
        raise BadInput(
            f"Model {model.name} cannot be copied, as it must be to take a key ({in_one_line(error)}): give an object "
            "that copy.deepcopy takes."
        ) from error


def cast(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return the module itself, its real floating-point tensors in ``dtype``; integers and complex numbers stay."""
    return CASTS[dtype](module)


def move(model: Model, device: torch.device | None, dtype: torch.dtype) -> None:
    """Bring every module that a model holds to a device (None: where it is) and a precision, in place."""
    for module in modules_of(model):
        cast(module, dtype).to(device)


def widened(model: AnyModel, double: bool) -> AnyModel:
    """Return the model with float32 weights, or with float64 ones where some are and ``double`` keeps them.

    Weights saved in half precision lose nothing, and ``--precision`` alone decides in which precision a network runs.
    The user's object stays as it is: where weights must be cast, those of a copy are.
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
