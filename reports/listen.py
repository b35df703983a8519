"""Clips that runs keep, for ears and eyes: plain, encrypted, and decrypted with keys that are not the correct one.

A report with real people's decrypted voices is itself a leak: their clips are shown only where that is asked for, even
if a run keeps them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.media import MEDIA, load_clip, may_keep, read_clips
from wrongkey.evaluation.run_folder.schema import KeptClip, KeptClips
from wrongkey.evaluation.run_folder.tables import Damaged
from wrongkey.evaluation.run_folder.vocabulary import EXACT
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.labels import scheme_label
from wrongkey.printable import printable
from wrongkey.reports.plates import of_arrays, of_powers, spectrogram


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes
    ----------
    role : str
        "original", "encrypted", "wrong key", "best wrong key" or "after the attack".
    caption : str
        Such as "Encrypted, SNR -3 dB".
    alt : str
        The plate in words.
    audio : Path or None
        The Ogg Opus file; None of a spectrogram, of which there is no sound.
    plate : bytes
        A PNG; the plates of a row have one colour scale.
    seconds : float
        Its length.
    """

    role: str
    caption: str
    alt: str
    audio: Path | None
    plate: bytes
    seconds: float


@dataclass(frozen=True)
class ClipRow:
    """The clips of one utterance.

    Attributes
    ----------
    label : str
        Such as "ROM, M = 10".
    facts : str
        Who attacked with what, the model, the corpus, the utterance.
    anchor : str
        An id that no other row has.
    clips : tuple of Clip
        The original first.
    """

    label: str
    facts: str
    anchor: str
    clips: tuple[Clip, ...]


@dataclass(frozen=True)
class Heard:
    """What there is to hear.

    Attributes
    ----------
    rows : tuple of ClipRow
        Sweeps and attacks, in the order of the folders.
    withheld : str
        A sentence about clips that are not shown; empty if there are none.
    real : bool
        Whether voices that are shown are real people's, or may be.
    damaged : tuple of str
        A sentence for each row that cannot be shown.
    """

    rows: tuple[ClipRow, ...]
    withheld: str
    real: bool
    damaged: tuple[str, ...] = ()


def find_clips(folders: Iterable[Path], real: bool = False) -> Heard:
    """Find the clips of run folders.

    Parameters
    ----------
    folders
        Run folders, of sweeps or attacks; those that keep no clips are passed over.
    real
        Whether voices of real people are shown, and voices of whom nobody says what they are.

    Returns
    -------
    Heard
        The rows, and what is not among them.
    """
    rows: list[ClipRow] = []
    damaged: list[str] = []
    withheld, shown_real = set(), False
    for folder in dict.fromkeys(path.resolve() for path in folders):
        name = printable(folder.name)
        try:
            kept = read_clips(folder)
        except BadInput:
            damaged.append(f"The clips of {name} are not shown: its {MEDIA}/clips.json is broken.")
            continue
        for row in kept:
            if not may_keep("real" if real else "synthetic", row.recordings):
                withheld.add(name)
                continue
            try:
                clips = _clips(folder, row)
            except Damaged as error:
                damaged.append(f"The clips of {name}, {_who(row)}, are not shown: {error}.")
                continue
            anchor = _anchor(name, row.attack, {row.anchor for row in rows})
            rows.append(ClipRow(_label(row), _facts(row), anchor, clips))
            shown_real |= row.recordings != "synthetic"
    return Heard(tuple(rows), _withheld(len(withheld)), shown_real, tuple(damaged))


def _clips(folder: Path, row: KeptClips) -> tuple[Clip, ...]:
    loaded = [_loaded(folder, clip) for clip in row.clips]
    if not loaded or len({rate for _, rate in loaded}) > 1:
        raise Damaged("its clips do not belong together")
    rate = loaded[0][1]
    pictures = [spectrogram(samples, rate) if rate else samples for samples, _ in loaded]
    plates = of_powers(pictures) if rate else of_arrays(pictures)
    clips = []
    for kept, picture, plate in zip(row.clips, pictures, plates, strict=True):
        caption = _caption(row, kept)
        alt = f"{_picture(picture, rate, row.seconds)}: {caption[0].lower()}{caption[1:]}{_energy(picture, rate)}."
        audio = folder / MEDIA / kept.file if rate else None
        clips.append(Clip(kept.role, caption, alt, audio, plate, row.seconds))
    return tuple(clips)


def _loaded(folder: Path, clip: KeptClip) -> tuple[NDArray[np.float64], int]:
    try:
        return load_clip(folder, clip.file)
    except Damaged as error:
        raise Damaged(f"of {printable(clip.file)}, {error}") from None


def _caption(row: KeptClips, clip: KeptClip) -> str:
    """Such as "Encrypted, SNR -3 dB"."""
    many = f" of {row.keys:,}" if row.keys else ""
    words = {
        "original": "Original, after the model's front end" if _changed(row) else "Original",
        "encrypted": "Encrypted" if row.keyed else "Encrypted with a random key",
        "wrong key": "Wrong key",
        "best wrong key": f"Best wrong key{many}" if row.keyed else f"Encrypted with the best key{many}",
        "after the attack": f"After {printable(row.attack)}",
    }[clip.role]
    if clip.snr is None:
        return words
    return f"{words}, exact" if clip.snr >= EXACT else f"{words}, SNR {round(clip.snr)} dB"


def _changed(row: KeptClips) -> bool:
    """Whether what is heard is another waveform than the recording; a spectrogram is not taken for one."""
    return row.front_end and row.blocks == Blocks.SAMPLES


def _picture(picture: NDArray[np.float64], rate: int, seconds: float) -> str:
    if rate:
        return f"Spectrogram of {seconds:.1f} s, 0 to {rate / 2000:g} kHz"
    return f"Query of {picture.shape[0]} bins and {seconds:.1f} s"


def _energy(power: NDArray[np.float64], rate: int) -> str:
    """Where the energy of a waveform lies, in words; nothing of an array whose bins are not known."""
    if not rate:
        return ""
    shares = np.cumsum(power.sum(1))
    half = int(np.searchsorted(shares, shares[-1] / 2)) / max(1, len(shares) - 1) * rate / 2
    return f"; half of the energy is below {half / 1000:.1f} kHz"


def _label(row: KeptClips) -> str:
    scheme = printable(scheme_label(row.scheme))
    of = "" if row.blocks == Blocks.SAMPLES else f" ({printable(row.blocks)})"
    return f"{scheme}, M = {row.block_size}{of}"


def _who(row: KeptClips) -> str:
    return f"{printable(row.attack)}, {printable(row.given)}" if row.attack else "incorrect keys"


def _facts(row: KeptClips) -> str:
    model = printable(row.model) or "no model"
    return f"{_who(row)}; {model}; {printable(row.corpus)}, {printable(row.voice)}"


def _anchor(folder: str, attack: str, taken: set[str]) -> str:
    """An id of ASCII letters, digits and hyphens that no row has yet."""
    stem = "-".join(["listen", *re.findall(r"[a-z0-9]+", f"{folder} {attack or 'keys'}".lower())])
    numbered = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 2))]
    return next(one for one in numbered if one not in taken)


def _withheld(runs: int) -> str:
    if not runs:
        return ""
    some = "1 run keeps" if runs == 1 else f"{runs} runs keep"
    return f"{some} clips of voices that are real people's or may be: they are shown only with --media real."
