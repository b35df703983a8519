"""HuBERT with an x-vector head, which transformers has for wav2vec 2.0 and WavLM only.

Snyder et al., "X-Vectors", ICASSP 2018, on the hidden states of HuBERT: the speaker model of the paper. The head is
that of ``Wav2Vec2ForXVector``, layer for layer, so that its checkpoints look alike:

    config.json               a ``HubertConfig``; tdnn_dim, tdnn_kernel, tdnn_dilation and xvector_output_dim where
                              they differ from those of ``Wav2Vec2Config``; conv_kernel and conv_stride of the variants
    preprocessor_config.json  of ``Wav2Vec2FeatureExtractor``
    model.safetensors         hubert.* (HuBERT), layer_weights where config.use_weighted_layer_sum, projector.*,
                              tdnn.N.kernel.*, feature_extractor.* (the embedding); anything else is left out

Imported by ``xvector`` when a HuBERT is opened, since it needs transformers.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel, HubertPreTrainedModel, Wav2Vec2Config
from transformers.modeling_outputs import XVectorOutput
from transformers.models.wav2vec2.modeling_wav2vec2 import TDNNLayer

HEAD = ("tdnn_dim", "tdnn_kernel", "tdnn_dilation", "xvector_output_dim")


class HubertForXVector(HubertPreTrainedModel):  # type: ignore[misc, no-untyped-call, unused-ignore]
    """Waveforms ``(batch, samples)`` to ``embeddings (batch, xvector_output_dim)``."""

    def __init__(self, config: HubertConfig) -> None:
        defaults = Wav2Vec2Config()
        for name in HEAD:
            if not hasattr(config, name):
                setattr(config, name, getattr(defaults, name))
        super().__init__(config)
        self.hubert = HubertModel(config)
        if config.use_weighted_layer_sum:
            layers = config.num_hidden_layers + 1  # and the input embeddings
            self.layer_weights = nn.Parameter(torch.ones(layers) / layers)
        head, layer = cast(Any, config), cast(Any, TDNNLayer)
        self.projector = nn.Linear(config.hidden_size, head.tdnn_dim[0])
        self.tdnn = nn.ModuleList(layer(config, place) for place in range(len(head.tdnn_dim)))
        self.feature_extractor = nn.Linear(head.tdnn_dim[-1] * 2, head.xvector_output_dim)
        cast(Any, self).post_init()

    def forward(self, input_values: Tensor) -> XVectorOutput:
        """Turn waveforms ``(batch, samples)`` into embeddings, as the class of wav2vec 2.0 does."""
        weighted = self.config.use_weighted_layer_sum
        answer = self.hubert(input_values, output_hidden_states=weighted)
        x = answer.last_hidden_state
        if weighted:
            share = torch.softmax(self.layer_weights, dim=0)
            x = (torch.stack(answer.hidden_states, dim=-1) * share).sum(-1)
        x = self.projector(x)
        for layer in self.tdnn:
            x = layer(x)
        statistics = torch.cat([x.mean(dim=1), x.std(dim=1)], dim=-1)
        return XVectorOutput(embeddings=self.feature_extractor(statistics))
