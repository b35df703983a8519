"""How ``--model`` finds a model: bundled ones, adapters to other people's, those of packages and a user's own."""

from __future__ import annotations

import os
from functools import partial
from pkgutil import resolve_name
from typing import Any, cast

from torch import nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.completed import completed
from wrongkey.evaluation.models.modules import in_training, widened
from wrongkey.evaluation.models.offered import BUNDLED, GROUP, LOADERS
from wrongkey.evaluation.models.protocol import Model
from wrongkey.plugins import Registry


def open_model(spec: str, *, folded: bool = True, double: bool = False) -> Model:
    """Return the model that `spec` names.

    Parameters
    ----------
    spec : str
        A bundled name, ``PREFIX:…`` for a prefix of `LOADERS`, a name that an installed package registers in the
        entry-point group ``wrongkey.models``, or ``package.module:name`` of a model, or of a class or function without
        arguments that makes one.
    folded : bool
        Whether batch norms are folded into the layers before them where that is possible, for speed. Without folding,
        tensors keep the names of the checkpoint.
    double : bool
        Whether weights that are float64 stay so; all others become float32.

    Returns
    -------
    Model
        In eval mode, with what it left out filled in; of an adapter or a bundled model, a new object each time.

    Raises
    ------
    BadInput
        Where the model is unknown, cannot be made, or lacks a part.

    Examples
    --------
    >>> model = open_model("asv-raw3")
    >>> model.first_layer, model.sample_rate
    ('first.conv', 16000)
    """
    prefix, colon, place = spec.partition(":")
    adapter = LOADERS.get(prefix) if colon else None
    with REGISTRY.making(spec, f"is this {adapter[1]}?" if adapter else "mend its factory"):
        model = _adapted(prefix, place, folded) if adapter else REGISTRY.open(spec, folded=folded)
        return widened(checked(model, spec), double)


def checked(model: Any, spec: str) -> Model:
    """Return `model` with what it left out filled in (`completed`); `spec` names it in sentences.

    Raises BadInput for what may not be left out, and for a model that is not in eval mode. Nothing is asked of it
    before, since that would change the running statistics of its batch norms.
    """
    whole = cast(Model, completed(model, spec))
    if layers := in_training(whole):
        more = f" and {len(layers) - 1} more" if layers[1:] else ""
        raise BadInput(f"Model {spec!r} is not in eval mode, see {layers[0]}{more}: call .eval() where it is made.")
    return whole


def _bundled(name: str, folded: bool) -> Model:
    return resolve_name(BUNDLED[name][1])(name, folded=folded)


def _adapted(prefix: str, place: str, folded: bool) -> Any:
    load = resolve_name(LOADERS[prefix][0])
    place = place if prefix == "command" else os.path.expanduser(place)  # a command is split into words first
    return load(place, folded=folded) if prefix == "rawnext" else load(place)


def _is_model(found: Any) -> bool:
    """Whether an object is meant as a model and not as what makes one; `checked` says what a model lacks."""
    if isinstance(found, type):
        return False
    return isinstance(found, nn.Module) or hasattr(found, "first_layer") or not callable(found)


REGISTRY = Registry(
    kind="model",
    group=GROUP,
    builtin={name: partial(_bundled, name) for name in BUNDLED},
    is_one=_is_model,
    wanted="give a model, or a class or function without arguments that makes one",
    forms=tuple(f"{prefix}:…" for prefix in LOADERS),
    hints={"state_dict": "wrongkey.evaluation.models.checkpoints.load_weights reads checkpoints whatever their prefix"},
)
