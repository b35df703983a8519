"""Means and variances that batch norms keep of plain speech, beside those that background speech gives.

A batch norm's running statistics were measured on plain speech and are not encrypted. Under a candidate key, background
speech encrypted with it runs through the encrypted model, and the input of every norm has a mean and a variance of its
own: where the key is right they are near the stored ones (for images: Yin et al., "Dreaming to Distill", CVPR 2020).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Matrix
from wrongkey.attacks.solvers.batch_norms import Norm, kept_norms, norm_inputs, stored
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import encrypt_query
from wrongkey.keys.blocks import Blocks

ANSWERS = ("embed", "encode", "classify", "transcribe")


def norm_behind(model: Model, piece: Tensor) -> str | None:
    """Return the name of the batch norm that reads the first layer's output itself, or None where there is none.

    `piece` is `(samples,)` or `(bins, frames)` of any speech.
    """
    outputs: list[Tensor] = []
    readers: list[str] = []

    def read(name: str, given: Tensor) -> None:
        if outputs and given is outputs[-1]:
            readers.append(name)

    layer = model.network.get_submodule(model.first_layer)
    handle = layer.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        with norm_inputs(kept_norms(model.network), read):
            ask(model, piece[None])
    finally:
        handle.remove()
    return readers[0] if readers else None


def discrepancy(model: Model, pieces: Sequence[Tensor], key: Matrix, blocks: Blocks) -> float:
    """Return how far the norms' inputs are from the stored statistics when speech is asked under a key `(N, N)`.

    It is the mean over all norms of `mean((m - m')^2 / v) + mean(log(v' / v)^2)`, with stored m, v and measured m', v'.
    """
    norms = kept_norms(model.network)
    sums = _Sums()
    with norm_inputs(norms, sums.add):
        for piece in pieces:
            ask(model, encrypt_query(piece[None], key, blocks=blocks))
    distances = [_distance(norms[name], *sums.moments(name)) for name in norms if name in sums.of]
    return float(np.mean(distances)) if distances else float("nan")


class _Sums:
    """Sums over the inputs of each norm: number of values, sum and sum of squares, the latter `(channels,)`."""

    def __init__(self) -> None:
        self.of: dict[str, tuple[int, Tensor, Tensor]] = {}

    def add(self, name: str, value: Tensor) -> None:
        value = value.detach().double().transpose(0, 1).flatten(1)
        count, total, squares = self.of.get(name, (0, torch.zeros(()), torch.zeros(())))
        self.of[name] = (count + value.shape[1], total + value.sum(1), squares + value.square().sum(1))

    def moments(self, name: str) -> tuple[Tensor, Tensor]:
        """Mean and variance of what a norm was given."""
        count, total, squares = self.of[name]
        mean = total / count
        return mean, (squares / count - mean**2).clamp(min=1e-12)


def _distance(norm: Norm, mean: Tensor, variance: Tensor) -> float:
    stored_mean, stored_variance = (part.double() for part in stored(norm))
    moved = ((mean - stored_mean) ** 2 / (stored_variance + norm.eps)).mean()
    spread = ((variance / (stored_variance + norm.eps)).log() ** 2).mean()
    return float(moved + spread)


@torch.inference_mode()
def ask(model: Model, queries: Tensor) -> None:
    """Run pieces `(batch, …)` through the model, whatever it answers."""
    function = next(getattr(model, name) for name in ANSWERS if hasattr(model, name))
    dtype = next(model.network.parameters()).dtype
    function(queries.to(dtype))


def chosen_pieces(model: Model, queries: Sequence[Tensor], seed: int, count: int) -> list[Tensor]:
    """Return the first pieces of `count` random queries, as the model cuts them."""
    order = np.random.default_rng(seed).permutation(len(queries))[:count]
    return [model.segments(queries[int(index)])[0] for index in order]
