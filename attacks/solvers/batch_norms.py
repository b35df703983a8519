"""What batch norms keep of plain speech, and what they are given while a model runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

Norm = nn.modules.batchnorm._BatchNorm


def kept_norms(network: nn.Module) -> dict[str, Norm]:
    """Return the batch norms of a network that keep statistics, by name, in the network's order."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, Norm) and module.running_mean is not None and module.running_var is not None
    }


def stored(norm: Norm) -> tuple[Tensor, Tensor]:
    """Return the running mean and variance that a norm keeps, each `(channels,)`."""
    return norm.get_buffer("running_mean"), norm.get_buffer("running_var")


@contextmanager
def norm_inputs(norms: Mapping[str, nn.Module], take: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Call `take(name, input)` with every norm's input, `(batch, channels, …)`, while the `with` block lasts."""

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _module, inputs: take(name, inputs[0])

    handles = [norm.register_forward_pre_hook(hook(name)) for name, norm in norms.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
