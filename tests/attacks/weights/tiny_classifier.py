"""A classifier whose answers depend on the key, and speech for it: blocks scatter around one pattern per class."""

from __future__ import annotations

from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from wrongkey.attacks.base import BackgroundSpeech, Matrix, Setting
from wrongkey.evaluation.first_layer import encrypt_first_layer
from wrongkey.evaluation.models.protocol import Model
from wrongkey.keys import Blocks, SecretKey
from wrongkey.keys.family import get_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Scheme

CLASSES, BLOCKS, NOISE = 6, 20, 0.4


class TinyClassifier:
    """Logits: the mean over time of what every block has in common with each class' pattern."""

    first_layer = "0"
    name = "tiny"
    sample_rate = 16_000
    blocks = "samples"
    block_size = None
    external = False

    def __init__(self, patterns: Tensor) -> None:
        self.classes = tuple(f"class {i}" for i in range(len(patterns)))
        first = nn.Conv1d(1, len(patterns), patterns.shape[1], stride=patterns.shape[1])
        first.weight.data = 3 * patterns[:, None].float()
        assert first.bias is not None
        first.bias.data = -1.5 * patterns.float().square().sum(1)  # the likelier of two patterns of any size
        norm = nn.BatchNorm1d(len(patterns), affine=False)
        self.network: nn.Module = nn.Sequential(first, norm).eval().requires_grad_(False)

    def front_end(self, waveform: Tensor) -> Tensor:
        return waveform

    def segments(self, query: Tensor) -> Tensor:
        return query[None]

    def classify(self, queries: Tensor) -> Tensor:
        logits: Tensor = self.network(queries.unsqueeze(1)).mean(-1)
        return logits

    def embed(self, queries: Tensor) -> Tensor:
        return torch.relu(self.classify(queries))


class TinyRecogniser(TinyClassifier):
    """Says the likeliest class; gives no numbers."""

    classify = embed = None  # type: ignore[assignment]

    def transcribe(self, queries: Tensor) -> list[str]:
        return ["word " + "abcdef"[i] for i in TinyClassifier.classify(self, queries).argmax(-1).tolist()]


Kind = TypeVar("Kind", bound=TinyClassifier)


def patterns(size: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((CLASSES, size)))


def speech(size: int, utterances: int, seed: int = 1, heard: bool = True) -> BackgroundSpeech:
    """Utterances of the classes in turn; without pattern, white noise, where not `heard`."""
    rng, means = np.random.default_rng(seed), patterns(size).numpy()
    queries, labels = [], []
    for number in range(utterances):
        kind = number % CLASSES
        blocks = NOISE * rng.standard_normal((BLOCKS, size)) + (means[kind] if heard else 0)
        queries.append(torch.from_numpy(blocks.astype(np.float32)).flatten())
        labels.append(f"class {kind}")
    return BackgroundSpeech(tuple(queries), tuple(labels))


def trained(size: int) -> TinyClassifier:
    """The plain model, with the moments of its own speech in its batch norm."""
    model = TinyClassifier(patterns(size))
    first, norm = model.network.children()
    z = first(torch.stack(speech(size, 60, seed=5).queries)[:, None]).transpose(0, 1).flatten(1)
    norm.running_mean, norm.running_var = z.mean(1), z.var(1)
    return model


def recogniser(size: int) -> TinyRecogniser:
    """The same network, asked for texts."""
    model = TinyRecogniser(patterns(size))
    model.network = trained(size).network
    return model


def under(model: Kind, scheme: str | Scheme, key: Matrix) -> Kind:
    name = get_scheme(scheme).name
    return cast(Kind, encrypt_first_layer(cast(Model, model), SecretKey(name, len(key), 1, key), Blocks.SAMPLES))


def setting(scheme: str | Scheme, size: int, model: TinyClassifier, task: str = "asc") -> Setting:
    return Setting(get_scheme(scheme), KeyCut("samples", size), 16_000.0, cast(Model, model), task)
