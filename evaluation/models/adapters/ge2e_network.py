"""The GE2E speaker encoder, used as a teacher when the bundled raw-waveform models are trained.

Wan et al., "Generalized End-to-End Loss for Speaker Verification", ICASSP 2018; the weights are those of the
`resemblyzer` wheel (`pip install --no-deps resemblyzer`, Apache-2.0): three LSTM layers of 256 cells over 40
linear-power mel bands, a linear layer, ReLU and length normalisation. Nothing but its weight file is read.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.checkpoints import read_state_dict, strip_prefixes

SAMPLE_RATE = 16_000
N_FFT, HOP, MEL_BANDS = 400, 160, 40  # 25 ms window, 10 ms hop
PARTIAL_FRAMES, PARTIAL_STEP = 160, 80  # the encoder was trained on pieces of 1.6 s
TARGET_DBFS = -30.0

Array = npt.NDArray[np.floating]


def slaney_mel_bank(sample_rate: int = SAMPLE_RATE, n_fft: int = N_FFT, bands: int = MEL_BANDS) -> Array:
    """Triangular mel filters of equal area, `(bands, n_fft // 2 + 1)` (Slaney, Auditory Toolbox, 1998)."""

    def to_hertz(mel: Array) -> Array:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    highest_mel = 15 + 27 * np.log(sample_rate / 2 / 1000) / np.log(6.4)
    edges = to_hertz(np.linspace(0, highest_mel, bands + 2))
    bins = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = 2 / (edges[2:] - edges[:-2])
    return np.maximum(0, np.minimum(rising, falling)) * area[:, None]


class Ge2eTeacher(nn.Module):
    """GE2E encoder: `(batch, frames, 40)` mel power to `(batch, 256)` embeddings of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MEL_BANDS, 256, num_layers=3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.register_buffer("mel_bank", torch.from_numpy(slaney_mel_bank()).float(), persistent=False)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Turn mel frames into embeddings of unit length."""
        _, (hidden, _) = self.lstm(mel)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)

    def mel_power(self, waveform: torch.Tensor) -> torch.Tensor:
        """Mel power `(frames, 40)` of a waveform `(samples,)`, a level below -30 dBFS raised to it."""
        level = 10 * torch.log10(waveform.square().mean() + 1e-12)
        gain = 10 ** ((TARGET_DBFS - level).clamp(min=0) / 20)
        assert isinstance(self.window, torch.Tensor) and isinstance(self.mel_bank, torch.Tensor)
        spectrum = torch.stft(
            waveform * gain,
            N_FFT,
            HOP,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return (self.mel_bank @ spectrum.abs().square()).T

    @torch.inference_mode()
    def embed_utterances(self, waveforms: list[torch.Tensor], batch: int = 64) -> torch.Tensor:
        """Embeddings `(len(waveforms), 256)`: the normalised mean over pieces of 1.6 s, half overlapping."""
        partials, owners = [], []
        for owner, waveform in enumerate(waveforms):
            for piece in cut_into_partials(self.mel_power(waveform)):
                partials.append(piece)
                owners.append(owner)
        embedded = torch.cat([self(torch.stack(partials[i : i + batch])) for i in range(0, len(partials), batch)])
        sums = torch.zeros(len(waveforms), embedded.shape[1])
        sums.index_add_(0, torch.tensor(owners), embedded)
        return nn.functional.normalize(sums, dim=1)


def cut_into_partials(mel: torch.Tensor) -> list[torch.Tensor]:
    """Pieces `(160, 40)` of a mel spectrogram, half overlapping; a short one is padded with silence."""
    missing = PARTIAL_FRAMES - len(mel)
    if missing > 0:
        mel = nn.functional.pad(mel, (0, 0, 0, missing))
    starts = list(range(0, len(mel) - PARTIAL_FRAMES + 1, PARTIAL_STEP))
    if len(mel) - PARTIAL_FRAMES - starts[-1] > PARTIAL_STEP // 2:
        starts.append(len(mel) - PARTIAL_FRAMES)
    return [mel[s : s + PARTIAL_FRAMES] for s in starts]


def load_ge2e_teacher(weights: Path | None = None) -> Ge2eTeacher:
    """The encoder with the weights of the `resemblyzer` wheel, or of the `pretrained.pt` given.

    Raises BadInput where neither is there, and for the weights of another network.
    """
    path = weights if weights is not None else _installed_weights()
    if not path.is_file():
        raise BadInput(f"{path}: no such file; give the pretrained.pt of the resemblyzer wheel.")
    teacher = Ge2eTeacher()
    stored = strip_prefixes(read_state_dict(path), teacher.state_dict(), path)
    try:
        teacher.load_state_dict({k: v for k, v in stored.items() if k.startswith(("lstm.", "linear."))})
    except RuntimeError as error:
        raise BadInput(f"{path}: not the weights of GE2E; give resemblyzer's pretrained.pt.") from error
    return teacher.eval()


def _installed_weights() -> Path:
    spec = importlib.util.find_spec("resemblyzer")
    if spec is None or not spec.submodule_search_locations:
        raise BadInput("The teacher's weights are missing: run `pip install --no-deps resemblyzer`.")
    return Path(spec.submodule_search_locations[0]) / "pretrained.pt"
