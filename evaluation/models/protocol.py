"""What a model must offer: the protocols of the three tasks.

A model offers the function of at least one task: ``embed`` (ASV), ``transcribe`` (ASR) or ``classify`` (ASC).
`wrongkey.evaluation.models.completed` fills in what a user's own model may leave out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor, nn

Task = Literal["asv", "asr", "asc"]


@dataclass(frozen=True)
class Hypothesis:
    """What a recogniser heard.

    Parameters
    ----------
    text : str
        The words.
    runaway : bool
        Whether the decoder hit the bound that stops it.
    """

    text: str
    runaway: bool = False


class Model(Protocol):
    """A model under test."""

    @property
    def name(self) -> str:
        """What reports call the model."""

    @property
    def network(self) -> nn.Module:
        """The network in eval mode, with the layer that the key goes into."""

    @property
    def first_layer(self) -> str:
        """The name of that layer inside ``network``."""

    @property
    def sample_rate(self) -> int:
        """Samples of a waveform per second, in hertz."""

    @property
    def blocks(self) -> str | None:
        """How a key cuts a query unless the user asks otherwise: ``samples``, ``tiles`` or ``frames``."""

    @property
    def block_size(self) -> int | None:
        """The usual block size M; None takes the kernel of a first layer whose stride equals its kernel."""

    @property
    def external(self) -> bool:
        """Whether it has no network that could be encrypted: it is asked on waveforms only."""

    def front_end(self, waveform: Tensor) -> Tensor:
        """Turn a waveform ``(samples,)`` into a query ``(samples,)`` or ``(bins, frames)``.

        This is what the authorised user computes before encryption: pre-emphasis, or a log-mel spectrogram.
        """

    def segments(self, query: Tensor) -> Tensor:
        """Cut a query into the pieces that are encrypted: ``(segments, samples)`` or ``(segments, bins, frames)``."""


class SpeakerModel(Model, Protocol):
    """Speaker verification: scores are cosines of mean embeddings."""

    def embed(self, queries: Tensor) -> Tensor:
        """Turn pieces ``(batch, …)`` into embeddings ``(batch, dim)``, through ``network``."""


class Recogniser(Model, Protocol):
    """Speech recognition. The texts of an utterance's pieces are joined by spaces.

    A model may also offer ``encode(queries) -> (batch, frames, dim)``, the numbers that ``transcribe`` decodes:
    the self-checks then compare them instead of texts.
    """

    def transcribe(self, queries: Tensor) -> list[Hypothesis] | list[str]:
        """Return what was heard in each of the pieces ``(batch, …)``, through ``network``."""


class SceneClassifier(Model, Protocol):
    """Acoustic classification: the mean of an utterance's pieces decides."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""

    def classify(self, queries: Tensor) -> Tensor:
        """Turn pieces ``(batch, …)`` into logits ``(batch, classes)``, through ``network``."""
