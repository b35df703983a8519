"""A convolution over whole blocks that computes what another convolution computes over single samples.

Output t of a convolution with stride s reads position t s - p + d j of its input through kernel element j. With
blocks of B, a multiple of s, write t = b (B / s) + r: the outputs of phase r are those of a convolution whose stride
is the block. Its kernels are the plain ones, shifted by r s - p and framed by zeros to whole blocks, so every
kernel sees whole blocks only and a key is absorbed in each of them (docs/design.md: block lifting).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

Convolution = nn.Conv1d | nn.Conv2d


@dataclass(frozen=True)
class Axis:
    """How a convolution walks along one axis of a query, seen in blocks.

    kernel, stride, dilation: of the plain convolution, with `before` and `after` zeros of padding.
    block: B, a multiple of the stride.
    """

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    block: int

    @property
    def phases(self) -> int:
        """Outputs per block, B / s."""
        return self.block // self.stride

    @property
    def reach(self) -> int:
        """Distance from the first to the last position that an output reads, d (k - 1)."""
        return self.dilation * (self.kernel - 1)

    @property
    def first(self) -> int:
        """First block, counted from their own, that the outputs of a block read; at most 0."""
        return -self.before // self.block

    @property
    def last(self) -> int:
        """Last block that they read."""
        return (self.block - self.stride - self.before + self.reach) // self.block

    @property
    def taps(self) -> int:
        """Blocks that the outputs of a block read."""
        return self.last - self.first + 1

    @property
    def reads_one_block(self) -> bool:
        """Whether every output reads one block, and all of it: kernel = stride = block, no padding, no gaps."""
        whole = self.kernel == self.stride == self.block and self.reach == self.block - 1
        return whole and self.before == self.after == 0

    @property
    def surplus(self) -> int:
        """Outputs beyond `phases` per block: n whole blocks give n * phases + surplus."""
        return (self.before + self.after - self.reach - 1) // self.stride + 1

    @property
    def padding(self) -> tuple[int, int]:
        """Samples of padding before and after the whole blocks, themselves whole blocks; never negative."""
        return -self.first * self.block, (self.last - (-self.surplus // self.phases)) * self.block

    def windows(self) -> Tensor:
        """One-hot float64 (phases, kernel, taps, block): where kernel element j of phase r reads."""
        phase, element = torch.arange(self.phases), torch.arange(self.kernel)
        position = phase[:, None] * self.stride - self.before + self.dilation * element
        shifted = position - self.first * self.block
        one_hot = F.one_hot(shifted, self.taps * self.block).to(torch.float64)
        return rearrange(one_hot, "phase element (tap place) -> phase element tap place", tap=self.taps)


class LiftedConvolution(nn.Module):
    """What `layer`, a Conv1d or Conv2d, computes of queries padded with zeros to whole blocks: values and number.

    weight: (out * phases, in / groups, *(taps * block)), the phases of one output side by side. Zeros belong to
        the plain kernel; under a key they are gone.
    bias: (out,) or None.
    The other attributes are the plain layer's, because networks read them.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(self, layer: Convolution, lengths: tuple[int, ...]) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.groups = layer.in_channels, layer.out_channels, layer.groups
        self.kernel_size, self.stride, self.dilation = layer.kernel_size, layer.stride, layer.dilation
        self.padding, self.padding_mode = layer.padding, layer.padding_mode
        self.axes = axes_of(layer, lengths)
        plain = layer.weight.detach()
        windows = [axis.windows().to(plain.device) for axis in self.axes]
        equation = "ock,pktb->opctb" if len(windows) == 1 else "ockl,pktb,qlud->opqctbud"
        lifted = torch.einsum(equation, plain.to(torch.float64), *windows)
        layout = "o p c t b -> (o p) c (t b)" if len(windows) == 1 else "o p q c t b u d -> (o p q) c (t b) (u d)"
        weight = rearrange(lifted, layout).to(plain.dtype)
        self.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
        self.bias = None
        if layer.bias is not None:
            self.bias = nn.Parameter(layer.bias.detach().clone(), requires_grad=layer.bias.requires_grad)
        self.train(layer.training)

    def forward(self, query: Tensor) -> Tensor:
        """([batch,] in, *extent) to ([batch,] out, *outputs); a tail shorter than a block counts as padded."""
        extent = query.shape[-len(self.axes) :]
        padding = []
        for axis, length in zip(reversed(self.axes), reversed(extent), strict=True):
            before, after = axis.padding
            padding += [before, -length % axis.block + after]
        convolve = F.conv1d if len(self.axes) == 1 else F.conv2d
        bias = None if self.bias is None else self.bias.repeat_interleave(prod(a.phases for a in self.axes))
        stride = tuple(axis.block for axis in self.axes)
        outputs = self._interleaved(convolve(F.pad(query, padding), self.weight, bias, stride, 0, 1, self.groups))
        for place, (axis, length) in enumerate(zip(self.axes, extent, strict=True), start=-len(self.axes)):
            outputs = outputs.narrow(place, 0, -(-length // axis.block) * axis.phases + axis.surplus)
        return outputs

    def _interleaved(self, outputs: Tensor) -> Tensor:
        """Phases of an output one after another: (..., out * phases, *blocks) -> (..., out, *(blocks * phases))."""
        phases = [axis.phases for axis in self.axes]
        if len(phases) == 1:
            return rearrange(outputs, "... (o p) t -> ... o (t p)", p=phases[0])
        return rearrange(outputs, "... (o p q) f t -> ... o (f p) (t q)", p=phases[0], q=phases[1])

    def extra_repr(self) -> str:
        """The layer's settings, for its repr."""
        block = tuple(axis.block for axis in self.axes)
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, block={block}"
        )


def axes_of(layer: Convolution, lengths: tuple[int, ...]) -> tuple[Axis, ...]:
    """The axes of a convolution in blocks of these lengths; of a Conv1d the last is time, whatever stands before."""
    lengths = lengths[-len(layer.kernel_size) :]
    steps = list(zip(layer.kernel_size, layer.stride, layer.dilation, lengths, strict=True))
    return tuple(
        Axis(kernel, stride, dilation, *_zeros(layer.padding, place, dilation * (kernel - 1)), length)
        for place, (kernel, stride, dilation, length) in enumerate(steps)
    )


def _zeros(padding: str | tuple[int, ...], place: int, reach: int) -> tuple[int, int]:
    """Zeros before and after; 'same' puts the odd one after, as torch does."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        return reach // 2, reach - reach // 2
    return int(padding[place]), int(padding[place])
