"""Audio files opened whatever their headers say: lengths are checked before libsndfile believes them."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import soundfile

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import flac, headers, mpeg, ogg, sizes
from wrongkey.evaluation.corpora.part import Joined, Part, after_id3
from wrongkey.printable import printable
from wrongkey.stops import held_back

# Formats whose length is checked here, or by libsndfile (HTK), or which announce none.
CHECKED = "WAV WAVEX RF64 W64 AIFF AU CAF NIST FLAC OGG MP3 SVX AVR WVE VOC".split()
READ = (*CHECKED, "HTK", "IRCAM", "PAF", "PVF", "RAW")
RATES = (1_000, 1_000_000)  # hertz: telephones to bats; beyond, a resampling filter would fill the memory
MANY = 2**27  # samples, a GiB as they are decoded: more come from a file of some size only
PER_BYTE = 100  # samples of a byte of a file, at 48 kHz a bit rate of 4 kb/s


@contextmanager
def opened(path: Path) -> Iterator[tuple[soundfile.SoundFile, int]]:
    """The audio file and its number of frames (samples of all channels), which its own `frames` need not be.

    Raises `BadInput` for what is not audio, or not whole.
    """
    name, failures = printable(path), list[OSError]()
    try:
        with _opened(path, name, failures) as found:
            yield found
    except BadInput:
        if not failures:
            raise
    if failures:
        raise _unreadable(name, failures[0]) from failures[0]


@contextmanager
def _opened(path: Path, name: str, failures: list[OSError]) -> Iterator[tuple[soundfile.SoundFile, int]]:
    """The same; `failures` has the errors of the disk that libsndfile does not pass on."""
    if not path.is_file():
        raise BadInput(f"{name} is not a file: give an audio file that exists.")
    size = path.stat().st_size
    if size == 0:
        raise BadInput(f"{name} is empty (0 bytes): give an audio file, or fetch this one again.")
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(path.open("rb"))
            part = _part(raw, size, name)
            source = Joined(raw, part, failures) if part else os.fsencode(path)
            with held_back():  # where Python reads for libsndfile, Ctrl-C would be dropped
                file = stack.enter_context(soundfile.SoundFile(source))
        except (RuntimeError, TypeError) as error:
            why = str(getattr(error, "error_string", error)).rstrip(".")
            raise BadInput(f"{name} is not readable audio ({why}): give a WAV, FLAC or Ogg file.") from error
        except OSError as error:
            raise _unreadable(name, error) from error
        frames = file.frames if part is None or part.samples is None else part.samples
        _check(file, frames, size, name)
        yield file, frames


def _unreadable(name: str, error: OSError) -> BadInput:
    return BadInput(f"{name} cannot be read ({error.strerror}): check its disk, and that it is yours.")


def _part(file: BinaryIO, size: int, name: str) -> Part | None:
    """The recording under a header that is right, where its own is not."""
    start = after_id3(file)
    file.seek(start)
    head = file.read(16)
    part = None
    if headers.has_one(head):
        part = sizes.part(file, start, size, name)
    elif head[:4] == b"fLaC":
        part = flac.part(file, start, size, name)
    elif head[:4] == b"OggS":
        ogg.check(file, start, size, name)
    elif start or (len(head) > 1 and head[0] == 0xFF and head[1] >= 0xE0):
        part = mpeg.part(file, start, size, name)
    elif name.lower().endswith(".raw"):
        raise BadInput(
            f"{name} has no header that says its sample rate and format: write it with one, for example with "
            "sox -r 16000 -e signed -b 16 -c 1 IN.raw OUT.wav."
        )
    if part is None and name.lower().endswith(".raw"):  # soundfile asks for a rate where a name ends so
        part = Part(b"", 0, size)
    return part


def _check(file: soundfile.SoundFile, frames: int, size: int, name: str) -> None:
    if file.format not in READ:
        raise BadInput(
            f"{name} is a {file.format} file, of which nobody can say whether it is whole: convert it to WAV or FLAC."
        )
    if not RATES[0] <= file.samplerate <= RATES[1]:
        raise BadInput(
            f"{name} says that it has {file.samplerate} samples a second, and {RATES[0]} to {RATES[1]} can be read: "
            "write it again under its true sample rate."
        )
    if frames * file.channels > max(MANY, PER_BYTE * size):
        raise BadInput(
            f"{name} announces {frames} samples of {file.channels} channels in {size} bytes: no recording has "
            "that many, so give another, or cut it."
        )
    if frames > file.frames:
        raise BadInput(
            f"{name} holds {frames} samples, of which libsndfile would read {file.frames}: convert it "
            "(ffmpeg -i IN OUT.wav)."
        )
