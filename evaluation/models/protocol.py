"""What a speaker-verification model must offer, and how ``--model`` finds one.

A user's own model is any object with these attributes, made by a function without arguments and named
``package.module:factory`` or registered in the entry-point group ``wrongkey.models``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from torch import Tensor, nn

from keys.errors import BadInput


class SpeakerModel(Protocol):
    """A speaker-verification model.

    ``network`` is in eval mode and holds the layer named ``first_layer``, the one that the key goes into.
    ``front_end`` is what the authorised user computes before encryption (pre-emphasis, say); ``segments`` cuts
    its result into the pieces that are encrypted and embedded; scores are cosines of mean embeddings.
    """

    @property
    def name(self) -> str: ...
    @property
    def network(self) -> nn.Module: ...
    @property
    def first_layer(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...

    def front_end(self, waveform: Tensor) -> Tensor:
        """Waveform ``(samples,)`` to query ``(samples,)``."""

    def segments(self, query: Tensor) -> Tensor:
        """Query ``(samples,)`` to pieces ``(segments, samples)``."""

    def embed(self, queries: Tensor) -> Tensor:
        """Pieces ``(batch, samples)`` to embeddings ``(batch, dim)``, through ``network``."""


BUNDLED = ("asv-raw3", "asv-raw5", "asv-raw10")
ENTRY_POINTS = "wrongkey.models"


def open_model(spec: str, *, folded: bool = True) -> SpeakerModel:
    """The model that ``spec`` names; raises BadInput in a sentence.

    ``asv-raw3`` and its like are bundled; ``rawnext:FILE`` is a RawNeXt checkpoint; ``package.module:factory``
    calls a user's function; any other word is looked up among the entry points ``wrongkey.models``. Where
    it can be, a network is folded for speed; with ``folded=False`` its tensors keep the names of the checkpoint.
    """
    if spec in BUNDLED:
        from evaluation.models.asv_raw import load_asv_raw

        return load_asv_raw(spec, folded=folded)
    if spec.startswith("rawnext:"):
        from evaluation.models.rawnext import load_rawnext

        return load_rawnext(spec.removeprefix("rawnext:"), folded=folded)
    try:
        model = _user_factory(spec)()
        return checked(model, spec)
    except BadInput:
        raise
    except Exception as error:  # a user's own code may fail in any way
        raise BadInput(f"model {spec!r} cannot be made ({type(error).__name__}: {error}): mend its factory") from error


def model_card(name: str) -> str:
    """The card of a bundled model, in Markdown; raises BadInput for another name."""
    if name not in BUNDLED:
        raise BadInput(f"model {name!r} has no card here: bundled are {', '.join(BUNDLED)}")
    return (Path(__file__).parent / "weights" / f"{name}.md").read_text(encoding="utf-8")


def registered() -> list[str]:
    """Names that installed packages offer in the entry-point group ``wrongkey.models``."""
    return sorted(entry.name for entry in entry_points(group=ENTRY_POINTS))


def checked(model: Any, spec: str) -> SpeakerModel:
    """``model`` with what may be left out filled in; raises BadInput for what may not.

    An ``nn.Module`` is its own ``network``; without ``front_end`` and ``segments`` the query is the waveform as a
    whole.
    """
    if isinstance(model, nn.Module) and not hasattr(model, "network"):
        object.__setattr__(model, "network", model)
    missing = [part for part in ("network", "first_layer", "embed") if not hasattr(model, part)]
    if missing:
        raise BadInput(f"model {spec!r} has no {' and no '.join(missing)}: see docs/extending.md for what it needs")
    defaults = {
        "name": spec,
        "sample_rate": 16_000,
        "front_end": lambda waveform: waveform,
        "segments": lambda query: query[None],
    }
    for part, default in defaults.items():
        if not hasattr(model, part):
            setattr(model, part, default)
    return cast(SpeakerModel, model)


def _user_factory(spec: str) -> Callable[[], Any]:
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == spec:
            return cast(Callable[[], Any], entry.load())
    module, colon, function = spec.partition(":")
    if not colon:
        known = ", ".join([*BUNDLED, *registered()])
        raise BadInput(f"model {spec!r} is unknown: give {known}, rawnext:FILE or package.module:factory")
    try:
        return cast(Callable[[], Any], getattr(import_module(module), function))
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(
            f"model {spec!r} cannot be imported ({error}): give an importable package.module:factory"
        ) from error
