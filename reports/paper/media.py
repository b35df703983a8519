"""Speech that analyses kept for figures, read and checked: waveforms and spectrograms of one utterance."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.printable import printable
from wrongkey.unreadable import UNREADABLE

RATE = 16_000  # hertz, at which analyses of speech read it
MOST_BYTES = 2**28  # of the arrays of one file
NO_ARRAYS: tuple[type[Exception], ...] = (*UNREADABLE, MemoryError)  # a header may promise any shape
_ENCRYPTED = re.compile(r"(?P<scheme>.+)-(?P<size>\d+)")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Kept:
    """An utterance as it is and encrypted.

    Attributes
    ----------
    utterance : str
        Its name.
    plain : ndarray
        `(samples,)`, or `(bins, frames)` magnitudes.
    encrypted : dict of (scheme, block size) to ndarray
        Of the same kind.
    """

    utterance: str
    plain: Array
    encrypted: dict[tuple[str, int], Array]


@dataclass(frozen=True)
class Rebuilt:
    """Spectrograms of an utterance, encrypted, decrypted and turned back into speech; dB, `(bins, frames)`.

    Attributes
    ----------
    utterance, scheme, block_size
        What was encrypted, and how.
    decryptions : dict of str to ndarray
        Plain, encrypted, and decrypted with keys of several kinds, below the loudest of the plain one.
    original : ndarray of shape (samples,) or None
        The plain waveform.
    waveforms, levels : dict of str to ndarray
        By method, the speech that was reconstructed from the ciphertext, and its spectrogram.
    """

    utterance: str
    scheme: str
    block_size: int
    decryptions: dict[str, Array]
    original: Array | None
    waveforms: dict[str, Array]
    levels: dict[str, Array]


def kept_by_leaks(folder: Path, blocks: str) -> Kept | None:
    """The utterance that `wrongkey analyse leaks` kept in a run folder, for one kind of blocks; None for nothing.

    Raises
    ------
    BadInput
        If the file is broken.
    """
    for path in sorted((folder / "media" / "leaks").glob(f"*-{blocks}.npz")):
        arrays = _read(path, 1 if blocks == "samples" else 2)
        encrypted = {}
        for name, array in arrays.items():
            if found := _ENCRYPTED.fullmatch(name):
                encrypted[printable(found["scheme"]), int(found["size"])] = array
        if "plain" not in arrays or not encrypted:
            raise _broken(path, "it lacks plain or encrypted speech")
        return Kept(printable(path.name.removesuffix(f"-{blocks}.npz")), arrays["plain"], encrypted)
    return None


def kept_by_phase(folder: Path) -> Iterator[Rebuilt]:
    """What `wrongkey analyse phase` kept in a run folder, for each scheme and block size.

    Raises
    ------
    BadInput
        If a file is broken.
    """
    place = folder / "media" / "phase"
    for path in sorted(place.glob("*-decryptions.npz")):
        found = re.fullmatch(r"(.+)-([^-]+)-(\d+)-decryptions", path.stem)
        if not found:
            continue
        stem, scheme, size = found.groups()
        decryptions = _read(path, 2)
        if not {"plain", "encrypted"} <= decryptions.keys():
            raise _broken(path, "it lacks plain or encrypted speech")
        waveforms, levels = {}, {}
        for method in ("pghi", "griffin-lim"):
            base = place / f"{stem}-{scheme}-{size}-encrypted-{method}"
            if (pictures := base.with_suffix(".npz")).is_file() and (sound := base.with_suffix(".wav")).is_file():
                read = _read(pictures, 2)
                if "reconstructed" not in read:
                    raise _broken(pictures, "it lacks reconstructed speech")
                waveforms[method], levels[method] = _waveform(sound), read["reconstructed"]
        original = place / f"{stem}-original.wav"
        yield Rebuilt(
            printable(stem),
            printable(scheme),
            int(size),
            decryptions,
            _waveform(original) if original.is_file() else None,
            waveforms,
            levels,
        )


def _read(path: Path, dims: int) -> dict[str, Array]:
    """The arrays of an .npz, all of so many dimensions and finite. Raises BadInput for anything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise ValueError("it is too large")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name], dtype=np.float64) for name in file.files}
        if any(array.ndim != dims or not array.size or not np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("its arrays are of another shape")
    except NO_ARRAYS as error:
        raise _broken(path, printable(error)) from None
    return arrays


def _waveform(path: Path) -> Array:
    """The samples of a .wav. Raises BadInput where it is broken, or of another rate."""
    import soundfile

    try:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True, frames=60 * RATE)
    except (OSError, soundfile.SoundFileError) as error:
        raise _broken(path, printable(error)) from None
    if rate != RATE or not len(samples):
        raise _broken(path, f"it is empty, or not of {RATE} Hz")
    first: Array = samples[:, 0]
    return first


def _broken(path: Path, reason: str) -> BadInput:
    return BadInput(f"{path} is broken ({reason}): run its analysis again.")
