"""Speech that plays in a notebook, as MP3: small, the same bytes every time, and known to every browser.

Ogg Opus, which reports use, is smaller still, but libsndfile gives every stream a random serial number, so that a
notebook would change each time it is executed.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
import soundfile
from numpy.typing import ArrayLike, NDArray

from wrongkey.encoded_audio import encoded
from wrongkey.errors import BadInput
from wrongkey.printable import brief, printable

PEAK = 0.9  # of the loudest clip, relative to full scale
QUALITY = 0.5  # of the variable bit rate: 0 is the best, 1 the smallest


@dataclass(frozen=True, repr=False)
class Players:
    """Clips that a notebook shows as a row of captioned players.

    Parameters
    ----------
    clips : dict of str to bytes
        MP3 by caption.
    """

    clips: dict[str, bytes]

    def __repr__(self) -> str:
        return f"Players({brief(', '.join(self.clips), 150)})"

    def _repr_html_(self) -> str:
        figures = (
            '<figure style="display: inline-block; margin: 0 1em 0 0">'
            f'<figcaption>{escape(printable(caption))}</figcaption><audio controls style="width: 220px" '
            f'src="data:audio/mpeg;base64,{base64.b64encode(clip).decode("ascii")}"></audio></figure>'
            for caption, clip in self.clips.items()
        )
        return f"<div>{''.join(figures)}</div>"


def play(clips: Mapping[str, ArrayLike], rate: int = 16_000) -> Players:
    """Make players of waveforms, all with the same gain, so that their loudness can be compared.

    Parameters
    ----------
    clips
        Waveforms `(samples,)` by caption.
    rate
        Samples per second: 8,000 to 48,000, one that MP3 knows.

    Returns
    -------
    Players
        Show them by making them the last line of a cell.

    Raises
    ------
    BadInput
        For a clip that is no waveform, and a rate that MP3 does not know.

    Examples
    --------
    >>> play({"a tone": np.sin(np.arange(8000) / 5)})
    Players(a tone)
    """
    waveforms = {caption: np.asarray(waveform, dtype=np.float64) for caption, waveform in clips.items()}
    for caption, waveform in waveforms.items():
        if waveform.ndim != 1 or not waveform.size or not np.isfinite(waveform).all():
            raise BadInput(f"The clip {printable(caption)!r} is no waveform (samples,) of finite numbers.")
    loudest = max((float(np.abs(waveform).max()) for waveform in waveforms.values()), default=0.0)
    gain = PEAK / loudest if loudest else 1.0
    return Players({caption: _mp3(gain * waveform, rate) for caption, waveform in waveforms.items()})


def _mp3(waveform: NDArray[np.float64], rate: int) -> bytes:
    try:
        return encoded(waveform, rate, "MP3", "MPEG_LAYER_III", bitrate_mode="VARIABLE", compression_level=QUALITY)
    except soundfile.LibsndfileError as error:
        raise BadInput(
            f"A clip at {rate} Hz cannot be written as MP3 ({error.error_string.rstrip('.')}): take 16,000 Hz."
        ) from None
