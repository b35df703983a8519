"""What a model must offer, and how ``--model`` finds one.

A user's own model is any object with these attributes, made by a function without arguments and named
``package.module:factory`` or registered in the entry-point group ``wrongkey.models``. It offers the function of at
least one task: ``embed`` (ASV), ``transcribe`` (ASR) or ``classify`` (ASC).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from torch import Tensor, nn

from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.models.completed import completed
from wrongkey.evaluation.models.modules import in_training, widened
from wrongkey.plugins import import_user

Task = Literal["asv", "asr", "asc"]


@dataclass(frozen=True)
class Hypothesis:
    """What a recogniser heard: ``text``, and whether its decoder hit the bound that stops it (``runaway``)."""

    text: str
    runaway: bool = False


class Model(Protocol):
    """A model under test.

    ``network`` is in eval mode and holds the layer named ``first_layer``, the one that the key goes into.
    ``front_end`` is what the authorised user computes before encryption (pre-emphasis, a log-mel spectrogram);
    ``segments`` cuts its result into the pieces that are encrypted and asked. ``blocks`` says how a key cuts a
    query (``samples``, ``tiles`` or ``frames``, see ``wrongkey.keys.blocks``) unless the user asks otherwise, and
    ``block_size`` the usual block size M; None takes the kernel of a first layer with kernel = stride.
    """

    @property
    def name(self) -> str: ...
    @property
    def network(self) -> nn.Module: ...
    @property
    def first_layer(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def blocks(self) -> str | None: ...
    @property
    def block_size(self) -> int | None: ...

    def front_end(self, waveform: Tensor) -> Tensor:
        """Waveform ``(samples,)`` to query: ``(samples,)`` or ``(bins, frames)``."""

    def segments(self, query: Tensor) -> Tensor:
        """Query to pieces ``(segments, samples)`` or ``(segments, bins, frames)``."""


class SpeakerModel(Model, Protocol):
    """Speaker verification: scores are cosines of mean embeddings."""

    def embed(self, queries: Tensor) -> Tensor:
        """Pieces ``(batch, …)`` to embeddings ``(batch, dim)``, through ``network``."""


class Recogniser(Model, Protocol):
    """Speech recognition. The texts of an utterance's pieces are joined by spaces.

    A model may also offer ``encode(queries) -> (batch, frames, dim)``, the numbers that ``transcribe`` decodes:
    the self-checks then compare them instead of texts.
    """

    def transcribe(self, queries: Tensor) -> list[Hypothesis] | list[str]:
        """Pieces ``(batch, …)`` to what was heard in each, through ``network``."""


class SceneClassifier(Model, Protocol):
    """Acoustic classification: the mean of an utterance's pieces decides. ``classes`` names the columns."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    def classify(self, queries: Tensor) -> Tensor:
        """Pieces ``(batch, …)`` to logits ``(batch, classes)``, through ``network``."""


# name -> (task, module:loader). Loaders of bundled models are called as loader(name, folded=...).
BUNDLED: Mapping[str, tuple[Task, str]] = {
    "asv-raw3": ("asv", "wrongkey.evaluation.models.bundled.asv_raw:load_asv_raw"),
    "asv-raw5": ("asv", "wrongkey.evaluation.models.bundled.asv_raw:load_asv_raw"),
    "asv-raw10": ("asv", "wrongkey.evaluation.models.bundled.asv_raw:load_asv_raw"),
    "asr-words": ("asr", "wrongkey.evaluation.models.bundled.asr_words:load_asr_words"),
    "asc-convmixer": ("asc", "wrongkey.evaluation.models.bundled.asc_convmixer:load_asc_convmixer"),
}
# prefix -> (module:loader, what PREFIX:… is). Loaders are called with what stands behind the colon.
LOADERS: Mapping[str, tuple[str, str]] = {
    "rawnext": (
        "wrongkey.evaluation.models.adapters.rawnext:load_rawnext",
        "a RawNeXt checkpoint (Kim et al., 2022), ASV",
    ),
    "ge2e": (
        "wrongkey.evaluation.models.adapters.ge2e:load_ge2e",
        "GE2E speaker encoder: ge2e:resemblyzer, or a pretrained.pt",
    ),
    "xvector": (
        "wrongkey.evaluation.models.adapters.xvector:load_xvector",
        "HuBERT or wav2vec 2.0 + x-vector head, ASV; folder or hub id",
    ),
    "whisper": (
        "wrongkey.evaluation.models.adapters.whisper:load_whisper",
        "Whisper, ASR; folder or hub id of transformers",
    ),
    "ctc": (
        "wrongkey.evaluation.models.adapters.ctc:load_ctc",
        "HuBERT or wav2vec 2.0 with CTC, ASR; folder or hub id of transformers",
    ),
    "espnet": ("wrongkey.evaluation.models.adapters.espnet:load_espnet", "an ESPnet2 recogniser, ASR; its folder"),
    "timm": (
        "wrongkey.evaluation.models.adapters.timm_scenes:load_timm",
        "ConvMixer or ViT of timm on spectrograms, ASC; a TOML file",
    ),
    "command": (
        "wrongkey.evaluation.models.adapters.command:load_command",
        "an external recogniser, ASR on encrypted waveforms only",
    ),
}
ENTRY_POINTS = "wrongkey.models"


def open_model(spec: str, *, folded: bool = True, double: bool = False) -> Model:
    """The model that ``spec`` names; raises BadInput in a sentence.

    A bundled name; ``PREFIX:…`` for a prefix of ``LOADERS``; ``package.module:factory`` calls a user's function; any
    other word is looked up among the entry points ``wrongkey.models``. Where it can be, a network is folded for speed;
    with ``folded=False`` its tensors keep the names of the checkpoint. Its weights are float32; ``double`` keeps those
    that are float64.
    """
    prefix, colon, _ = spec.partition(":")
    loaded = spec in BUNDLED or (bool(colon) and prefix in LOADERS)
    try:
        model = _bundled_or_loaded(spec, folded) if loaded else _user_factory(spec)()
        return widened(checked(model, spec), double)
    except (BadInput, MemoryError):
        raise
    except Exception as error:  # a user's own code, or a foreign file, may fail in any way
        remedy = f"is this {LOADERS[prefix][1]}?" if prefix in LOADERS else "mend its factory"
        if "state_dict" in str(error):
            remedy += "; wrongkey.evaluation.models.checkpoints.load_weights reads checkpoints whatever their prefix"
        raise BadInput(f"model {spec!r} cannot be made ({in_one_line(error)}): {remedy}") from error


def _bundled_or_loaded(spec: str, folded: bool) -> Any:
    if spec in BUNDLED:
        return _named(BUNDLED[spec][1])(spec, folded=folded)
    prefix, _, place = spec.partition(":")
    load = _named(LOADERS[prefix][0])
    place = place if prefix == "command" else os.path.expanduser(place)  # a command is split into words first
    return load(place, folded=folded) if prefix == "rawnext" else load(place)


@contextmanager
def model_at_fault(name: str) -> Iterator[None]:
    """A user's model may fail in any way, wherever it is asked: inside, what is no BadInput becomes one."""
    try:
        yield
    except (BadInput, MemoryError, BrokenPipeError):  # the last: nobody reads the log any more
        raise
    except Exception as error:
        raise BadInput(f"model {name} fails ({in_one_line(error)}): mend it; what was there before is kept") from error


def answer_function(model: Model, task: str) -> Callable[[Tensor], Any]:
    """The function of a model that answers a task; BadInput where the model has none, or no names for its classes."""
    function = getattr(model, ASKED[task], None)
    if not callable(function):
        tasks = [task for task, name in ASKED.items() if callable(getattr(model, name, None))]
        raise BadInput(f"model {model.name} does no {task}: it answers --task {' or '.join(tasks)}")
    if task == "asc" and not _are_names(getattr(model, "classes", None)):
        raise BadInput(f"model {model.name} does not name its classes: give it classes, a tuple with the name of each")
    return cast(Callable[[Tensor], Any], function)


def _are_names(classes: Any) -> bool:
    """Whether these are names in the order of the logits, which a set has not, nor a dict of other numbers."""
    if isinstance(classes, str | nn.Module) or not hasattr(classes, "__getitem__") or not len(classes):
        return False
    if isinstance(classes, Mapping) and list(classes.values()) != list(range(len(classes))):
        return False
    return all(isinstance(name, str) for name in classes)


def model_card(name: str) -> str:
    """The card of a bundled model, in Markdown; raises BadInput for another name."""
    if name not in BUNDLED:
        raise BadInput(f"model {name!r} has no card here: bundled are {', '.join(BUNDLED)}")
    return (Path(__file__).parent / "bundled" / "weights" / f"{name}.md").read_text(encoding="utf-8")


def registered() -> list[str]:
    """Names that installed packages offer in the entry-point group ``wrongkey.models``."""
    return sorted(entry.name for entry in entry_points(group=ENTRY_POINTS))


def checked(model: Any, spec: str) -> Model:
    """``model`` with what may be left out filled in (``completed``); raises BadInput for what may not.

    Also where it is not in eval mode: nothing has been asked of it yet, for that would change the running statistics
    of its batch norms.
    """
    whole = cast(Model, completed(model, spec))
    if layers := in_training(whole):
        more = f" and {len(layers) - 1} more" if layers[1:] else ""
        raise BadInput(f"model {spec!r} is not in eval mode, see {layers[0]}{more}: call .eval() where it is made")
    return whole


def _named(place: str) -> Callable[..., Any]:
    module, _, function = place.partition(":")
    return cast(Callable[..., Any], getattr(import_module(module), function))


def _user_factory(spec: str) -> Callable[[], Any]:
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == spec:
            return cast(Callable[[], Any], entry.load())
    if ":" not in spec:
        known = ", ".join([*BUNDLED, *registered()])
        prefixes = ", ".join(f"{prefix}:…" for prefix in LOADERS)
        raise BadInput(f"model {spec!r} is unknown: give {known}, {prefixes} or package.module:factory")
    return cast(Callable[[], Any], import_user(spec, f"model {spec!r}"))
