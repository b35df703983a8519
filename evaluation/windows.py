"""Models whose segments are sent as overlapping windows of their first layer (wrongkey.keys.windows)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.first_layer import with_first_layer
from wrongkey.evaluation.models.completed import Completed, unwrapped
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import default_blocks
from wrongkey.keys.model import check_unshared, first_layer
from wrongkey.keys.spec import parse
from wrongkey.keys.windows import Windows, windowed_layer

OPTION = "windows"  # of a scheme's name


@dataclass(frozen=True)
class WindowedSegments:
    """What a windowed model offers as ``segments``: those of the plain model, each as its windows.

    It knows where the windows lie, and nothing of the layer's weights: the provider's model holds it too.
    """

    plain: Callable[[Tensor], Tensor]
    windows: Windows

    def __call__(self, query: Tensor) -> Tensor:
        """``(segments, count · kernel)`` of a query ``(samples,)``."""
        return self.windows.cut(self.plain(query))


def windowed(model: Model, blocks: str | None = None) -> Model:
    """A copy of ``model`` that reads windows: its answers to them are the model's to the segments themselves.

    Parameters
    ----------
    model
        Any model whose first layer is a Conv1d that reads samples.
    blocks
        As the user asks for them; only samples will do.

    Returns
    -------
    Model
        Its ``segments`` are windows one after another, its first layer has kernel = stride, and so has its block size.

    Raises
    ------
    BadInput
        With the reason, for any other model.
    """
    layer = first_layer(model.network, model.first_layer)
    windows = Windows.of(layer)
    if (blocks or model.blocks or default_blocks(layer)) != Blocks.SAMPLES:
        raise BadInput(
            f"Windows are for a Conv1d that reads samples, and {model.first_layer} of {model.name} reads the bins of a "
            "spectrogram: leave the option windows out."
        )
    check_unshared(model.network, model.first_layer)
    reads = with_first_layer(model, windowed_layer(layer))
    parts = {
        "segments": WindowedSegments(reads.segments, windows),
        "blocks": Blocks.SAMPLES.value,
        "block_size": windows.kernel,
    }
    filled_in = reads.parts if isinstance(reads, Completed) else {}
    return cast(Model, Completed(unwrapped(reads), {**filled_in, **parts}))


def as_sent(model: Model, scheme: str, blocks: str | None = None) -> Model:
    """The model itself, or the windowed one where the name of the scheme has the option ``windows``."""
    return windowed(model, blocks) if sends_windows(scheme) and not model.external else model


def sends_windows(scheme: str) -> bool:
    """Whether the name of a scheme has the option ``windows``."""
    return any(name == OPTION for name, _ in parse(scheme).options)


def windows_of(model: Model) -> Windows | None:
    """The windows that a model is sent; None for one that is sent its plain segments."""
    cut = model.segments
    return cut.windows if isinstance(cut, WindowedSegments) else None


def overlapping(model: Model | None) -> bool:
    """Whether a model is sent windows that overlap: what a key encrypts then is no speech to listen to."""
    windows = None if model is None else windows_of(model)
    return windows is not None and windows.factor > 1


def described(model: Model, windows: Windows) -> str:
    """What the windows are and what they cost, for the log."""
    of = f"{model.first_layer} of {model.name} reads {windows}"
    if windows.factor == 1:
        return f"{of}: windows do not overlap, and are blocks"
    return f"{of}: {windows.factor:.3g} times the data and the memory of its segments"
