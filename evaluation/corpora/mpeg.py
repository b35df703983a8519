"""MPEG audio (MP3): frames are counted, for libsndfile estimates the length of a file that does not say it.

Frames follow ISO/IEC 11172-3 and 13818-3 (and 2.5 for lower rates). A Xing or Info frame in front, as most encoders
write it, says how many follow; without one, libsndfile divides the size of the file, pictures and tags included, by
the size of a frame.
"""

import re
from mmap import ACCESS_READ, mmap
from typing import BinaryIO, NamedTuple

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.part import Part, is_padding

RATES = (44100, 48000, 32000)
KILOBITS = {  # by version 1 and layer, and by layer in versions 2 and 2.5
    (True, 1): range(0, 449, 32),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
LEADING = 2**16  # bytes in front of the first frame in which it is looked for


class Frame(NamedTuple):
    """What the four bytes of a frame's header say."""

    length: int  # bytes
    samples: int
    kind: tuple[int, int, int]  # version, layer and rate, which a stream does not change
    side: int  # bytes of side information behind the header, in layer III


def part(file: BinaryIO, start: int, end: int, name: str) -> Part | None:
    """None where the file says how many frames it has; else the recording with the number that was counted.

    Raises BadInput for a file that is cut short, or that holds another number of frames than it says.
    """
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        at = _first(data, start, end, name)
        frame = header(data[at : at + 4])
        assert frame is not None
        tag = at + 4 + frame.side
        named = frame.kind[1] == 3 and data[tag : tag + 4] in (b"Xing", b"Info")
        begin = at + frame.length if named else at
        count, stop, longest = _count(data, file, begin, end, frame, name)
        if not named or tag + 12 > end or not data[tag + 7] & 1:  # its flags: a number of frames is there
            # With zeros behind it the file is so large that libsndfile's estimate is not below the truth.
            zeros = (count + 1) * longest - (stop - begin)
            return Part(b"", begin, stop, count * frame.samples, zeros)
        said = int.from_bytes(data[tag + 8 : tag + 12], "big")
        if said == count:
            return None
        if said == count + 1:  # it counted itself
            head = bytearray(data[at : at + frame.length])
            head[tag + 8 - at : tag + 12 - at] = count.to_bytes(4, "big")
            return Part(bytes(head), begin, stop)
        if said > count:
            raise BadInput(f"{name} ends after {count} of {said} MP3 frames: fetch or copy it again.")
    raise BadInput(
        f"{name} announces {said} MP3 frames and holds {count}, as files that were joined do: "
        "convert it (ffmpeg -i IN OUT.wav)."
    )


def header(four: bytes) -> Frame | None:
    """The frame that four bytes begin, None where they begin none (or one of free bit rate, which no tool writes)."""
    if len(four) < 4 or four[0] != 0xFF or four[1] & 0xE0 != 0xE0:
        return None
    version, layer = four[1] >> 3 & 3, 4 - (four[1] >> 1 & 3)
    bits, code = four[2] >> 4, four[2] >> 2 & 3
    if version == 1 or layer == 4 or bits in (0, 15) or code == 3:
        return None
    one, padding, mono = version == 3, four[2] >> 1 & 1, four[3] >> 6 == 3
    rate = RATES[code] >> {3: 0, 2: 1, 0: 2}[version]
    rate_of_bits = 1000 * KILOBITS[one, layer][bits]
    if layer == 1:
        length, samples = (12 * rate_of_bits // rate + padding) * 4, 384
    else:
        samples = 1152 if one or layer == 2 else 576
        length = samples // 8 * rate_of_bits // rate + padding
    return Frame(length, samples, (version, layer, rate), (17 if mono else 32) if one else (9 if mono else 17))


def _first(data: mmap, start: int, end: int, name: str) -> int:
    """Where the first frame begins: two of the same kind follow one another, or one is all there is."""
    for sync in re.finditer(rb"\xff[\xe0-\xff]", data[start : min(end, start + LEADING)]):
        at = start + sync.start()
        frame = header(data[at : at + 4])
        if frame:
            following = header(data[at + frame.length : at + frame.length + 4])
            if at + frame.length >= end or (following and following.kind == frame.kind):
                return at
    raise BadInput(f"{name} holds no two MP3 frames in a row: give a WAV, FLAC or Ogg file.")


def _count(data: mmap, file: BinaryIO, at: int, end: int, first: Frame, name: str) -> tuple[int, int, int]:
    """Number of frames from `at` on, where the last one ends, and bytes of the longest."""
    count = longest = 0
    while at < end:
        frame = header(data[at : at + 4])
        if frame is None or frame.kind != first.kind:
            if b"APETAGEX" in data[max(at, end - 512) : end] or is_padding(file, at, end):
                break
            raise BadInput(
                f"{name} has bytes that are not an MP3 frame from byte {at} on: fetch or copy it again, or, where it "
                "plays to its end, convert it (ffmpeg -i IN OUT.wav)."
            )
        if at + frame.length > end:
            raise BadInput(
                f"{name} ends after {end - at} of {frame.length} bytes of its last MP3 frame: fetch or copy it again."
            )
        count, at, longest = count + 1, at + frame.length, max(longest, frame.length)
    return count, at, longest
