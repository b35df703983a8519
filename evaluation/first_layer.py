"""A model's first layer under keys: under several at once, or encrypted as the provider holds it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wrongkey.evaluation.models.modules import cast, copied
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import SecretKey, encrypt_model
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut


class KeyedFirstLayer(nn.Module):
    """A convolution that answers for several keys at once.

    ``kernels``, the one thing that changes, has shape ``(keys, out, in / groups, *block)``; an input ``(batch, in, …)``
    becomes ``(keys · batch, out, …)``, key by key. ``plain_weight`` keeps the layer's own kernels, float64 on the CPU.
    With ``frames_first`` the answer of a one-channel Conv1d is laid out frame by frame in memory, as the product gives
    it: no copy, but ``view`` does not work on it.
    """

    kernels: Tensor

    def __init__(self, layer: nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer
        self.plain_weight = layer.weight.detach().to("cpu", torch.float64)
        self.frames_first = False
        self.register_buffer("kernels", layer.weight.detach()[None].clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, in, …)`` to ``(keys · batch, out, …)``."""
        if isinstance(self.layer, nn.Conv1d) and self.layer.in_channels == 1 and self.frames_first:
            return self._multiply(x)
        keys, out = self.kernels.shape[:2]
        if keys == 1:
            return self._convolve(x, self.kernels[0], self.layer.bias)
        if self.layer.groups > 1:  # stacked outputs would fall into the wrong groups
            return torch.cat([self._convolve(x, kernel, self.layer.bias) for kernel in self.kernels])
        bias = None if self.layer.bias is None else self.layer.bias.repeat(keys)
        z = self._convolve(x, self.kernels.flatten(0, 1), bias)  # (batch, keys · out, …)
        return z.reshape(len(x), keys, out, *z.shape[2:]).transpose(0, 1).flatten(0, 1)

    def _multiply(self, x: Tensor) -> Tensor:
        """Every block of a waveform times every kernel, as one product.

        It is faster than a convolution whose rows are as short as a block.
        """
        keys, out, _, block = self.kernels.shape
        blocks = x[:, 0, : x.shape[-1] // block * block].reshape(1, -1, block).expand(keys, -1, -1)
        kernels = self.kernels[:, :, 0].transpose(1, 2)  # (keys, block, out)
        if self.layer.bias is None:
            z = blocks @ kernels
        else:
            z = torch.baddbmm(self.layer.bias.expand(keys, 1, -1), blocks, kernels)
        return z.reshape(keys * len(x), -1, out).transpose(1, 2)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve = nn.functional.conv1d if isinstance(self.layer, nn.Conv1d) else nn.functional.conv2d
        return convolve(x, weight, bias, stride=self.layer.stride, groups=self.layer.groups)


def with_first_layer(model: Model, layer: nn.Module) -> Model:
    """A copy of ``model`` whose first layer is ``layer``."""
    model = copied(model)
    model.network.set_submodule(model.first_layer, layer)
    return model


def encrypt_first_layer(
    model: Model, key: SecretKey, blocks: KeyCut | Blocks | None = None, dtype: torch.dtype | None = None
) -> Model:
    """What the provider holds: a copy of ``model`` with its first layer under ``key``.

    The layer is made in ``dtype``, or in its own where that is None. Raises BadInput as ``encrypt_model`` does.
    """
    network = copied(model).network
    encrypted = encrypt_model(network if dtype is None else cast(network, dtype), model.first_layer, key, blocks)
    return with_first_layer(model, encrypted.get_submodule(model.first_layer))
