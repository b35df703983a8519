"""The network of RawNeXt, with the names of the published checkpoint.

Kim, Heo, Yu, "RawNeXt: speaker verification system for variable-duration utterances with deep layer
aggregation and extended dynamic scaling policies", ICASSP 2022, arXiv 2112.07935. After a convolution with
kernel = stride = 3 come two plain convolutions and four trees of ResNeXt blocks, each followed by max-pooling
over three frames, then attentive statistics pooling and a linear embedding. A block looks at its input at
three time scales; a tree joins the outputs of its blocks (Yu, Wang, Shelhamer, Darrell, "Deep layer
aggregation", CVPR 2018).

Parameter names, the misspelt `gate_moduel` among them, are those of the published checkpoint, which therefore
loads here. Trees carry a `project` that nothing reads, because the checkpoint holds it. The
authors' repository has two versions of a block: one normalises twice with `bn1` and never with `bn2`; the other
uses `bn2` and gives the recorded embedding that the tests compare with, so this is the one written here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wrongkey.errors import BadInput

PUBLISHED_LEVELS = (1, 1, 1, 2, 2, 1)
PUBLISHED_CHANNELS = (128, 128, 256, 256, 512, 512)
PUBLISHED_CODE_DIM = 512
GROUPS = 16  # of the grouped convolution at the block's own time scale; the two other scales have half of it


class Gate(nn.Module):
    """Adds three branches `(batch, c, time)`, each channel weighted by attention over the branches.

    The time averages of the branches, `3c` numbers, are read as a `c × 3` matrix row by row, so that a row
    holds three neighbouring channels of one branch and not one channel of three branches. The published
    weights expect this.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 3
        self.attention = nn.Sequential(
            nn.Conv1d(channels, hidden, 1),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Conv1d(hidden, channels, 1),
            nn.Softmax(dim=-1),
        )

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Return the sum of the branches, weighted by attention."""
        weights = self.weights([branch.mean(dim=-1) for branch in branches])
        gated = [weight.unsqueeze(-1) * branch for weight, branch in zip(weights, branches, strict=True)]
        return torch.stack(gated).sum(dim=0)

    def weights(self, averages: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the weights of the branches, `(batch, c)` each as their time averages are."""
        joined = torch.cat(list(averages), dim=1)
        weights: Tensor = self.attention(joined.reshape(len(joined), -1, len(averages)))
        return weights.unbind(dim=-1)


class Block(nn.Module):
    """ResNeXt bottleneck at three time scales: `(batch, inputs, time)` to `(batch, outputs, time)`.

    The time is divisible by three. The scales are the input's own, a third of it (suffix `_d`: averaged down,
    later brought up again) and three times it (suffix `_u`: brought up, later averaged down).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        own, other = outputs // 2, outputs // 4
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv1d(inputs, outputs, 1, bias=False))
        self.conv1 = nn.Conv1d(inputs, own, 1, bias=False)
        self.bn1 = nn.BatchNorm1d(own)
        self.conv2 = nn.Conv1d(own, own, 3, padding=1, groups=GROUPS, bias=False)
        self.bn2 = nn.BatchNorm1d(own)
        self.conv3 = nn.Conv1d(own, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm1d(outputs)

        self.conv1_d = nn.Conv1d(inputs, other, 1, bias=False)
        self.bn1_d = nn.BatchNorm1d(other)
        self.conv2_d = nn.Conv1d(other, other, 3, padding=1, groups=GROUPS // 2, bias=False)
        self.bn2_d = nn.BatchNorm1d(other)
        self.conv3_d = nn.Conv1d(other, outputs, 1, bias=False)
        self.conv_t = nn.ConvTranspose1d(outputs, outputs, 3, stride=3)

        self.conv_t_u = nn.ConvTranspose1d(inputs, inputs, 3, stride=3)
        self.conv1_u = nn.Conv1d(inputs, other, 1, bias=False)
        self.bn1_u = nn.BatchNorm1d(other)
        self.conv2_u = nn.Conv1d(other, other, 3, padding=1, groups=GROUPS // 2, bias=False)
        self.bn2_u = nn.BatchNorm1d(other)
        self.conv3_u = nn.Conv1d(other, outputs, 1, bias=False)

        self.gate_moduel = Gate(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature map of the block, with its shortcut added."""
        skip = self.shortcut(x) if hasattr(self, "shortcut") else x
        own = _bottleneck(x, self.conv1, self.bn1, self.conv2, self.bn2)
        down = _bottleneck(_average3(x), self.conv1_d, self.bn1_d, self.conv2_d, self.bn2_d)
        up = _bottleneck(self.conv_t_u(x), self.conv1_u, self.bn1_u, self.conv2_u, self.bn2_u)
        # averaging commutes with a convolution of kernel one, and is cheaper before it
        branches = self.conv3(own), self.conv_t(self.conv3_d(down)), self.conv3_u(_average3(up))
        return torch.relu(self.bn3(self.gate_moduel(branches)) + skip)


def _bottleneck(x: Tensor, narrow: nn.Module, norm1: nn.Module, grouped: nn.Module, norm2: nn.Module) -> Tensor:
    return torch.relu(norm2(grouped(torch.relu(norm1(narrow(x))))))


def _average3(x: Tensor) -> Tensor:
    return nn.functional.avg_pool1d(x, 3)


class Root(nn.Module):
    """Joins feature maps of equal length: concatenation, convolution of kernel one, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 1, bias=False)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, *maps: Tensor) -> Tensor:
        """Join feature maps along their channels into one."""
        return torch.relu(self.bn(self.conv(torch.cat(maps, dim=1))))


class Tree(nn.Module):
    """`2^levels` blocks in a row: `(batch, inputs, time)` to `(batch, outputs, time)`.

    Its two halves are trees of one level less, or blocks. Only the last pair of blocks ends in the root that
    also joins `earlier`, the outputs of the halves before it (and the tree's own input if `joins_input`).
    """

    def __init__(
        self, levels: int, inputs: int, outputs: int, *, joins_input: bool = False, earlier_channels: int = 0
    ) -> None:
        super().__init__()
        earlier_channels += inputs if joins_input else 0
        if levels == 1:
            self.tree1: nn.Module = Block(inputs, outputs)
            self.tree2: nn.Module = Block(outputs, outputs)
            self.root = Root(2 * outputs + earlier_channels, outputs)
        else:
            self.tree1 = Tree(levels - 1, inputs, outputs)
            self.tree2 = Tree(levels - 1, outputs, outputs, earlier_channels=earlier_channels + outputs)
        if inputs != outputs:  # unused: see the module's docstring
            self.project = nn.Sequential(nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs))
        self.joins_input = joins_input

    def forward(self, x: Tensor, earlier: Sequence[Tensor] = ()) -> Tensor:
        """Return the feature map of a tree; ``earlier`` are those that its root joins as well."""
        if self.joins_input:
            earlier = (*earlier, x)
        first = self.tree1(x)
        joined: Tensor = (
            self.root(self.tree2(first), first, *earlier)
            if isinstance(self.tree1, Block)
            else self.tree2(first, (*earlier, first))
        )
        return joined


class RawNeXt(nn.Module):
    """Waveforms `(batch, samples)` to embeddings `(batch, code_dim)`, not of length one.

    The samples are divisible by 2,187.

    levels: six numbers: convolutions in the first two stages, tree levels in the four others.
    channels: six numbers: outputs of the stages; multiples of 32 in the last four.
    """

    def __init__(
        self,
        levels: Sequence[int] = PUBLISHED_LEVELS,
        channels: Sequence[int] = PUBLISHED_CHANNELS,
        code_dim: int = PUBLISHED_CODE_DIM,
    ) -> None:
        super().__init__()
        if any(count % (2 * GROUPS) for count in channels[2:]):
            raise BadInput(f"RawNeXt needs multiples of {2 * GROUPS} channels in its trees, not {channels[2:]}.")
        first, last = channels[0], channels[-1]
        self.base_layer = nn.Sequential(nn.Conv1d(1, first, 3, stride=3, bias=False), nn.BatchNorm1d(first), nn.ReLU())
        self.level0 = _convolutions(levels[0], first, first)
        self.level1 = _convolutions(levels[1], first, channels[1])
        self.level2 = Tree(levels[2], channels[1], channels[2])
        self.level3 = Tree(levels[3], channels[2], channels[3], joins_input=True)
        self.level4 = Tree(levels[4], channels[3], channels[4], joins_input=True)
        self.level5 = Tree(levels[5], channels[4], channels[5], joins_input=True)
        self.attention = nn.Sequential(
            nn.Conv1d(last, last // 8, 1),
            nn.ReLU(),
            nn.BatchNorm1d(last // 8),
            nn.Conv1d(last // 8, last, 1),
            nn.Softmax(dim=-1),
        )
        self.bn_agg = nn.BatchNorm1d(2 * last)
        self.fc = nn.Linear(2 * last, code_dim)
        self.bn_code = nn.BatchNorm1d(code_dim)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Turn waveforms ``(batch, samples)`` into embeddings ``(batch, code_dim)``."""
        x = self.base_layer(waveforms.unsqueeze(1))
        for stage in (self.level0, self.level1, self.level2, self.level3, self.level4, self.level5):
            x = nn.functional.max_pool1d(stage(x), 3)
        return self.bn_code(self.fc(self.bn_agg(statistics(x, self.attention))))


def _convolutions(count: int, inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(count):
        convolution = nn.Conv1d(outputs if index else inputs, outputs, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def statistics(x: Tensor, attention: nn.Module) -> Tensor:
    """Mean and standard deviation over time, weighted by attention: `(batch, c, time)` to `(batch, 2c)`."""
    weight = attention(x)
    mean = (weight * x).sum(dim=-1)
    variance = (weight * x.square()).sum(dim=-1) - mean.square()
    return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=1)
