"""HuBERT, wav2vec 2.0, WavLM and their relatives with a CTC head under a key: waveforms to characters.

The query is the waveform, normalised where the checkpoint asks for that. Its first layer, a convolution of kernel 10
and stride 5 in the published models, absorbs a key on blocks of samples by lifting. Greedy CTC decoding
(Graves et al., 2006): the likeliest token of every frame, repetitions merged and blanks left out; it always ends.
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
from wrongkey.evaluation.models.protocol import Hypothesis


@dataclass(kw_only=True)
class Ctc(WaveformModel):
    """A CTC recogniser: its network is ``HubertForCTC``, ``Wav2Vec2ForCTC`` or the like.

    Parameters
    ----------
    tokenizer : Wav2Vec2CTCTokenizer
        Of the network's vocabulary.
    """

    tokenizer: Any

    @torch.inference_mode()
    def encode(self, queries: Tensor) -> Tensor:
        """Waveforms ``(batch, samples)`` to logits ``(batch, frames, vocabulary)``."""
        return self.network(queries).logits

    def transcribe(self, queries: Tensor) -> list[Hypothesis]:
        """Waveforms ``(batch, samples)`` to what was heard in each."""
        texts = self.tokenizer.batch_decode(self.encode(queries).argmax(-1))
        return [Hypothesis(self._spoken(text)) for text in texts]

    def _spoken(self, text: str) -> str:
        """Without `<unk>`, `<s>` and their like; the tokenizer would drop its blank with them, before repeats merge."""
        for token in self.tokenizer.all_special_tokens:
            text = text.replace(token, "")
        return " ".join(text.split())


def load_ctc(place: str) -> Ctc:
    """A CTC recogniser from a folder or hub id of transformers, such as ``facebook/hubert-large-ls960-ft``.

    Raises BadInput for what is not there, is not a CTC model on waveforms, or has no CTC tokenizer.
    """
    transformers = import_transformers("ctc")
    place, _ = split_options(place, "ctc")
    network = open_network(transformers.AutoModelForCTC, place, "ctc", unread=("masked_spec_embed",))
    extractor = open_part(transformers.AutoFeatureExtractor, place, "ctc")
    first_layer, block_size = first_convolution(network, place, "ctc")
    return Ctc(
        network=network,
        tokenizer=open_part(transformers.Wav2Vec2CTCTokenizer, place, "ctc"),
        normalise=bool(extractor.do_normalize),
        first_layer=first_layer,
        block_size=block_size,
        sample_rate=extractor.sampling_rate,
        name=f"ctc:{place}",
    )
