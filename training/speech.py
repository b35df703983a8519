"""Speech for training speaker models: every utterance at several speeds, with the teacher's embedding.

A speaker at another speed (resampled: pitch and formants move together) counts as another speaker, the usual
speed perturbation (Ko et al., "Audio augmentation for speech recognition", Interspeech 2015). The cache is a
folder of plain NumPy files, one set per speed, so that processes can share the work of making it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import resample_poly

from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.evaluation.models.adapters.ge2e_network import Ge2eTeacher, load_ge2e_teacher

SPEEDS = ((1, 1), (10, 9), (9, 10), (20, 17), (20, 23))  # (up, down) of the resampling; the pace is down / up
SHORTEST = 4_000  # samples; a quarter of a second

Labelled = tuple[str, npt.NDArray[np.float32]]  # speaker, waveform at 16 kHz


@dataclass(frozen=True)
class TrainingSpeech:
    """Utterances at one speed, as one array of 16-bit samples.

    Attributes
    ----------
    samples
        int16 `(total,)`.
    start, length
        int64 `(utterances,)`.
    speaker
        Names, `(utterances,)`.
    teacher
        float32 `(utterances, 256)`, the teacher's embedding of the whole utterance.
    """

    samples: npt.NDArray[np.int16]
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    speaker: npt.NDArray[np.str_]
    teacher: npt.NDArray[np.float32]

    def waveform(self, index: int) -> npt.NDArray[np.float32]:
        """Return utterance `index` as float32 in [-1, 1)."""
        begin = self.start[index]
        piece = self.samples[begin : begin + self.length[index]]
        return piece.astype(np.float32) / np.float32(32768)


def at_speed(waveform: npt.NDArray[np.float32], speed: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Resample the waveform by `up / down`: played at 16 kHz it is faster if up < down."""
    up, down = speed
    return waveform if up == down else np.asarray(resample_poly(waveform, up, down), dtype=np.float32)


def make_speech(utterances: Iterable[Labelled], speed: tuple[int, int], teacher: Ge2eTeacher) -> TrainingSpeech:
    """Decode, resample and ask the teacher; utterances under a quarter of a second are left out."""
    pieces: list[npt.NDArray[np.int16]] = []
    speakers: list[str] = []
    embeddings: list[torch.Tensor] = []
    waiting: list[torch.Tensor] = []
    for speaker, waveform in utterances:
        played = at_speed(waveform, speed)
        if len(played) < SHORTEST:
            continue
        pieces.append(np.clip(np.round(played * 32768), -32768, 32767).astype(np.int16))
        speakers.append(speaker)
        waiting.append(torch.from_numpy(played))
        if len(waiting) == 32:
            embeddings.append(teacher.embed_utterances(waiting))
            waiting = []
    if waiting:
        embeddings.append(teacher.embed_utterances(waiting))
    length = np.array([len(piece) for piece in pieces], dtype=np.int64)
    return TrainingSpeech(
        samples=np.concatenate(pieces),
        start=np.cumsum(length) - length,
        length=length,
        speaker=np.array(speakers),
        teacher=torch.cat(embeddings).numpy(),
    )


def save_speech(speech: TrainingSpeech, folder: Path) -> None:
    """Write the five arrays; a reader sees all of them or none (the folder is renamed into place)."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    for name in TrainingSpeech.__dataclass_fields__:
        np.save(partial / f"{name}.npy", getattr(speech, name))
    partial.rename(folder)


def open_speech(folder: Path) -> TrainingSpeech:
    """Open the arrays of `save_speech`; the samples stay on disk until they are read."""
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r" if name == "samples" else None)
        for name in TrainingSpeech.__dataclass_fields__
    }
    return TrainingSpeech(**arrays)


def gather_speech(
    corpora: Mapping[str, Path], speeds: Sequence[tuple[int, int]], cache: Path, teacher_weights: Path | None
) -> list[TrainingSpeech]:
    """Return every corpus at every speed, from the cache or computed now; `corpora`: speaker prefix to folder."""
    gathered = []
    for number, speed in enumerate(speeds):
        folder = cache / f"speed{number}"
        if not folder.exists():
            teacher = load_ge2e_teacher(teacher_weights)
            save_speech(make_speech(read_corpora(corpora), speed, teacher), folder)
        gathered.append(open_speech(folder))
    return gathered


def read_corpora(corpora: Mapping[str, Path]) -> Iterator[Labelled]:
    """Yield speaker and waveform of every utterance, speakers named with their corpus' prefix."""
    for prefix, folder in corpora.items():
        for utterance in open_corpus(folder).utterances:
            yield prefix + utterance.speaker, load_audio(utterance)
