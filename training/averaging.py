"""The moving average of a network's weights."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def average_weights(average: nn.Module, network: nn.Module, share: float) -> None:
    """Move `average` towards `network`, keeping `share` of it; integers (counts of batches) are copied."""
    for name, value in average.state_dict().items():
        new = network.state_dict()[name]
        value.copy_(share * value + (1 - share) * new if value.is_floating_point() else new)
