"""The layer of which the bundled speech networks are made: convolution, batch norm, activation."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Convolution = nn.Conv1d | nn.Conv2d


class ConvNorm(nn.Module):
    """Convolution, batch norm and activation; the batch norm can be folded into the convolution."""

    def __init__(self, conv: Convolution, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        norm = nn.BatchNorm1d if isinstance(conv, nn.Conv1d) else nn.BatchNorm2d
        self.conv: Convolution = conv
        self.norm: nn.Module = norm(conv.out_channels)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer computes, of the convolution's shape."""
        return self.activation(self.norm(self.conv(x)))

    def folded(self) -> Convolution:
        """Return a convolution that computes, in eval mode, what convolution and batch norm do."""
        assert isinstance(self.norm, nn.BatchNorm1d | nn.BatchNorm2d)
        return fuse_conv_bn_eval(self.conv, self.norm)

    def fold(self) -> None:
        """Move the batch norm into the convolution; in eval mode the function stays the same."""
        self.conv, self.norm = self.folded(), nn.Identity()
