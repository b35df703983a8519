"""Audio files to waveforms: one channel, one sample rate, finite samples.

Resampling is SciPy's polyphase filter: SciPy is a dependency already, the filter is linear-phase (nothing
moves in time), and most corpora are at 16 kHz anyway. Samples are never clipped or normalised: a key keeps
energies, so the loudness of a recording must arrive as it was.
"""

from math import gcd
from os import SEEK_CUR
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from evaluation.corpora.corpus import Corpus, Utterance
from keys.errors import BadInput

Waveform = NDArray[np.float32]

OVERSHOOT = 0.5  # seconds a segment may end after its recording, as in Kaldi's extract-segments
STREAMED = 0x7FFF0000  # bytes of a WAV's samples from which on the size stands for "unknown", as does zero


def load_audio(
    source: Utterance | Path | str, sample_rate: int = 16000, channels: Literal["refuse", "mix"] = "refuse"
) -> Waveform:
    """Samples `(samples,)`, float32, full scale ±1, at `sample_rate` hertz.

    Reads WAV, FLAC and Ogg (Vorbis, Opus); of an utterance with `start` and `end`, that piece. Audio at
    another rate is resampled. More than one channel is refused, or averaged with `channels="mix"`. Raises
    `BadInput` for what is not readable audio, is cut short, holds no samples, or holds NaN or infinite samples.
    """
    if sample_rate < 1:
        raise BadInput(f"the sample rate must be a positive number of hertz, not {sample_rate}")
    if channels not in ("refuse", "mix"):
        raise BadInput(f"channels must be refuse or mix, not {channels!r}")
    utterance = source if isinstance(source, Utterance) else None
    path = utterance.path if utterance else Path(source)  # type: ignore[arg-type]
    with _opened(path) as file:
        if file.channels > 1 and channels == "refuse":
            raise BadInput(f"{path} has {file.channels} channels: give mono audio, or mix them with --channels mix")
        first, last = _span(file, path, utterance)
        samples = _read(file, path, first, last)
        rate: int = file.samplerate
    return _resample(samples, rate, sample_rate)


def duration(source: Utterance | Path | str) -> float:
    """Seconds of an utterance or audio file, from the header; raises `BadInput` as `load_audio`."""
    utterance = source if isinstance(source, Utterance) else None
    path = utterance.path if utterance else Path(source)  # type: ignore[arg-type]
    with _opened(path) as file:
        first, last = _span(file, path, utterance)
        return float((last - first) / file.samplerate)


def sample_rate(path: Path | str) -> int:
    """Hertz at which a file was recorded; raises `BadInput` as `load_audio`."""
    with _opened(Path(path)) as file:
        return int(file.samplerate)


def total_seconds(corpus: Corpus) -> float:
    """Seconds of all utterances of a corpus together."""
    return sum(duration(utterance) for utterance in corpus.utterances)


def _opened(path: Path) -> soundfile.SoundFile:
    if not path.is_file():
        raise BadInput(f"{path} is not a file: give an audio file that exists")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty (0 bytes): give an audio file, or fetch this one again")
    try:
        file = soundfile.SoundFile(path)
        found, announced = _sample_bytes(path)
    except (
        RuntimeError,
        TypeError,
        OSError,
    ) as error:  # TypeError: a file named *.raw, which has no header
        raise BadInput(f"{path} is not readable audio: give a WAV, FLAC or Ogg file") from error
    if found < announced:
        file.close()
        raise BadInput(f"{path} ends after {found} of {announced} bytes of samples: fetch or copy it again")
    return file


def _sample_bytes(path: Path) -> tuple[int, int]:
    """Bytes of samples that a WAV file holds and that its header announces, for libsndfile corrects the header.

    Both are zero where they cannot be compared: in other formats (RF64 too), and where a program that wrote to a
    pipe left the size open: 0, 0xFFFFFFFF, or a number near 2 GiB (SoX, eSpeak, arecord).
    """
    with path.open("rb") as file:
        head = file.read(12)
        order: Literal["little", "big"] = "big" if head[:4] == b"RIFX" else "little"
        if head[:4] not in (b"RIFF", b"RIFX") or head[8:] != b"WAVE":
            return 0, 0
        while len(chunk := file.read(8)) == 8:
            size = int.from_bytes(chunk[4:], order)
            if chunk[:4] == b"data":
                return (path.stat().st_size - file.tell(), size) if 0 < size < STREAMED else (0, 0)
            file.seek(size + size % 2, SEEK_CUR)
    return 0, 0


def _span(file: soundfile.SoundFile, path: Path, utterance: Utterance | None) -> tuple[int, int]:
    """First frame and the frame after the last one of the utterance in its file."""
    rate, frames = file.samplerate, file.frames
    start = utterance.start if utterance and utterance.start is not None else 0.0
    end = utterance.end if utterance and utterance.end is not None else frames / rate
    if start < 0 or end > frames / rate + OVERSHOOT:
        raise BadInput(f"{path} lasts {frames / rate:.2f} s: a segment from {start} s to {end} s lies outside it")
    first, last = round(start * rate), min(round(end * rate), frames)
    if last <= first:
        where = "" if utterance is None or utterance.start is None else f" between {start} s and {end} s"
        raise BadInput(f"{path} holds no samples{where}: give audio that lasts longer than zero seconds")
    return first, last


def _read(file: soundfile.SoundFile, path: Path, first: int, last: int) -> NDArray[np.float64]:
    try:
        if first:
            file.seek(first)
        samples: NDArray[np.float64] = file.read(last - first, dtype="float64", always_2d=True)
    except RuntimeError as error:
        raise BadInput(f"{path} is damaged: its samples cannot be decoded, so fetch or copy it again") from error
    if len(samples) < last - first:
        raise BadInput(f"{path} ends after {len(samples)} of {last - first} samples: fetch or copy it again")
    if not np.isfinite(samples).all():
        raise BadInput(f"{path} holds samples that are NaN or infinite: write the file again without them")
    mono: NDArray[np.float64] = samples.mean(axis=1)
    return mono


def _resample(samples: NDArray[np.float64], rate: int, wanted: int) -> Waveform:
    if rate != wanted:
        from scipy.signal import resample_poly

        common = gcd(rate, wanted)
        samples = resample_poly(samples, wanted // common, rate // common)
    return samples.astype(np.float32)
