"""RawNeXt as it is asked: the function of a network in eval mode, in half of its time on a CPU.

Batch norms are moved into the layers before them, and the two linear layers that follow each other in both outer
branches of a block are merged, `conv1_u ∘ conv_t_u` and `conv_t ∘ conv3_d`: 8.3 in place of 13.3 GFLOP for a segment
at the published size. Feature maps are frames, `(batch, time, channels)`: there a convolution of kernel one is a
linear layer, and so is a transposed convolution whose stride is its kernel. The names are no longer the checkpoint's.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from wrongkey.evaluation.models.adapters.rawnext_network import Block, RawNeXt, Root, Tree, statistics
from wrongkey.evaluation.models.packed_linear import PackedLinear

RELU = 0.0  # the slope of a leaky ReLU that is none


class FoldedRawNeXt(nn.Module):
    """Waveforms `(batch, samples)` to embeddings `(batch, code_dim)`, as a RawNeXt in eval mode gives them.

    The first layer stays a convolution, `base_layer.0`, so that a key can be absorbed there.
    """

    def __init__(self, network: RawNeXt) -> None:
        super().__init__()
        first, norm = cast(nn.Conv1d, network.base_layer[0]), cast(nn.BatchNorm1d, network.base_layer[1])
        self.base_layer = nn.Sequential(fuse_conv_bn_eval(first, norm), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList(
            [_convolutions(stage) for stage in (network.level0, network.level1)]
            + [FoldedTree(stage) for stage in (network.level2, network.level3, network.level4, network.level5)]
        )
        self.attention, self.bn_agg = deepcopy(network.attention), deepcopy(network.bn_agg)
        self.fc, self.bn_code = deepcopy(network.fc), deepcopy(network.bn_code)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return the embeddings."""
        frames = self.base_layer(waveforms.unsqueeze(1)).mT
        for stage in self.stages:
            frames = _in_threes(stage(frames)).amax(dim=2)
        found: Tensor = self.bn_code(self.fc(self.bn_agg(statistics(frames.mT, self.attention))))
        return found


class FoldedTree(nn.Module):
    """What a Tree computes, on frames."""

    def __init__(self, tree: Tree) -> None:
        super().__init__()
        self.joins_input = tree.joins_input
        self.root: PackedLinear | None = None
        if isinstance(tree.tree1, Block):
            self.tree1: nn.Module = FoldedBlock(tree.tree1)
            self.tree2: nn.Module = FoldedBlock(cast(Block, tree.tree2))
            self.root = _root(tree.root)
        else:
            self.tree1, self.tree2 = FoldedTree(cast(Tree, tree.tree1)), FoldedTree(cast(Tree, tree.tree2))

    def forward(self, x: Tensor, earlier: Sequence[Tensor] = ()) -> Tensor:
        """Return the frames of a tree; ``earlier`` are those that its root joins as well."""
        if self.joins_input:
            earlier = (*earlier, x)
        first = self.tree1(x)
        joined: Tensor = (
            self.tree2(first, (*earlier, first))
            if self.root is None
            else self.root(torch.cat([self.tree2(first), first, *earlier], dim=2))
        )
        return joined


class FoldedBlock(nn.Module):
    """What a Block computes, on frames; the suffixes `_d` and `_u` are those of the block."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.shortcut = _pointwise(block.shortcut[0]) if hasattr(block, "shortcut") else nn.Identity()
        self.narrow = _pointwise(block.conv1, block.bn1)
        self.grouped = FrameConvolution(block.conv2, block.bn2)
        self.widen = _pointwise(block.conv3)

        self.narrow_d = _pointwise(block.conv1_d, block.bn1_d)
        self.grouped_d = FrameConvolution(block.conv2_d, block.bn2_d)
        self.widen_d = _wide_upsampling(block.conv3_d, block.conv_t)

        self.narrow_u = _narrow_upsampling(block.conv_t_u, block.conv1_u, block.bn1_u)
        self.grouped_u = FrameConvolution(block.conv2_u, block.bn2_u)
        self.widen_u = _pointwise(block.conv3_u)

        self.gate = deepcopy(block.gate_moduel)
        scale, shift = _affine(block.bn3)
        self.scale, self.shift = nn.Parameter(scale), nn.Parameter(shift)

    def forward(self, x: Tensor) -> Tensor:
        """Return the frames of the block, with its shortcut added."""
        own = self.widen(self.grouped(self.narrow(x)))
        down = self.widen_d(self.grouped_d(self.narrow_d(_average3(x))))
        up = self.widen_u(_average3(self.grouped_u(self.narrow_u(x))))
        weights = self.gate.weights([branch.mean(dim=1) for branch in (own, down, up)])
        total = self.shortcut(x) + self.shift
        for branch, weight in zip((own, down, up), weights, strict=True):
            total.addcmul_(branch, (self.scale * weight).unsqueeze(1))
        return total.relu_()


class FrameConvolution(nn.Module):
    """Convolution, batch norm and ReLU on frames: `(batch, time, in)` to `(batch, time, out)`."""

    def __init__(self, convolution: nn.Conv1d, norm: nn.BatchNorm1d) -> None:
        super().__init__()
        fused = fuse_conv_bn_eval(convolution, norm)
        assert fused.bias is not None
        # frames are what PyTorch calls channels_last, which it knows of four axes only: (out, in, 1, kernel)
        weight = fused.weight.detach().unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(fused.bias.detach())
        self.padding, self.groups = int(fused.padding[0]), fused.groups

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated layer."""
        padding = (0, self.padding)
        y = nn.functional.conv2d(x.mT.unsqueeze(2), self.weight, self.bias, padding=padding, groups=self.groups)
        return y.relu_().squeeze(2).mT


class Upsampling(PackedLinear):
    """A transposed convolution with kernel = stride = 3, on frames: `(batch, time, in)` to `(batch, 3 time, out)`.

    weight, bias: the convolution's, `(in, out, 3)` and `(out,)`.
    """

    def __init__(self, weight: Tensor, bias: Tensor, slope: float | None = None) -> None:
        super().__init__(weight.permute(2, 1, 0).flatten(0, 1).contiguous(), bias.repeat(3), slope)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's answer."""
        return super().forward(x).reshape(len(x), 3 * x.shape[1], -1)


def _convolutions(stage: nn.Sequential) -> nn.Sequential:
    layers = list(stage)  # convolution, batch norm, ReLU in turn
    pairs = zip(layers[::3], layers[1::3], strict=True)
    return nn.Sequential(*(FrameConvolution(cast(nn.Conv1d, c), cast(nn.BatchNorm1d, n)) for c, n in pairs))


def _root(root: Root) -> PackedLinear:
    return _pointwise(root.conv, root.bn)


def _pointwise(layer: nn.Module, norm: nn.BatchNorm1d | None = None) -> PackedLinear:
    """A convolution of kernel one without bias; with a batch norm, this and a ReLU follow it."""
    weight = cast(nn.Conv1d, layer).weight.detach()[..., 0]
    if norm is None:
        return PackedLinear(weight.contiguous(), weight.new_zeros(len(weight)))
    scale, shift = _affine(norm)
    return PackedLinear(scale[:, None] * weight, shift, RELU)


def _narrow_upsampling(up: nn.ConvTranspose1d, narrow: nn.Conv1d, norm: nn.BatchNorm1d) -> Upsampling:
    """`relu ∘ norm ∘ narrow ∘ up`."""
    scale, shift = _affine(norm)
    weight = scale[:, None] * narrow.weight.detach()[..., 0]
    return Upsampling(torch.einsum("iok,po->ipk", up.weight.detach(), weight), weight @ _bias(up) + shift, RELU)


def _wide_upsampling(widen: nn.Conv1d, up: nn.ConvTranspose1d) -> Upsampling:
    """`up ∘ widen`."""
    weight = torch.einsum("op,oqk->pqk", widen.weight.detach()[..., 0], up.weight.detach())
    return Upsampling(weight, _bias(up))


def _bias(layer: nn.ConvTranspose1d) -> Tensor:
    assert layer.bias is not None
    return layer.bias.detach()


def _affine(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Scale and shift, `(channels,)` each, that a batch norm is in eval mode."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias.detach() - norm.running_mean * scale


def _in_threes(x: Tensor) -> Tensor:
    return x.reshape(len(x), -1, 3, x.shape[2])


def _average3(x: Tensor) -> Tensor:
    return _in_threes(x).mean(dim=2)
