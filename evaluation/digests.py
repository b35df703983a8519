"""Hashes and magnitudes by which a run folder knows its experiment again."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.queries import Queries


def digest_of_weights(network: nn.Module) -> str:
    """SHA-256 (hexadecimal) of a network's tensors, by name."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + str(tensor.dtype).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def digest_of_shapes(queries: Queries) -> str:
    """SHA-256 (hexadecimal) of how the utterances were cut into segments."""
    digest = hashlib.sha256()
    for group in queries.groups:
        digest.update(str(tuple(group.segments.shape)).encode() + group.utterance.cpu().numpy().tobytes())
    return digest.hexdigest()


def magnitude(answers: Answers) -> float:
    """Mean absolute value of answers, or mean length of texts."""
    if isinstance(answers, Tensor):
        return float(answers.abs().double().mean())
    lengths = [len(heard.text) for texts in answers for heard in texts]
    return sum(lengths) / len(lengths)
