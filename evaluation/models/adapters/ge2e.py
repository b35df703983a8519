"""The GE2E speaker encoder under a key: a recurrent first layer, whole mel frames as blocks.

The query is the mel power spectrogram of an utterance, 40 bins by frames of 10 ms. An LSTM reads one frame a step, so
a key on the bins of a frame is absorbed by its input weights (`wrongkey.keys.lift`), and the encoder is encrypted
without being trained again. The weights are those of the `resemblyzer` wheel (see `ge2e_teacher`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wrongkey.evaluation.models.adapters.ge2e_network import (
    MEL_BANDS,
    SAMPLE_RATE,
    Ge2eTeacher,
    cut_into_partials,
    load_ge2e_teacher,
)

WHEEL = "resemblyzer"  # names the weights of the installed wheel


@dataclass
class Ge2e:
    """GE2E in eval mode: an utterance's embedding is the mean over pieces of 1.6 s, half overlapping."""

    network: Ge2eTeacher
    name: str = "ge2e"
    first_layer: str = "lstm"
    sample_rate: int = SAMPLE_RATE
    blocks: str = "frames"
    block_size: int = MEL_BANDS  # a block is a whole frame
    external: bool = False

    def front_end(self, waveform: Tensor) -> Tensor:
        """Waveform `(samples,)` to mel power `(40, frames)`; a level below -30 dBFS is raised to it."""
        return self.network.mel_power(waveform).T

    def segments(self, query: Tensor) -> Tensor:
        """Mel power `(40, frames)` to pieces `(pieces, 40, 160)`; a short one is filled with silence."""
        return torch.stack([piece.T for piece in cut_into_partials(query.T)])

    def embed(self, queries: Tensor) -> Tensor:
        """Pieces `(batch, bins, 160)` to embeddings `(batch, 256)` of length one."""
        return self.network(queries.mT)


def load_ge2e(place: str) -> Ge2e:
    """The encoder: `resemblyzer` for the weights of the installed wheel, or the path of a `pretrained.pt`.

    Raises BadInput where they are missing or of another network.
    """
    return Ge2e(load_ge2e_teacher(None if place == WHEEL else Path(place)).requires_grad_(False))
