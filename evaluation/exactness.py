"""How exactly the correct key gives the plain model's answers, for one model and recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.first_layer import encrypt_first_layer
from wrongkey.evaluation.models.modules import copied, move
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.queries import check_bins, group_queries
from wrongkey.evaluation.windows import as_sent
from wrongkey.keys import SecretKey, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.model import first_layer


@dataclass(frozen=True)
class Exactness:
    """Largest absolute difference between plain and correct-key answers, and the largest plain answer."""

    difference: float
    largest: float

    @property
    def relative(self) -> float:
        """Difference relative to the largest plain answer."""
        return self.difference / self.largest


def numbers_of(model: Model) -> Callable[[Tensor], Tensor]:
    """The function of a model whose answers can be compared: embeddings, logits, or what a recogniser decodes.

    Raises BadInput for a recogniser that gives texts only.
    """
    for name in ("encode", ASKED["asv"], ASKED["asc"]):
        if hasattr(model, name):
            return cast(Callable[[Tensor], Tensor], getattr(model, name))
    raise BadInput(f"Model {model.name} answers with texts only: give it encode(queries) to compare numbers.")


def fitted_queries(model: Model, waveform: Tensor, cut: KeyCut) -> Tensor:
    """What the authorised user encrypts of a waveform ``(samples,)``: front end, segments, whole blocks in time."""
    segments = model.segments(model.front_end(waveform))
    check_bins(model, segments, cut)
    whole = cut.reads_whole(first_layer(model.network, model.first_layer))
    return group_queries([segments], cut, whole).groups[0].segments


@torch.inference_mode()
def exactness(
    model: Model, key: SecretKey, blocks: Blocks, waveform: Tensor, dtype: torch.dtype = torch.float32
) -> Exactness:
    """Plain model and plain query against encrypted model and encrypted query, both computed in ``dtype``.

    Where the key's scheme sends windows, both models read windows.
    """
    model = as_sent(model, key.scheme, blocks)
    queries = fitted_queries(model, waveform, key.cut(blocks))
    encrypted = encrypt_first_layer(model, key, blocks, torch.promote_types(dtype, torch.float32))
    plain_model = copied(model)  # a network rounded to bfloat16 cannot be made whole again
    for one in (plain_model, encrypted):
        move(one, None, dtype)
    plain = numbers_of(plain_model)(queries.to(dtype)).double()
    answer = numbers_of(encrypted)(encrypt_query(queries, key, blocks=blocks).to(dtype)).double()
    return Exactness(float((answer - plain).abs().max()), float(plain.abs().max()))
