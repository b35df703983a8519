"""Asks a user's model for the first time: it must answer, in the right shape, through the layer that takes the key.

A copy is asked, cast as the sweep will run it, so that nothing of the user's model changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.hardware import is_out_of_memory
from wrongkey.evaluation.models.completed import unwrapped
from wrongkey.evaluation.models.modules import copied, move
from wrongkey.evaluation.models.protocol import Hypothesis, Model, SceneClassifier

# what torch says of ... -> the likely reason
REASONS = {
    ("dtype", "scalar type", "same type", "should be the same", "not implemented for"): "does it make a tensor of its "
    "own in another type than its queries have? Cast it to theirs, or choose another --precision.",
    ("same device", "device type"): "does it make a tensor of its own on another device? Make it where the queries are",
    ("size", "shape", "dimension", "kernel", "padding"): "are they shorter than its receptive field?",
}


def probe(
    model: Model, task: str, query: Tensor, of: str, device: torch.device, dtype: torch.dtype, keyed: bool
) -> None:
    """Ask a copy of ``model`` about a query ``(1, …)``, given twice in one batch.

    ``of`` says where the query comes from, for the message, and ``keyed`` whether a key goes into the first layer.
    Raises BadInput where the model fails, answers in another shape, applies its front end itself or does not ask its
    first layer.
    """
    probed = copied(model)
    move(probed, device, dtype)
    two = query[:1].repeat(2, *[1] * (query.ndim - 1)).to(device, dtype)
    layer = probed.network.get_submodule(probed.first_layer) if keyed else None
    asked = _record(layer, "forward") if layer is not None else None
    repeated = _record(unwrapped(probed), "front_end")
    functions = [ASKED[task]]
    if task == "asr" and callable(getattr(probed, "encode", None)):
        functions.append("encode")
    for name in functions:
        answer = _answer(probed, name, two, of)
        _check_shape(probed, name, answer)
        if repeated:
            raise BadInput(
                f"{name} of model {model.name} calls front_end itself, which would then be applied twice: a "
                "query has been through front_end already; rename it if it is a part of the network."
            )
        if asked is not None and not asked:
            raise BadInput(
                f"{name} of model {model.name} does not go through {model.first_layer} of its network, where the key "
                "is: it must call self.network, and not another module or a variable of the function that made it."
            )


def _answer(model: Model, name: str, queries: Tensor, of: str) -> Any:
    try:
        with torch.inference_mode():
            return getattr(model, name)(queries)
    except BadInput:
        raise
    except Exception as error:  # a user's model may fail in any way
        if is_out_of_memory(error):  # which is not the model's fault
            raise
        raise BadInput(
            f"Model {model.name} cannot {name} {of}, queries of shape {tuple(queries.shape[1:])} and type "
            f"{str(queries.dtype).removeprefix('torch.')} ({in_one_line(error)}){_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    text = str(error).lower()
    return next((f": {reason}" for words, reason in REASONS.items() if any(word in text for word in words)), ".")


def _check_shape(model: Model, name: str, answer: Any) -> None:
    """BadInput unless this answers two queries."""
    if name == "transcribe":
        heard = isinstance(answer, list) and len(answer) == 2
        if not heard or not all(isinstance(text, str | Hypothesis) for text in answer):
            raise BadInput(f"Model {model.name}: transcribe must return a list with a text for each query.")
        return
    found = tuple(answer.shape) if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
    rows = isinstance(answer, Tensor) and answer.ndim >= 2 and len(answer) == 2
    wanted = {"embed": "(batch, dim)", "classify": "(batch, classes)", "encode": "(batch, frames, dim)"}[name]
    if not rows or (name != "encode" and answer.ndim != 2):
        raise BadInput(f"Model {model.name}: {name} must return {wanted}, and two queries gave {found}.")
    if not answer.is_floating_point():
        raise BadInput(f"Model {model.name}: {name} must return real numbers, and gave {answer.dtype}.")
    if name == "classify" and answer.shape[1] != (classes := len(_classes(model))):
        raise BadInput(f"Model {model.name} names {classes} classes, and classify gave {found} for two queries.")


def _classes(model: Any) -> Any:
    named: SceneClassifier = model
    return named.classes


def _record(owner: Any, name: str) -> list[bool] | None:
    """A list that grows with every call of a function of ``owner``; None where none is there or can be watched.

    The function is set on the copy itself: a hook would miss a ``forward`` that is called by its name.
    """
    function: Callable[..., Any] | None = getattr(owner, name, None)
    if function is None:
        return None
    calls: list[bool] = []

    def recorded(*given: Any, **named: Any) -> Any:
        calls.append(True)
        return function(*given, **named)

    try:
        object.__setattr__(owner, name, recorded)
    except AttributeError:  # a property, or __slots__
        return None
    return calls
