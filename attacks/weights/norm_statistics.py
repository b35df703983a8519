"""Means and variances that batch norms keep of plain speech, beside those that speech of other people gives.

A batch norm's running statistics were measured on plain speech and are not encrypted. Under a candidate key, speech of
other people encrypted with it runs through the encrypted model, and every norm's input has a mean and a variance of its
own: where the key is right they are near the stored ones (Yin et al., DeepInversion, CVPR 2020, for images).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.attacks.base import Matrix
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import encrypt_query
from wrongkey.keys.blocks import Blocks

Norm = nn.BatchNorm1d | nn.BatchNorm2d
ANSWERS = ("embed", "encode", "classify", "transcribe")
PIECES = 32  # pieces of speech that run through the model for one key


def kept_norms(network: nn.Module) -> dict[str, Norm]:
    """The batch norms of a network that keep statistics, by name."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, Norm) and module.running_mean is not None and module.running_var is not None
    }


def norm_behind(model: Model, piece: Tensor) -> str | None:
    """Name of the batch norm that reads the first layer's output itself; None where there is none.

    piece: `(samples,)` or `(bins, frames)`, of any speech.
    """
    outputs: list[Tensor] = []
    readers: list[str] = []
    layer = model.network.get_submodule(model.first_layer)
    hooks = [layer.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))]
    for name, norm in kept_norms(model.network).items():
        hooks.append(norm.register_forward_pre_hook(_reader(name, outputs, readers)))
    try:
        ask(model, piece[None])
    finally:
        for hook in hooks:
            hook.remove()
    return readers[0] if readers else None


def discrepancy(model: Model, pieces: Sequence[Tensor], key: Matrix, blocks: Blocks) -> float:
    """How far the norms' inputs are from the stored statistics when speech is asked under a key `(N, N)`.

    The mean over all norms of `mean((m - m')^2 / v) + mean(log(v' / v)^2)`, with stored m, v and measured m', v'.
    """
    norms = kept_norms(model.network)
    with measured_inputs(norms) as seen:
        for piece in pieces:
            ask(model, encrypt_query(piece[None], key, blocks=blocks))
    distances = []
    for name, norm in norms.items():
        count, total, squares = seen[name]
        if count:
            assert norm.running_mean is not None and norm.running_var is not None
            mean, stored = total / count, norm.running_var.double()
            variance = (squares / count - mean**2).clamp(min=1e-12)
            moved = ((mean - norm.running_mean.double()) ** 2 / (stored + norm.eps)).mean()
            spread = ((variance / (stored + norm.eps)).log() ** 2).mean()
            distances.append(float(moved + spread))
    return float(np.mean(distances)) if distances else float("nan")


@contextmanager
def measured_inputs(norms: dict[str, Norm]) -> Iterator[dict[str, tuple[int, Tensor, Tensor]]]:
    """While it lasts, sums over every norm's inputs: number of values, sum and sum of squares `(channels,)`."""
    seen = {name: (0, torch.zeros(()), torch.zeros(())) for name in norms}

    def add(name: str, value: Tensor) -> None:
        value = value.detach().double().transpose(0, 1).flatten(1)
        count, total, squares = seen[name]
        seen[name] = (count + value.shape[1], total + value.sum(1), squares + value.square().sum(1))

    def hook(name: str, norm: Norm) -> torch.utils.hooks.RemovableHandle:
        return norm.register_forward_pre_hook(lambda _module, inputs: add(name, inputs[0]))

    hooks = [hook(name, norm) for name, norm in norms.items()]
    try:
        yield seen
    finally:
        for handle in hooks:
            handle.remove()


@torch.inference_mode()
def ask(model: Model, queries: Tensor) -> None:
    """Runs pieces `(batch, ...)` through the model, whatever it answers."""
    function = next(getattr(model, name) for name in ANSWERS if hasattr(model, name))
    dtype = next(model.network.parameters()).dtype
    function(queries.to(dtype))


def chosen_pieces(model: Model, queries: Sequence[Tensor], seed: int, count: int = PIECES) -> list[Tensor]:
    """Pieces of some queries, as the model cuts them."""
    order = np.random.default_rng(seed).permutation(len(queries))[:count]
    return [model.segments(queries[int(index)])[0] for index in order]


def _reader(name: str, outputs: list[Tensor], readers: list[str]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def reads(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if outputs and inputs[0] is outputs[-1]:
            readers.append(name)

    return reads
