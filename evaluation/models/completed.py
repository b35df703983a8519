"""A user's model with what it leaves out filled in.

Any kind of object may be a model: a module, a frozen dataclass, a namedtuple, one with ``__slots__`` or with
properties. So nothing is set on it: ``Completed`` stands in front of it and answers for what it lacks.

An attribute of the wrong kind may belong to the model itself and not to the protocol: ECAPA-TDNN and ViT keep a list of
layers under ``blocks``. Such an attribute is ignored. Where it may also be a mistake, it is refused.
"""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks


@dataclass(frozen=True)
class Completed:
    """A user's object with ``parts`` in front of it; everything else is asked of the object itself."""

    model: Any
    parts: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("model", "parts"):  # asked for while a copy is being made
            raise AttributeError(name)
        return self.parts[name] if name in self.parts else getattr(self.model, name)


def unwrapped(model: Any) -> Any:
    """Return the object that a user made."""
    return model.model if isinstance(model, Completed) else model


def completed(model: Any, spec: str) -> Any:
    """Return ``model`` as it is where it lacks nothing, else a ``Completed``; ``spec`` names it in sentences.

    An ``nn.Module`` is its own ``network`` where it has none that holds the first layer. Without ``front_end`` and
    ``segments`` the query is the whole waveform. Raises BadInput for what may not be left out.
    """
    network, first_layer = _keyed(model, spec)
    found = {
        "network": network,
        "first_layer": first_layer,
        "name": _name(model) or spec,
        "sample_rate": _sample_rate(model, spec),
        "blocks": _blocks(model, spec),
        "block_size": _block_size(model, spec),
        "external": _external(model),
        "front_end": _function(model, "front_end", spec) or waveform_itself,
        "segments": _function(model, "segments", spec) or whole_query,
    }
    parts = {name: value for name, value in found.items() if not _offers(model, name, value)}
    return Completed(model, parts) if parts else model


def waveform_itself(waveform: Tensor) -> Tensor:
    """Return the waveform unchanged: the front end of a model that has none."""
    return waveform


def whole_query(query: Tensor) -> Tensor:
    """Return the query as its only segment, ``(1, …)``: the segments of a model that cuts nothing."""
    return query[None]


def _offers(model: Any, name: str, value: Any) -> bool:
    if not hasattr(model, name):
        return False
    own = getattr(model, name)
    return own is value or (type(own) is type(value) and bool(own == value))  # a method is another object each time


def _keyed(model: Any, spec: str) -> tuple[nn.Module, str]:
    """Network and name of the first layer, which may be given as the layer itself."""
    networks = [one for one in (getattr(model, "network", None), model) if isinstance(one, nn.Module)]
    first = getattr(model, "first_layer", None)
    missing = [
        *(["network"] if not networks else []),
        *(["first_layer"] if first is None or (first == "" and not _external(model)) else []),
        *(["embed, transcribe or classify"] if not _answers(model) else []),
    ]
    if missing:
        raise BadInput(f"Model {spec!r} lacks {' and '.join(missing)}: see docs/extending.md for what it needs.")
    for network in networks:
        for name, layer in network.named_modules(remove_duplicate=False):
            if name == first if isinstance(first, str) else layer is first:
                return network, name
    if not isinstance(first, str):
        raise BadInput(f"first_layer of model {spec!r} is {_kind(first)}: give the name of a layer of its network.")
    return networks[0], first  # looking it up later refuses it, and names the nearest layers


def _external(model: Any) -> bool:
    found = getattr(model, "external", None)
    return found if isinstance(found, bool) else False


def _answers(model: Any) -> bool:
    return any(callable(getattr(model, name, None)) for name in ("embed", "transcribe", "classify"))


def _name(model: Any) -> str | None:
    name = getattr(model, "name", None)
    return name if isinstance(name, str) and name.strip() else None


def _sample_rate(model: Any, spec: str) -> int:
    found = getattr(model, "sample_rate", None)
    if found is None:
        return 16_000
    rate = _count(found)
    if rate is None:
        raise BadInput(f"sample_rate of model {spec!r} is {_kind(found)}: give hertz, a whole number above 0.")
    return rate


def _blocks(model: Any, spec: str) -> str | None:
    found = getattr(model, "blocks", None)
    if isinstance(found, str) and found not in tuple(Blocks):
        raise BadInput(f"blocks of model {spec!r} is {found!r}: give {', '.join(tuple(Blocks))}, or leave it out.")
    return found if isinstance(found, str) else None


def _block_size(model: Any, spec: str) -> int | None:
    found = getattr(model, "block_size", None)
    size = _count(found)
    if size is None and isinstance(found, str | numbers.Number):
        raise BadInput(f"block_size of model {spec!r} is {found!r}: give a whole number above 0, or leave it out.")
    return size


def _function(model: Any, name: str, spec: str) -> Callable[[Tensor], Tensor] | None:
    """What a model has under ``name``; None where that is nothing, or a list of layers or a tensor of its own."""
    found: Any = getattr(model, name, None)
    if found is None or isinstance(found, Tensor) or (isinstance(found, nn.Module) and not _has_forward(found)):
        return None
    if not callable(found):
        raise BadInput(
            f"{name} of model {spec!r} is {_kind(found)}, and {name} names a function here: rename the attribute."
        )
    try:
        inspect.signature(found.forward if isinstance(found, nn.Module) else found).bind(None)
    except TypeError as error:
        raise BadInput(
            f"{name} of model {spec!r} is called with one argument, and that fails ({error}): give its other "
            "arguments defaults, or rename it where it means something else."
        ) from error
    except ValueError:  # a function of C that does not tell its arguments
        pass
    return found


def _has_forward(module: nn.Module) -> bool:
    return type(module).forward is not nn.Module.forward


def _count(value: Any) -> int | None:
    """A whole number above 0, of any numeric type or a tensor of one number; None for anything else."""
    if isinstance(value, Tensor) and value.ndim == 0 and not value.is_complex():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    number = float(value)
    return int(number) if number > 0 and number.is_integer() else None


def _kind(value: Any) -> str:
    return repr(value) if isinstance(value, str | numbers.Number) else f"of type {type(value).__name__}"
