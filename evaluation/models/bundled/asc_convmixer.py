"""Bundled classifier of sound events: `asc-convmixer`, a small ConvMixer (Trockman and Kolter, TMLR 2023).

Its first layer is a convolution with patch = kernel = stride = 8 on the one-channel log-mel spectrogram, as in the
paper's ConvMixer-768/32, so that one window is one tile of the keys. The modules have timm's names: a checkpoint of
timm's ConvMixer with the same sizes fits. The card is beside the weights in `weights/`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.front_ends import LogMel, joined, split, standardised, whole_clips

WEIGHTS = Path(__file__).parent / "weights"
NAME = "asc-convmixer"
SAMPLE_RATE = 16_000
PATCH = 8
BINS, FRAMES = 64, 248  # 5 s in steps of 20 ms
DIM, DEPTH, KERNEL = 80, 4, 5
LOG_MEL = LogMel(SAMPLE_RATE, n_fft=640, hop=320, bins=BINS, floor=1e-8)


class Residual(nn.Module):
    """Adds what `fn` makes of its input."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with what the wrapped layers make of it added."""
        return self.fn(x) + x


class ConvMixer(nn.Module):
    """Spectrograms `(batch, bins, frames)`, multiples of the patch, to logits `(batch, classes)`."""

    def __init__(self, classes: int, dim: int = DIM, depth: int = DEPTH, kernel: int = KERNEL, patch: int = PATCH):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, dim, patch, stride=patch), nn.GELU(), nn.BatchNorm2d(dim))
        self.blocks = nn.Sequential(*(mixer(dim, kernel) for _ in range(depth)))
        self.head = nn.Linear(dim, classes)

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Return the logits ``(batch, classes)`` of spectrograms ``(batch, bins, frames)``."""
        x = self.blocks(self.stem(spectrograms.unsqueeze(1)))
        return self.head(x.mean(dim=(2, 3)))


def mixer(dim: int, kernel: int) -> nn.Sequential:
    """Mixes places (depthwise) and then channels (pointwise)."""
    places = nn.Sequential(nn.Conv2d(dim, dim, kernel, groups=dim, padding="same"), nn.GELU(), nn.BatchNorm2d(dim))
    return nn.Sequential(Residual(places), nn.Conv2d(dim, dim, 1), nn.GELU(), nn.BatchNorm2d(dim))


@dataclass
class AscConvMixer:
    """A classifier of five-second clips, in eval mode; `first_layer` names the layer that absorbs a key."""

    network: nn.Module
    classes: tuple[str, ...]
    name: str = NAME
    first_layer: str = "stem.0"
    sample_rate: int = SAMPLE_RATE
    blocks: str = "tiles"
    block_size: int | None = None  # the first layer's kernel
    external: bool = False

    def front_end(self, waveform: Tensor) -> Tensor:
        """What the user computes before encryption: `(samples,)` to the clips' log-mels `(64, clips · 248)`.

        The waveform is brought to one level, and each clip's log-mel is standardised; `whole_clips` of the
        front ends says what happens to short and long waveforms.
        """
        return front_end(waveform)

    def segments(self, query: Tensor) -> Tensor:
        """Clips `(clips, 64, 248)` of 4.96 s; their logits are averaged."""
        return split(query, FRAMES)

    def classify(self, queries: Tensor) -> Tensor:
        """Logits `(batch, classes)` of clips `(batch, 64, 248)`."""
        return self.network(queries)


def front_end(waveform: Tensor) -> Tensor:
    """Standardised log-mels `(64, clips · 248)` of a waveform `(samples,)`; raises BadInput for an empty one."""
    if not len(waveform):
        raise BadInput("A clip without samples has no class; leave it out of the corpus.")
    level = waveform.square().mean().sqrt().clamp(min=1e-6)
    return joined(standardised(whole_clips(LOG_MEL(0.1 * waveform / level), FRAMES)))


def load_asc_convmixer(name: str = NAME, *, folded: bool = True, path: Path | None = None) -> AscConvMixer:
    """The bundled classifier; its classes are those stored with the weights.

    folded: nothing to fold here, for a non-linearity stands between every convolution and its batch norm.
    path: another weight file of the same architecture. Raises BadInput for an unfit file.
    """
    path = path or WEIGHTS / f"{name}.safetensors"
    try:
        with safe_open(path, framework="pt") as stored:
            classes = json.loads((stored.metadata() or {}).get("classes", "[]"))
        if not (isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)):
            raise BadInput(f"{path}: not the weights of {NAME}; give the file of that model.")
        network = ConvMixer(len(classes))
        network.load_state_dict(load_file(path))
    except BadInput:
        raise
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:  # RecursionError is a RuntimeError
        raise BadInput(f"{path}: cannot be read as weights of {NAME}; train it again or restore the file.") from error
    return AscConvMixer(network.eval().requires_grad_(False), tuple(classes))
