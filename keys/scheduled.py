"""Queries and first layers under several keys in turn, each of which holds for a while (`wrongkey.keys.derived`).

A query is cut where the slots begin, and each part is encrypted with the key of its slot. The layer follows without
holding a key in the open. A first layer is linear in the query, so its answer to the whole query is the sum of its
answers to the parts, each with zeros in place of the others; and every part is answered by a lifted layer that has
absorbed the key of its slot. The bias is added once. Each lifted layer reads its own part and the zeros around it that
its outputs reach, so a schedule costs little more than one key.
"""

from __future__ import annotations

import copy
from math import lcm

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.keys.cutting import rows_of, speech_of
from wrongkey.keys.derived import Slots
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.lift import absorb, lift
from wrongkey.keys.model import check_unshared, first_layer


def encrypt_scheduled(speech: Tensor, matrices: Tensor, cut: KeyCut, slots: Slots) -> Tensor:
    """Encrypt speech whose parts are under different keys.

    Parameters
    ----------
    speech
        `(batch, samples)` or `(batch, bins, frames)`, with an axis for channels after the batch where there is one;
        its tail is filled with zeros to a whole block.
    matrices
        `(keys, batch, S, N, N)`: the matrix of every slot. A batch of 1 is one for all speech.
    cut
        How they cut speech.
    slots
        When each of them begins.

    Returns
    -------
    Tensor
        `(keys, batch, ...)`, in the dtype of the speech.

    Raises
    ------
    BadInput
        For speech that is longer than the slots.

    Examples
    --------
    >>> flip = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
    >>> matrices = torch.stack([flip, -flip])[None, None]
    >>> encrypt_scheduled(torch.ones(1, 4), matrices, KeyCut("samples", 2), Slots((0, 2), 4)).tolist()
    [[[1.0, -1.0, -1.0, 1.0]]]
    """
    parts = [
        _encrypted(speech[..., start:end], matrices[:, :, slot], cut)
        for slot, (start, end) in enumerate(slots.of(speech.shape[-1]))
    ]
    return torch.cat(parts, dim=-1)


def encrypt_scheduled_model(
    network: nn.Module, layer_name: str, cut: KeyCut, slots: Slots, matrices: Tensor | None = None
) -> nn.Module:
    """A copy of `network` that answers queries of `encrypt_scheduled` as the network answers plain ones.

    Parameters
    ----------
    network
        Any module; it is copied, never changed.
    layer_name
        Dotted name of the first layer; a `ScheduledLayer` takes its place. Empty for the network itself.
    cut
        How the keys cut queries.
    slots
        When each key begins, up to the longest query.
    matrices
        `(S, N, N)`; None for the architecture under no key yet, which takes such a state dict.

    Returns
    -------
    nn.Module
        The encrypted network. Its answers to queries longer than the slots are refused.

    Raises
    ------
    BadInput
        With the reason, where the layer cannot take the keys exactly.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv1d(1, 2, 4, stride=4))
    >>> encrypted = encrypt_scheduled_model(network, "0", KeyCut("samples", 4), Slots((0, 8), 16))
    >>> encrypted(torch.ones(1, 1, 12)).shape
    torch.Size([1, 2, 3])
    """
    check_unshared(network, layer_name)
    layer = ScheduledLayer(first_layer(network, layer_name), cut, slots, matrices)
    if not layer_name:
        return layer
    copied = copy.deepcopy(network)
    copied.set_submodule(layer_name, layer)
    return copied


class ScheduledLayer(nn.Module):
    """A first layer that answers a query under one key after another as the plain layer answers a plain one.

    Parameters
    ----------
    layer
        Any layer that takes a key exactly, but a recurrent one.
    cut
        How the keys cut its input.
    slots
        When each key begins.
    matrices
        `(S, N, N)`, or None for no key yet.

    Raises
    ------
    BadInput
        With the reason, where the layer cannot take the keys exactly.
    """

    bias: nn.Parameter | None

    def __init__(self, layer: nn.Module, cut: KeyCut, slots: Slots, matrices: Tensor | None = None) -> None:
        super().__init__()
        if isinstance(layer, nn.RNN | nn.LSTM | nn.GRU):
            raise BadInput(
                f"A {type(layer).__name__} carries its state from one key to the next, and cannot follow a schedule "
                "exactly: choose a scheme without schedule=SECONDS."
            )
        lifted = lift(layer, cut)
        self.timetable = slots
        self.time = -2 if isinstance(layer, nn.Linear) else -1  # axis of its input and of its answer
        self.step, self.unit, self.reach = _times(layer, cut)
        self.bias = None
        if isinstance(bias := lifted.bias, nn.Parameter):
            self.bias = nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)
        lifted.bias = None  # type: ignore[assignment]
        self.slots = nn.ModuleList(copy.deepcopy(lifted) for _ in slots.starts)
        if matrices is not None:
            for one, matrix in zip(self.slots, matrices, strict=True):
                absorb(one, matrix, cut)
        self.train(layer.training)

    def forward(self, query: Tensor) -> Tensor:
        """As the plain layer: the sum of what the layers of all slots answer to their parts."""
        parts = self.timetable.of(query.shape[self.time])
        answers = [self._answer(self.slots[slot], query, *part) for slot, part in enumerate(parts)]
        begin, last = answers[-1]  # its outputs reach the end of the query's
        extent = list(last.shape)
        extent[self.time] += begin
        summed = last.new_zeros(extent)
        for begin, answer in answers:
            summed.narrow(self.time, begin, answer.shape[self.time]).add_(answer)
        if self.bias is None:
            return summed
        after = 0 if self.time == -2 else len(self.kernel_size)  # type: ignore[arg-type]
        return summed + self.bias.reshape(-1, *[1] * after)

    def _answer(self, layer: nn.Module, query: Tensor, start: int, end: int) -> tuple[int, Tensor]:
        """What a slot's layer answers to its part of the query, and which output is the first of them.

        The layer is asked about no more than the units that outputs may reach from the part.
        """
        first = max(0, start // self.unit - self.reach) * self.unit
        last = min(query.shape[self.time], (-(-end // self.unit) + self.reach) * self.unit)
        around = (start - first, last - end)
        part = F.pad(query.narrow(self.time, start, end - start), (0, 0, *around) if self.time == -2 else around)
        return first // self.step, layer(part)

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        """What networks read of their first layer, such as its stride, is the same in every slot's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "slots":  # not there yet
                raise
            found: Tensor | nn.Module = getattr(self.slots[0], name)
            return found


def _times(layer: nn.Module, cut: KeyCut) -> tuple[int, int, int]:
    """Stride of a layer in time, its least common multiple with a block, and how many of these an output reaches."""
    if not isinstance(layer, nn.Conv1d | nn.Conv2d):
        return 1, cut.steps, 0
    step, reach = layer.stride[-1], layer.dilation[-1] * (layer.kernel_size[-1] - 1)
    unit = lcm(cut.steps, step)
    padding = {"same": reach, "valid": 0}[layer.padding] if isinstance(layer.padding, str) else 2 * layer.padding[-1]
    return step, unit, -(-(reach + padding) // unit) + 1


def _encrypted(part: Tensor, matrices: Tensor, cut: KeyCut) -> Tensor:
    """The blocks of a part `(batch, ...)` times `matrices (keys, batch, N, N)`: `(keys, batch, ...)`."""
    rows = rows_of(part, cut)
    dtype = rows.dtype if rows.dtype in (torch.float32, torch.float64) else torch.float32
    product = rows.flatten(1, -2).to(dtype) @ matrices.to(rows.device, dtype)
    encrypted = product.to(rows.dtype).reshape(len(matrices), *rows.shape)
    return speech_of(encrypted, cut)
