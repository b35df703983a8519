"""Audio files to waveforms: one channel, one sample rate, finite samples.

Resampling is SciPy's polyphase filter: SciPy is a dependency already, the filter is linear-phase (nothing
moves in time), and most corpora are at 16 kHz anyway. Samples are never clipped or normalised: a key keeps
energies, so the loudness of a recording must arrive as it was.
"""

from functools import lru_cache
from math import gcd
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import soundfile
from cachetools import LRUCache, cached
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.containers import MANY, PER_BYTE, opened
from wrongkey.evaluation.corpora.corpus import Corpus, Utterance
from wrongkey.printable import printable
from wrongkey.stops import held_back

Waveform = NDArray[np.float32]

OVERSHOOT = 0.5  # seconds a segment may end after its recording, as in Kaldi's extract-segments
# What libsndfile finds any sample of. Other decoders cannot seek (GSM, G.721), or run in differently (Opus, MP3).
EXACT = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW", "ALAC_", "VORBIS")
KEPT = 2**26  # bytes of decoded speech: commands read the same recordings again and again, for victims and background
AT_A_TIME = 2**20  # samples of all channels that are read where many are passed over


def load_audio(
    source: Utterance | Path | str, sample_rate: int = 16000, channels: Literal["refuse", "mix"] = "refuse"
) -> Waveform:
    """Return the samples of an utterance or an audio file.

    Reads WAV (RF64, W64), FLAC, Ogg (Vorbis, Opus), MP3, AIFF, CAF, AU and NIST. A header that announces another length
    than the file has is corrected where the file tells which is right.

    Parameters
    ----------
    source : Utterance, Path or str
        Of an utterance with `start` and `end`, that piece is read: the same samples as in the whole recording.
    sample_rate : int
        In hertz; audio at another rate is resampled.
    channels : {"refuse", "mix"}
        Whether more than one channel is refused or averaged.

    Returns
    -------
    ndarray of float32
        `(samples,)`, full scale ±1.

    Raises
    ------
    BadInput
        For what is not readable audio, is cut short or of unknown length, holds no samples, NaN or infinite samples, or
        more than a file of its size can hold.

    Examples
    --------
    >>> from wrongkey.evaluation.corpora import open_corpus
    >>> load_audio(open_corpus("bundled").utterances[0], sample_rate=16_000).dtype
    dtype('float32')
    """
    if sample_rate < 1:
        raise BadInput(f"The sample rate must be a positive number of hertz, not {sample_rate}.")
    if channels not in ("refuse", "mix"):
        raise BadInput(f"Channels must be refuse or mix, not {channels!r}.")
    utterance = source if isinstance(source, Utterance) else None
    path = utterance.path if utterance else Path(source)  # type: ignore[arg-type]
    name = printable(path)
    with opened(path) as (file, frames):
        if file.channels > 1 and channels == "refuse":
            raise BadInput(f"{name} has {file.channels} channels: give mono audio, or mix them with --channels mix.")
        first, last = _span(file.samplerate, frames, name, utterance)
        rate: int = file.samplerate
        if (last - first) * sample_rate / rate > max(MANY, PER_BYTE * path.stat().st_size):
            raise BadInput(f"{name} lasts {(last - first) / rate:.0f} s, too long for the memory: cut it into pieces.")
        samples = _read(file, frames, path, name, first, last)
    return _resample(samples, rate, sample_rate)


def duration(source: Utterance | Path | str) -> float:
    """Return the seconds that `load_audio` reads of an utterance or audio file; raises `BadInput` as it does."""
    utterance = source if isinstance(source, Utterance) else None
    path = utterance.path if utterance else Path(source)  # type: ignore[arg-type]
    with opened(path) as (file, frames):
        first, last = _span(file.samplerate, frames, printable(path), utterance)
        return float((last - first) / file.samplerate)


def sample_rate(path: Path | str) -> int:
    """Hertz at which a file was recorded; raises `BadInput` as `load_audio`."""
    with opened(Path(path)) as (file, _):
        return int(file.samplerate)


def comment(path: Path | str) -> str:
    """The comment that a file carries, empty where there is none; raises `BadInput` as `load_audio`."""
    with opened(Path(path)) as (file, _):
        return str(file.comment)


def total_seconds(corpus: Corpus) -> float:
    """Seconds of all utterances of a corpus together."""
    return sum(duration(utterance) for utterance in corpus.utterances)


def _span(rate: int, frames: int, name: str, utterance: Utterance | None) -> tuple[int, int]:
    """First frame and the frame after the last one of the utterance in its file."""
    start = utterance.start if utterance and utterance.start is not None else 0.0
    end = utterance.end if utterance and utterance.end is not None else frames / rate
    if not (start >= 0 and end <= frames / rate + OVERSHOOT):
        raise BadInput(f"{name} lasts {frames / rate:.2f} s: a segment from {start} s to {end} s lies outside it.")
    first, last = (min(round(min(at, frames / rate + OVERSHOOT) * rate), frames) for at in (start, max(end, 0.0)))
    if last <= first:
        where = "" if utterance is None or utterance.start is None else f" between {start} s and {end} s"
        raise BadInput(f"{name} holds no samples{where}: give audio that lasts longer than zero seconds.")
    return first, last


def _read(file: soundfile.SoundFile, frames: int, path: Path, name: str, first: int, last: int) -> NDArray[np.float64]:
    try:
        if file.subtype.startswith(EXACT):
            if first:
                with held_back():
                    file.seek(first)
            samples = _decoded(file, last - first)
        elif first == 0 and np.dtype(np.float32).itemsize * frames * file.channels > KEPT:
            samples = _decoded(file, last - first)
        elif frames * file.channels <= MANY:
            stat = path.stat()
            samples = _whole(path, (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size))[first:last].astype(float)
        else:
            _pass_over(file, first)
            samples = _decoded(file, last - first)
    except RuntimeError as error:
        raise BadInput(
            f"{name} is damaged: its samples cannot be decoded, so fetch or copy it again, or, where it plays to its "
            "end, convert it (ffmpeg -i IN OUT.wav)."
        ) from error
    if len(samples) < last - first:
        raise BadInput(
            f"{name} ends after {len(samples)} of {last - first} samples, where its decoder stops: fetch or copy it "
            "again, or, where it plays to its end, convert it (ffmpeg -i IN OUT.wav)."
        )
    if not np.isfinite(samples).all():
        raise BadInput(f"{name} holds samples that are NaN or infinite: write the file again without them.")
    if file.channels == 1:
        samples += 0.0  # -0.0 becomes 0.0, as in a mean
        return samples[:, 0]
    return samples.mean(axis=1)


def _decoded(file: soundfile.SoundFile, frames: int, dtype: str = "float64") -> NDArray[Any]:
    """Ctrl-C waits: where Python reads for libsndfile, it would be lost, and an intact recording be called damaged."""
    with held_back():
        return file.read(frames, dtype=dtype, always_2d=True)


@lru_cache(maxsize=1)
@cached(LRUCache(KEPT, getsizeof=lambda samples: samples.nbytes), lock=Lock())
def _whole(path: Path, _state: tuple[int, ...]) -> NDArray[np.float32]:
    """All samples of a file `(frames, channels)`, of a decoder that takes its time.

    Those of short files are kept, and those of the last one however long it is: its pieces are asked for in a row.
    float32 is what these decoders give, or more. `_state` tells a file from what has taken its name since.
    """
    with opened(path) as (file, frames):
        samples: NDArray[np.float32] = _decoded(file, frames, "float32")
    samples.flags.writeable = False
    return samples


def _pass_over(file: soundfile.SoundFile, frames: int) -> None:
    """Decodes and forgets, for a decoder that cannot seek."""
    while frames > 0 and len(passed := _decoded(file, min(frames, AT_A_TIME), "float32")):
        frames -= len(passed)


def _resample(samples: NDArray[np.float64], rate: int, wanted: int) -> Waveform:
    if rate != wanted:
        from scipy.signal import resample_poly

        common = gcd(rate, wanted)
        samples = resample_poly(samples, wanted // common, rate // common)
    return samples.astype(np.float32)
