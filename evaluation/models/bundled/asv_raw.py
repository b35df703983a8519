"""Bundled speaker verification on raw waveforms: `asv-raw3`, `asv-raw5`, `asv-raw10`.

Small relatives of RawNet2 (Jung et al., Interspeech 2020) and RawNeXt (Kim et al., ICASSP 2022) whose first
layer is a convolution with kernel = stride = 3, 5 or 10 samples, so that one window is one block of the keys.
Strided convolutions lead to one frame per 300 samples, residual convolutions with growing dilation add context,
and attentive statistics pooling (Okabe et al., Interspeech 2018) turns the frames into one embedding.
Each has a model card beside its weights in `weights/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.bundled.conv_norm import ConvNorm
from wrongkey.evaluation.models.packed_linear import PackedLinear

SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = 300
SEGMENT = 32_400  # samples: 2.025 s, 108 frames; divisible by 3, 5 and 10
PRE_EMPHASIS = 0.97
WEIGHTS = Path(__file__).parent / "weights"

# by kernel: (output channels, stride) of the convolutions after the first; 300 samples make a frame
FIRST_CHANNELS: Mapping[int, int] = {3: 16, 5: 16, 10: 32}
STEM: Mapping[int, Sequence[tuple[int, int]]] = {
    3: ((24, 4), (48, 5), (112, 5)),
    5: ((32, 4), (64, 3), (112, 5)),
    10: ((64, 5), (112, 6)),
}
DILATIONS = (1, 2, 3)
EMBEDDING = 192
SLOPE = 0.1  # of every activation below zero
NAMES = {f"asv-raw{kernel}": kernel for kernel in STEM}


def leaky(x: torch.Tensor) -> torch.Tensor:
    """Return the activation of every layer, computed in place."""
    return nn.functional.leaky_relu(x, SLOPE, inplace=True)


def strided(inputs: int, outputs: int, stride: int) -> ConvNorm:
    """Return a layer with kernel = stride: `(batch, in, time)` to `(batch, out, time / stride)`."""
    return ConvNorm(nn.Conv1d(inputs, outputs, stride, stride), leaky)


def dilated(channels: int, dilation: int) -> ConvNorm:
    """Return a layer of kernel 3 that keeps the shape `(batch, c, time)`."""
    return ConvNorm(nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation), leaky)


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time, weighted by attention: `(batch, c, time)` to `(batch, 2c)`."""

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.inner = nn.Conv1d(channels, hidden, 1)
        self.outer = nn.Conv1d(hidden, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the statistics of the frames."""
        return weighted_statistics(x, self.outer(torch.tanh(self.inner(x))), time=2)


def weighted_statistics(x: torch.Tensor, logits: torch.Tensor, time: int) -> torch.Tensor:
    """Mean and standard deviation of `x` along axis `time` under softmax weights: `(batch, 2c)`."""
    weight = torch.softmax(logits, dim=time)
    mean = (weight * x).sum(dim=time)
    variance = (weight * x * x).sum(dim=time) - mean * mean
    return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=1)


class RawSpeakerNet(nn.Module):
    """Waveforms `(batch, samples)`, a multiple of 300, to embeddings `(batch, 192)` of any length."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        channels = FIRST_CHANNELS[kernel]
        self.first = strided(1, channels, kernel)
        stem = []
        for outputs, stride in STEM[kernel]:
            stem.append(strided(channels, outputs, stride))
            channels = outputs
        self.stem = nn.Sequential(*stem)
        self.blocks = nn.ModuleList(dilated(channels, dilation) for dilation in DILATIONS)
        self.pool = AttentiveStatistics(channels)
        self.project = nn.Linear(2 * channels, EMBEDDING)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Return the embeddings."""
        x = self.stem(self.first(waveforms.unsqueeze(1)))
        for block in self.blocks:
            x = x + block(x)
        return self.project(self.pool(x))


class FrameLinear(PackedLinear):
    """What a strided ConvNorm computes, on frames: `(batch, time, in)` to `(batch, time / stride, out)`.

    A convolution with kernel = stride is one matrix product over non-overlapping windows, and twice as fast that way.
    """

    def __init__(self, folded: nn.Conv1d) -> None:
        super().__init__(*_weights(folded), SLOPE)
        self.stride = folded.stride[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activated layer on frames."""
        batch, time, channels = x.shape
        frames = time // self.stride
        windows = x[:, : frames * self.stride].reshape(batch, frames, self.stride * channels)
        return super().forward(windows)


class ContextLinear(PackedLinear):
    """What a dilated ConvNorm of kernel 3 computes, on frames: `(batch, time, c)` to the same shape."""

    def __init__(self, folded: nn.Conv1d) -> None:
        super().__init__(*_weights(folded), SLOPE)
        self.dilation = folded.dilation[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activated layer on frames."""
        time = x.shape[1]
        padded = nn.functional.pad(x, (0, 0, self.dilation, self.dilation))
        neighbours = [padded[:, tap * self.dilation :][:, :time] for tap in range(3)]
        return super().forward(torch.cat(neighbours, dim=2))


class FoldedSpeakerNet(nn.Module):
    """The function of a RawSpeakerNet in eval mode, without batch norms and in half the time.

    Only the first layer stays a convolution module, `first.conv`, so that a key can be absorbed there.
    """

    def __init__(self, network: RawSpeakerNet) -> None:
        super().__init__()
        self.first = deepcopy(network.first)
        self.first.fold()
        self.stem = nn.Sequential(*(FrameLinear(fold(layer)) for layer in network.stem.children()))
        self.blocks = nn.ModuleList(ContextLinear(fold(layer)) for layer in network.blocks)
        self.inner = PackedLinear(*_weights(network.pool.inner))
        self.outer = PackedLinear(*_weights(network.pool.outer))
        self.project = PackedLinear(network.project.weight, network.project.bias)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Return the embeddings."""
        frames = self.stem(self.first(waveforms.unsqueeze(1)).transpose(1, 2))
        for block in self.blocks:
            frames = frames + block(frames)
        logits = self.outer(torch.tanh(self.inner(frames)))
        return self.project(weighted_statistics(frames, logits, time=1))


def _weights(folded: nn.Conv1d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights `(out, kernel · in)` and bias `(out,)` of a convolution as a product over windows of frames."""
    assert folded.bias is not None
    return folded.weight.detach().transpose(1, 2).flatten(1).contiguous(), folded.bias.detach()


def fold(layer: nn.Module) -> nn.Conv1d:
    """Return the convolution of a ConvNorm in eval mode with its batch norm moved into it."""
    assert isinstance(layer, ConvNorm)
    folded = layer.folded()
    assert isinstance(folded, nn.Conv1d)
    return folded


@dataclass
class AsvRaw:
    """A speaker model on raw waveforms, in eval mode; `first_layer` names the layer that absorbs a key."""

    name: str
    network: nn.Module
    first_layer: str = "first.conv"
    sample_rate: int = SAMPLE_RATE
    blocks: str | None = "samples"
    block_size: int | None = None  # the first layer's kernel
    external: bool = False

    def front_end(self, waveform: torch.Tensor) -> torch.Tensor:
        """What the user computes before encryption: pre-emphasis, then a root mean square of one.

        `(samples,)` to `(samples,)`; silence stays silence.
        """
        emphasised = waveform.clone()
        emphasised[1:] -= PRE_EMPHASIS * waveform[:-1]
        return emphasised / emphasised.square().mean().sqrt().clamp(min=1e-6)

    def segments(self, query: torch.Tensor) -> torch.Tensor:
        """The protocol: the 2.025 s in the middle of the query, `(1, 32400)`; a shorter query is repeated.

        Raises BadInput for an empty query.
        """
        if not query.numel():
            raise BadInput("An utterance without samples has no speaker embedding; leave it out of the corpus.")
        if len(query) < SEGMENT:
            query = query.repeat(-(-SEGMENT // len(query)))
            return query[None, :SEGMENT]
        start = (len(query) - SEGMENT) // 2
        start -= start % 30  # segment borders fall on block borders of every bundled kernel
        return query[None, start : start + SEGMENT]

    def embed(self, queries: torch.Tensor) -> torch.Tensor:
        """Embeddings `(batch, 192)` of front-end outputs `(batch, samples)`, samples divisible by 300."""
        return self.network(queries)


def weights_file(name: str, folder: Path = WEIGHTS) -> Path:
    """Where the weights of a bundled model lie."""
    return folder / f"{name}.safetensors"


def load_asv_raw(name: str, *, folded: bool = True, path: Path | None = None) -> AsvRaw:
    """The bundled model `asv-raw3`, `asv-raw5` or `asv-raw10`.

    folded: batch norms are moved into the convolutions (faster, the same function); False keeps them apart.
    path: another weight file of the same architecture. Raises BadInput for an unknown name or an unfit file.
    """
    if name not in NAMES:
        raise BadInput(f"{name}: no such bundled speaker model; take one of {', '.join(NAMES)}.")
    path = path or weights_file(name)
    kernel = NAMES[name]
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
        if metadata.get("kernel") != str(kernel):
            raise BadInput(f"{path}: not the weights of {name} (kernel {kernel}); give the file of that model.")
        network = RawSpeakerNet(kernel)
        network.load_state_dict(load_file(path))
    except BadInput:
        raise
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadInput(f"{path}: cannot be read as weights of {name}; train it again or restore the file.") from error
    network.eval().requires_grad_(False)
    chosen = FoldedSpeakerNet(network).eval().requires_grad_(False) if folded else network
    return AsvRaw(name, chosen)
