"""First-layer weights as rows of blocks: what a key multiplies, so that plain rows times the key are encrypted ones."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import nn

from wrongkey.attacks.base import Matrix, Setting
from wrongkey.attacks.solvers.stable_linalg import array_singular_values
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys.block_rows import rows_of_blocks
from wrongkey.keys.compatibility import keyed_weights
from wrongkey.keys.lifted import LiftedConvolution
from wrongkey.keys.model import lift_model


def lifted_layer(plain: Model, setting: Setting) -> nn.Module:
    """The plain model's first layer, lifted as encryption lifts it; raises BadInput where it cannot be."""
    lifted = lift_model(plain.network, plain.first_layer, setting.block_size, setting.blocks)
    return lifted.get_submodule(plain.first_layer)


def keyed_rows(layer: nn.Module, setting: Setting, kernels: Sequence[int] | None = None) -> Matrix:
    """Blocks `(rows, N)` of a lifted layer's keyed weights, float64, under a key or not.

    `kernels` are output channels of the layer (for a lifted convolution, of the plain one), all unless given. Rows of
    one kernel are side by side; those of a layer's several weights follow one another.
    """
    phases = prod(axis.phases for axis in layer.axes) if isinstance(layer, LiftedConvolution) else 1
    found = []
    for name in keyed_weights(layer):
        weight = layer.get_parameter(name).detach().to("cpu", torch.float64)
        if kernels is not None:
            weight = weight.reshape(-1, phases, *weight.shape[1:])[list(kernels)].flatten(0, 1)
        found.append(rows_of_blocks(weight, setting.cut).flatten(0, -2))
    return torch.cat(found).numpy()


def channels(layer: nn.Module) -> int:
    """Kernels of a layer: output channels, or rows of its first keyed weight."""
    return int(getattr(layer, "out_channels", layer.get_parameter(keyed_weights(layer)[0]).shape[0]))


def independent(rows: Matrix) -> int:
    """Rank of rows, above the rounding of float32."""
    singular = array_singular_values(rows)
    return int((singular > 1e-6 * max(float(singular[0]), 1e-300)).sum())
