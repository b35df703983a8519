"""HuBERT, wav2vec 2.0, WavLM and their relatives with an x-vector head under a key: speaker verification on waveforms.

The paper's kind of speaker model. Its first layer as published, a convolution of kernel 10 and stride 5, absorbs a
key on blocks of samples by lifting; the paper's variants with kernel = stride 5 or 10 (``conv_kernel[0]`` and
``conv_stride[0]`` of their configuration) are opened by the same code. transformers has x-vector heads for
all but HuBERT, whose checkpoints ``hubert_xvector`` describes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wrongkey.evaluation.models.adapters.pretrained import (
    WaveformModel,
    first_convolution,
    import_transformers,
    open_network,
    open_part,
    split_options,
)

UNREAD = ("classifier", "objective", "masked_spec_embed")  # used in training only


@dataclass(kw_only=True)
class XVector(WaveformModel):
    """A speaker model, whose network is ``Wav2Vec2ForXVector`` or the like; it embeds whole utterances.

    Parameters
    ----------
    shortest : int
        Samples that the statistics of the head need; a shorter query is repeated up to this length.
    """

    shortest: int

    def segments(self, query: Tensor) -> Tensor:
        """The whole utterance: ``(1, samples)``."""
        return query.repeat(-(-self.shortest // len(query)))[None] if len(query) < self.shortest else query[None]

    @torch.inference_mode()
    def embed(self, queries: Tensor) -> Tensor:
        """Waveforms ``(batch, samples)`` to embeddings ``(batch, dim)``."""
        return self.network(queries).embeddings


def load_xvector(place: str) -> XVector:
    """A speaker model from a folder or hub id of transformers, such as ``microsoft/wavlm-base-plus-sv``.

    Raises BadInput for what is not there, was not trained with an x-vector head, or does not read waveforms.
    """
    transformers = import_transformers("xvector")
    place, _ = split_options(place, "xvector")
    config = open_part(transformers.AutoConfig, place, "xvector")
    loader: Any = transformers.AutoModelForAudioXVector
    if config.model_type == "hubert":
        from wrongkey.evaluation.models.adapters.hubert_xvector import HubertForXVector

        loader = HubertForXVector
    network: Any = open_network(loader, place, "xvector", UNREAD)
    extractor = open_part(transformers.AutoFeatureExtractor, place, "xvector")
    first_layer, block_size = first_convolution(network, place, "xvector")
    return XVector(
        network=network,
        normalise=bool(extractor.do_normalize),
        shortest=shortest_query(network.config),
        first_layer=first_layer,
        block_size=block_size,
        sample_rate=extractor.sampling_rate,
        name=f"xvector:{place}",
    )


def shortest_query(config: Any) -> int:
    """Samples that give the two frames behind the x-vector head's convolutions which a deviation needs."""
    frames = 2 + sum(d * (k - 1) for d, k in zip(config.tdnn_dilation, config.tdnn_kernel, strict=True))
    for kernel, stride in reversed(list(zip(config.conv_kernel, config.conv_stride, strict=True))):
        frames = (frames - 1) * stride + kernel
    return int(frames)
