"""Audio files made in memory, which their callers then write as bytes.

Given a file object of Python, libsndfile writes through Python callbacks, and exceptions raised there are lost: after a
full disk or Ctrl-C the file would be cut, and the command would go on.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import soundfile

from wrongkey.stops import held_back


def encoded(samples: Any, rate: int, format: str, subtype: str, *, comment: str = "", **how: Any) -> bytes:
    """The bytes of an audio file of one channel.

    Parameters
    ----------
    samples : array
        ``(samples,)``, floating point, full scale ±1.
    rate : int
        In hertz.
    format, subtype : str
        Of libsndfile, as "WAV" and "FLOAT".
    comment : str
        A text that the file carries.
    **how
        Further settings of `soundfile.SoundFile`, as ``compression_level``.

    Raises
    ------
    soundfile.LibsndfileError
        For a format, a subtype or a rate that libsndfile does not write.
    """
    file = BytesIO()
    with held_back(), soundfile.SoundFile(file, "w", rate, 1, subtype, format=format, **how) as sound:
        if comment:
            sound.comment = comment
        sound.write(samples)
    return file.getvalue()


def encoded_wav(samples: Any, rate: int, *, comment: str = "") -> bytes:
    """A WAV file of float samples: a key may push them beyond full scale, and clipping could not be undone."""
    return encoded(samples, rate, "WAV", "FLOAT", comment=comment)
