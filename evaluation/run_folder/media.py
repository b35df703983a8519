"""Short clips of speech in a run folder, for ears and eyes: `media/clips.json`, and a file for each clip.

A report with real people's decrypted voices is itself a leak: `may_keep` and `may_show` say whose voices are kept and
shown. No key is ever written. Imports no torch.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from wrongkey.encoded_audio import encoded
from wrongkey.evaluation.run_folder.schema import Clips, KeptClip, KeptClips, read_json
from wrongkey.evaluation.run_folder.tables import Damaged
from wrongkey.files import PRIVATE, atomic_write, explained_errors, file_name

MEDIA = "media"
CLIPS = "clips.json"
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
OPUS_LEVEL = 0.9  # libsndfile's scale from 0, the most bits, to 1: some 10 kB for 2.5 s at 16 kHz
PEAK = 0.9  # of full scale, the loudest sample of a row of clips
MOST_BYTES = 2**20  # of a clip; ours have some ten thousand
MOST_SECONDS = 30

Role = Literal["original", "encrypted", "wrong key", "best wrong key", "after the attack"]


@dataclass(frozen=True, eq=False)
class Clip:
    """What is kept of one utterance under one key.

    Attributes
    ----------
    role : str
        What is heard.
    samples : ndarray
        A waveform `(samples,)`, or a spectrogram `(bins, frames)`.
    snr : float or None
        In dB beside the original; None of the original.
    key_index : int or None
        The incorrect key's number in its sweep.
    """

    role: Role
    samples: NDArray[np.float64]
    snr: float | None = None
    key_index: int | None = None


@dataclass(frozen=True)
class Row:
    """The clips of one utterance as files: what `clips.json` says `about` them, and the `contents` by file name."""

    about: KeptClips
    contents: dict[str, bytes]


def may_keep(media: str, recordings: str) -> bool:
    """Whether a run with `--media` keeps clips of a corpus with these `recordings` ("real", "synthetic", "unknown").

    Examples
    --------
    >>> may_keep("synthetic", "unknown"), may_keep("real", "unknown"), may_keep("none", "synthetic")
    (False, True, False)
    """
    return media == "real" or (media == "synthetic" and recordings == "synthetic")


def row_of(clips: Sequence[Clip], rate: float, **about: Any) -> Row:
    """Encode the clips of one utterance.

    All waveforms of a row have one gain, so that nothing clips and their levels stay comparable. Opus is lossy: what is
    said of a clip (its SNR) is measured before. A spectrogram is kept as it is, in half precision.

    Parameters
    ----------
    clips
        With the original first.
    rate
        Samples or frames per second.
    about
        The other fields of `KeptClips`.
    """
    stem = f"attack-{file_name(about['attack'])}" if about["attack"] else "sweep"
    first = clips[0].samples
    gain = PEAK / max(float(np.abs(clip.samples).max()) for clip in clips) if first.ndim == 1 else 1.0
    kept, contents = [], {}
    for clip in clips:
        name = f"{stem}-{file_name(clip.role)}.{'opus' if first.ndim == 1 else 'npy'}"
        contents[name] = opus(gain * clip.samples, rate) if first.ndim == 1 else _npy(clip.samples)
        kept.append(KeptClip(role=clip.role, file=name, snr=clip.snr, key_index=clip.key_index))
    return Row(KeptClips(seconds=first.shape[-1] / rate, clips=kept, **about), contents)


@contextmanager
def kept_clips(folder: Path) -> Iterator[dict[str, Row]]:
    """The clips of a run folder by attack ("" is the sweep), to look at and to change.

    While the block lasts they are in memory alone, so that no attack can read the plain speech of its victim from the
    run folder; they are written when it ends, in any way.

    Raises
    ------
    BadInput
        If `clips.json` is broken, or the disk refuses.
    """
    media = folder / MEDIA
    with explained_errors(media, "free space or choose another --out"):
        rows = _taken(media)
    try:
        yield rows
    finally:
        if rows:
            with explained_errors(media, "free space or choose another --out"):
                _write(media, rows.values())


def read_clips(folder: Path) -> list[KeptClips]:
    """What a run folder says about its clips; nothing if it keeps none. Raises BadInput if `clips.json` is broken."""
    path = folder / MEDIA / CLIPS
    return Clips.model_validate(read_json(path, Clips)).rows if os.path.lexists(path) else []


def load_clip(folder: Path, file: str) -> tuple[NDArray[np.float64], int]:
    """A clip as it was kept: `(samples,)` and its rate in hertz, or `(bins, frames)` and 0.

    Raises
    ------
    Damaged
        If the file is missing, not a plain file, larger than `MOST_BYTES`, or not what its name says.
    """
    path = folder / MEDIA / file
    if path.is_symlink() or not path.is_file():
        raise Damaged("it is not there")
    if path.stat().st_size > MOST_BYTES:
        raise Damaged("it is too large")
    try:
        samples, rate = _decoded(path)
    except Exception as error:  # libsndfile and NumPy raise many kinds
        raise Damaged("it cannot be decoded") from error
    if samples.ndim != (1 if rate else 2) or not samples.size or not np.isfinite(samples).all():
        raise Damaged("it holds no clip")
    return samples, rate


def _decoded(path: Path) -> tuple[NDArray[np.float64], int]:
    if path.suffix == ".npy":
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # refuses a header that promises too much
        return np.array(mapped, dtype=np.float64), 0
    with soundfile.SoundFile(path) as sound:
        if (sound.format, sound.subtype) != ("OGG", "OPUS"):
            raise ValueError(sound.format)
        return sound.read(MOST_SECONDS * sound.samplerate), sound.samplerate


def _taken(media: Path) -> dict[str, Row]:
    """Read all clips and remove their files; a row that lacks a file is gone."""
    rows = {}
    for about in read_clips(media.parent):
        paths = [media / clip.file for clip in about.clips]
        if all(path.is_file() and path.stat().st_size <= MOST_BYTES for path in paths):
            rows[about.attack] = Row(about, {path.name: path.read_bytes() for path in paths})
        for path in paths:
            path.unlink(missing_ok=True)
    (media / CLIPS).unlink(missing_ok=True)
    return rows


def _write(media: Path, rows: Collection[Row]) -> None:
    """Write the clips, and then what says about them."""
    media.mkdir(parents=True, exist_ok=True)
    for row in rows:
        for name, content in row.contents.items():
            with atomic_write(media / name, mode=PRIVATE) as file:
                file.write(content)
    said = {"format": Clips.FORMAT, "rows": [row.about.model_dump() for row in rows]}
    with atomic_write(media / CLIPS) as file:
        file.write((json.dumps(said, indent=2) + "\n").encode())


def opus(samples: NDArray[np.float64], rate: float) -> bytes:
    """Mono Ogg Opus, at the lowest of its rates that loses no frequency."""
    chosen = next((known for known in OPUS_RATES if known >= rate), OPUS_RATES[-1])
    if chosen != rate:
        from scipy.signal import resample_poly  # a fifth of a second to import, and speech has one of these rates

        samples = resample_poly(samples, chosen, round(rate))
    return encoded(np.clip(samples, -1, 1), chosen, "OGG", "OPUS", compression_level=OPUS_LEVEL)


def _npy(spectrogram: NDArray[np.float64]) -> bytes:
    file = io.BytesIO()
    np.save(file, spectrogram.astype(np.float16), allow_pickle=False)
    return file.getvalue()
