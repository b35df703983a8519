"""Bundled recogniser of command words: `asr-words`, a small log-mel CTC network (Graves et al., ICML 2006).

Its first layer is a two-dimensional convolution with kernel = stride = 3 on the log-mel spectrogram, as in the paper's
recogniser, so that one window is one tile of the keys. Residual convolutions over time follow; every 30 ms the network
says one of ten words or nothing. The card is beside the weights in `weights/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.word_sequences import SAMPLE_RATE, WORDS
from wrongkey.evaluation.models.bundled.conv_norm import ConvNorm
from wrongkey.evaluation.models.front_ends import LogMel

WEIGHTS = Path(__file__).parent / "weights"
NAME = "asr-words"
PRE_EMPHASIS = 0.97
BINS = 48
KERNEL = 3  # of the first layer, bins and frames
SHORTEST = 30  # frames; shorter speech is followed by silence
CHANNELS, WIDTH = 24, 128
DILATIONS = (1, 2, 4, 1, 2, 4)
SCALE = 3.0  # of log-mel values around their mean
BLANK = 0  # of CTC; word i of WORDS is token i + 1
LOG_MEL = LogMel(SAMPLE_RATE, n_fft=400, hop=160, bins=BINS, floor=1e-5)


class WordsNet(nn.Module):
    """Log-mel spectrograms `(batch, 48, frames)` to logits `(batch, frames // 3, 11)`: blank and ten words."""

    def __init__(self) -> None:
        super().__init__()
        rows = BINS // KERNEL
        self.first = ConvNorm(nn.Conv2d(1, CHANNELS, KERNEL, stride=KERNEL), torch.relu)
        self.second = ConvNorm(nn.Conv2d(CHANNELS, CHANNELS, (3, 3), stride=(2, 1), padding=(1, 1)), torch.relu)
        self.narrow = ConvNorm(nn.Conv1d(CHANNELS * rows // 2, WIDTH, 1), torch.relu)
        context = (nn.Conv1d(WIDTH, WIDTH, 5, padding=2 * d, dilation=d) for d in DILATIONS)
        self.blocks = nn.ModuleList(ConvNorm(conv, torch.relu) for conv in context)
        self.words = nn.Linear(WIDTH, 1 + len(WORDS))

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Return the logits of every third frame."""
        x = self.second(self.first(spectrograms.unsqueeze(1)))
        x = self.narrow(x.flatten(1, 2))
        for block in self.blocks:
            x = x + block(x)
        return self.words(x.transpose(1, 2))


@dataclass
class AsrWords:
    """A recogniser of ten command words, in eval mode; `first_layer` names the layer that absorbs a key."""

    network: nn.Module
    name: str = NAME
    first_layer: str = "first.conv"
    sample_rate: int = SAMPLE_RATE
    blocks: str = "tiles"
    block_size: int | None = None  # the first layer's kernel
    external: bool = False

    def front_end(self, waveform: Tensor) -> Tensor:
        """What the user computes before encryption: `(samples,)` to log-mel `(48, frames)`, frames divisible by 3.

        Pre-emphasis, a root mean square of one, logarithms less each bin's mean over time. Shorter speech than 0.3 s
        is followed by silence.
        """
        emphasised = waveform.clone()
        emphasised[1:] -= PRE_EMPHASIS * waveform[:-1]
        level = emphasised.square().mean().sqrt().clamp(min=1e-6)
        log_mel = LOG_MEL(emphasised / level)
        log_mel = (log_mel - log_mel.mean(dim=1, keepdim=True)) / SCALE
        frames = max(log_mel.shape[1] // KERNEL * KERNEL, SHORTEST)
        return nn.functional.pad(log_mel, (0, frames - log_mel.shape[1]))

    def segments(self, query: Tensor) -> Tensor:
        """The utterance as a whole, `(1, 48, frames)`."""
        return query[None]

    def encode(self, queries: Tensor) -> Tensor:
        """Logits `(batch, frames // 3, 11)` of queries `(batch, 48, frames)`."""
        return self.network(queries)

    def transcribe(self, queries: Tensor) -> list[str]:
        """The likeliest token of every 30 ms, repeats and blanks left out: a text of words for each query."""
        return [decode(tokens) for tokens in self.encode(queries).argmax(-1).tolist()]


def decode(tokens: list[int]) -> str:
    """Greedy CTC: a token that follows itself is the same word, a blank is none."""
    changes = [token for token, before in zip(tokens, [BLANK, *tokens], strict=False) if token not in (before, BLANK)]
    return " ".join(WORDS[token - 1] for token in changes)


def load_asr_words(name: str = NAME, *, folded: bool = True, path: Path | None = None) -> AsrWords:
    """The bundled recogniser.

    folded: batch norms are moved into the convolutions (faster, the same function); False keeps them apart.
    path: another weight file of the same architecture. Raises BadInput for an unfit file.
    """
    path = path or WEIGHTS / f"{name}.safetensors"
    network = WordsNet()
    try:
        with safe_open(path, framework="pt") as stored:
            words = (stored.metadata() or {}).get("words", "")
        if words != " ".join(WORDS):
            raise BadInput(f"{path}: not the weights of {NAME}; give the file of that model.")
        network.load_state_dict(load_file(path))
    except BadInput:
        raise
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadInput(f"{path}: cannot be read as weights of {NAME}; train it again or restore the file.") from error
    network.eval().requires_grad_(False)
    if folded:
        for module in list(network.modules()):
            if isinstance(module, ConvNorm):
                module.fold()
    return AsrWords(network)
