"""Losses that tell, from the answers of an encrypted model to known speech, whether the key of the queries is right.

All losses are smooth in the answers and are given for several keys at once: `(n, …)` to `(n,)`, lower is better.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot


def contrast(embeddings: Tensor, speakers: Tensor, scale: float) -> Tensor:
    """Return the supervised NT-Xent loss `(n,)` (Khosla et al., NeurIPS 2020) of embeddings `(n, utterances, dim)`.

    speakers: `(utterances,)`, equal numbers for the same voice; without labels, those of two pieces of one utterance.
    scale: of the cosines before the softmax.
    """
    unit = normalize(embeddings, dim=-1)
    itself = torch.eye(len(speakers), dtype=torch.bool)
    alike = (speakers[:, None] == speakers) & ~itself
    share = (scale * unit @ unit.mT).masked_fill(itself, -torch.inf).log_softmax(-1)
    return -share.masked_fill(~alike, 0).sum((-2, -1)) / alike.sum()


def cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the mean cross-entropy `(n,)` in nats of logits `(n, utterances, classes)`, classes `(utterances,)`."""
    return -(logits.log_softmax(-1) * one_hot(classes, logits.shape[-1])).sum(-1).mean(-1)


def indecision(logits: Tensor) -> Tensor:
    """Return the mean entropy of the answers less the entropy of their mean, `(n,)` in nats.

    It is minus the mutual information of input and answer (information maximisation; Liang et al., ICML 2020), for
    logits `(n, places, classes)`.
    """
    log_share = logits.log_softmax(-1)
    share = log_share.exp()
    mean = share.mean(-2)
    return -(share * log_share).sum(-1).mean(-1) + (mean * mean.clamp(min=1e-12).log()).sum(-1)


def norm_mismatch(
    moments: Sequence[tuple[Tensor, Tensor]], stored: Sequence[tuple[Tensor, Tensor]], shrink: float
) -> Tensor:
    """Return the divergence `(n,)` of moments before batch norms from what the norms stored in training.

    It is the Kullback-Leibler divergence of normals with these means and variances, `(n, channels)` and `(channels,)`:
    the mean over channels and layers, each layer weighing `shrink` times the one before it.
    """
    total, weight, weights = torch.tensor(0.0), 1.0, 0.0
    for (mean, variance), (stored_mean, stored_variance) in zip(moments, stored, strict=True):
        ratio = variance / stored_variance
        distance = (mean - stored_mean).square() / stored_variance
        total = total + weight * (ratio + distance - 1 - ratio.log()).mean(-1) / 2
        weights += weight
        weight *= shrink
    return total / weights
