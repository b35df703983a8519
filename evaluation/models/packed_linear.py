"""Linear layers whose weights oneDNN packs once, on x86 processors.

PyTorch's eager linear layer multiplies by its BLAS, MKL, which takes half of what a processor of AMD can do
(docs/performance.md, "The roofline"). `torch.compile` packs weights with the same two operators where it freezes them
and is told to expect any batch; for one batch it packs float32 for MKL.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_AVAILABLE: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call,unused-ignore]
PACKS = _AVAILABLE and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


class PackedLinear(nn.Module):
    """A linear layer, with a leaky ReLU where a slope is given: `(…, in)` to `(…, out)`.

    It packs in `torch.inference_mode` alone. Elsewhere (gradients, forward-mode derivatives, tracing), under autocast,
    on other devices and in other precisions it computes as `nn.Linear` does. A change of the weights is seen, but for
    one in place through `weight.data`, which PyTorch does not count. Weights that were made in inference mode are not
    packed, since PyTorch counts none of their changes: make the model outside of it.

    Parameters
    ----------
    weight : Tensor
        `(out, in)`.
    bias : Tensor
        `(out,)`.
    slope : float, optional
        Of the leaky ReLU below zero; None for no activation.
    """

    def __init__(self, weight: Tensor, bias: Tensor, slope: float | None = None) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.slope = slope
        self._packed: tuple[Tensor, tuple[int, int], Tensor] | None = None  # of which weight, its state, packed

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's answer."""
        if self._packs(x):
            activation, slopes = ("none", []) if self.slope is None else ("leaky_relu", [self.slope])
            found: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._of_now(), self.bias, activation, slopes, "")
            return found
        y = nn.functional.linear(x, self.weight, self.bias)
        return y if self.slope is None else nn.functional.leaky_relu(y, self.slope, inplace=True)

    def _packs(self, x: Tensor) -> bool:
        if not (PACKS and torch.is_inference_mode_enabled() and x.device.type == "cpu"):
            return False
        known = x.dtype == self.weight.dtype == torch.float32 and not self.weight.is_inference()
        return known and not torch.is_autocast_enabled("cpu")

    def _of_now(self) -> Tensor:
        """The packed weights, made again where the weights have been changed or replaced."""
        state = self.weight.data_ptr(), self.weight._version
        if self._packed is None or self._packed[0] is not self.weight or self._packed[1] != state:
            packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), None)
            self._packed = self.weight, state, packed
        return self._packed[2]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the packed weights out of copies, which make their own."""
        return {**self.__dict__, "_packed": None}
