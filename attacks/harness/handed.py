"""What an attack's process is handed. It imports little: such a process starts with this, and each attack has one."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wrongkey.attacks.base import BackgroundSpeech, Case, Matrix, Setting
from wrongkey.attacks.harness.wire import Parcel
from wrongkey.evaluation.models.protocol import Model


@dataclass(frozen=True)
class EncryptedModel:
    """The encrypted network as the provider has it: its first `layer`, and all `tensors` by name."""

    layer: nn.Module
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class Handed:
    """`wrongkey.attacks.base.Evidence` as it goes to the attack's process, which opens the public model itself.

    Fields that are not listed here are those of `Evidence`.

    Attributes
    ----------
    setting : Setting
        What is public, without the model.
    model : str or None
        The model as the command line names it.
    public : bool
        Whether the attack is given the public model with its weights.
    encrypted : EncryptedModel or None
        What the process makes the encrypted model from.
    background : Parcel, str or None
        The background speech; on its way, the name of its parcel.
    asks : frozenset of str
        Names of the oracles that the attack may ask.
    """

    setting: Setting
    model: str | None
    case: Case
    seed: int
    ciphertext: tuple[Tensor, ...] = ()
    known: tuple[Matrix, Matrix] | None = None
    public: bool = False
    encrypted: EncryptedModel | None = None
    background: Parcel | str | None = None
    enrolled: BackgroundSpeech | None = None
    asks: frozenset[str] = frozenset()


def blank(model: Model) -> Model:
    """A copy whose parameters and buffers are zero: the architecture, which is public, without the weights."""
    empty = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in (*empty.network.parameters(), *empty.network.buffers()):
            tensor.zero_()
    return empty
