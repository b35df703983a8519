"""How a kept clip of a run sounds, or looks, under a key that was picked: encrypted with it, or decrypted with it.

The speech is the original that the run kept (`wrongkey.evaluation.run_folder.media`), so nothing outside the run folder
is read, and real people's speech is heard only where the run was told to keep it and the viewer asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.media import load_clip, may_keep, read_clips
from wrongkey.evaluation.run_folder.tables import Damaged
from wrongkey.keys import decrypt_query, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut
from wrongkey.reports.plates import of_arrays, of_powers, spectrogram

Speech = NDArray[np.float32]

NONE = "This run kept no clip of speech, so there is nothing to hear."
WITHHELD = "The clips of this run are real people’s voices, or may be: wrongkey view --media real plays them."
DAMAGED = "The clip of speech that this run kept cannot be read, so there is nothing to hear."


class Use(StrEnum):
    """What is done with the key.

    ENCRYPT: what an unauthorised user sends, speech encrypted with their own key.
    DECRYPT: what an eavesdropper hears, speech encrypted with the correct key and decrypted with theirs.
    """

    ENCRYPT = "encrypt"
    DECRYPT = "decrypt"


@dataclass(frozen=True, eq=False)
class Kept:
    """The original that a run kept: a waveform `(samples,)` and its rate, or a spectrogram `(bins, frames)` and 0."""

    speech: Speech
    rate: int

    def plate(self, heard: Speech) -> bytes:
        """A picture of it under a key, on the scale on which the original would be drawn beside it."""
        both = [np.asarray(one, dtype=np.float64) for one in (self.speech, heard)]
        drawn = of_powers([spectrogram(one, self.rate) for one in both]) if self.rate else of_arrays(both)
        return drawn[1]


def kept_speech(folder: Path, blocks: str, real: bool) -> tuple[Kept | None, str]:
    """The original of a run's kept clips, the sweep's before those of attacks; or why there is none, as a sentence."""
    try:
        rows = read_clips(folder)
    except BadInput:
        return None, DAMAGED
    rows = [row for row in rows if row.blocks == blocks]
    shown = [row for row in rows if may_keep("real" if real else "synthetic", row.recordings)]
    for row in sorted(shown, key=lambda row: bool(row.attack)):
        for clip in row.clips:
            if clip.role == "original":
                return _read(folder, clip.file, blocks)
    return None, WITHHELD if rows and not shown else NONE


def _read(folder: Path, file: str, blocks: str) -> tuple[Kept | None, str]:
    try:
        speech, rate = load_clip(folder, file)
    except Damaged:
        return None, DAMAGED
    if bool(rate) != (blocks == Blocks.SAMPLES):
        return None, DAMAGED
    return Kept(speech.astype(np.float32), rate), ""


def under_key(speech: Speech, key: NDArray[np.float64], correct: NDArray[np.float64], use: Use, cut: KeyCut) -> Speech:
    """Speech encrypted, or wrongly decrypted, with `key` `(N, N)`; of the same shape."""
    sent = encrypt_query(speech, key if use is Use.ENCRYPT else correct, blocks=cut)
    heard = sent if use is Use.ENCRYPT else decrypt_query(sent, key, blocks=cut)
    return np.asarray(heard[tuple(map(slice, speech.shape))], dtype=np.float32)
