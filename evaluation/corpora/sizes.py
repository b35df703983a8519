"""Sizes that headers announce (WAV, AIFF and their like) against the sizes of the files.

Writers leave sizes open (a pipe), count their own header, count samples for bytes, or are stopped before they write
the last size; files are cut short. libsndfile follows the header, or the file, and says nothing.
"""

import re
from itertools import islice
from typing import BinaryIO

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.headers import (
    KNOWN,
    MOST_CHUNKS,
    Layout,
    Samples,
    chunks,
    is_known,
    is_name,
    samples_of,
)
from wrongkey.evaluation.corpora.part import Part, is_padding

OPEN = ((0x7FFF0000, 0x80000100), (0xFFFF0000, 0xFFFFFFFF), (2**62, 2**64))  # sizes that stand for "unknown"
COUNTED = (8, 16, 36, 44)  # bytes of a header, or of a part of it, that writers count as samples
MOST_FRAME = 2**16  # bytes of a frame: what is shorter than one is no sample
TRAILING = 2**16  # bytes before the end in which chunks are looked for where the size of the samples is unknown


def part(file: BinaryIO, start: int, end: int, name: str) -> Part | None:
    """None where libsndfile reads what is there; else the samples under a header that says how many they are.

    Raises BadInput for a file that is cut short, and where it cannot be known which bytes are samples.
    """
    found = samples_of(file, start, end)
    if found is None or found.start > end:
        raise BadInput(f"{name} holds no samples where its header should say so: fetch or copy it again.")
    stop = _stop(file, start, end, name, found)
    if stop is None:
        return None
    stop -= (stop - found.start) % found.frame
    file.seek(start)
    head = bytearray(file.read(found.start - start))
    try:
        found.under(head, stop - found.start)
    except OverflowError as error:
        raise BadInput(
            f"{name} is larger than its header can say: convert it (sox --ignore-length IN OUT.w64)."
        ) from error
    return Part(bytes(head), found.start, stop)


def _stop(file: BinaryIO, start: int, end: int, name: str, found: Samples) -> int | None:
    """Where the samples end; None where libsndfile finds that out."""
    room, announced = end - found.start, found.announced
    if announced < 0 or (announced > room and any(low <= announced <= high for low, high in OPEN)):
        return _before_chunks(file, found, start, end)
    complete = found.whole in (end, end - 1) or found.other == room  # as another field of the header says
    if announced > room:
        head = found.start - start
        counted = announced - room in (*COUNTED, *((head, head - 8) if head <= 128 else ()))
        if complete or (counted and room % found.frame == 0):
            return _before_chunks(file, found, start, end)
        raise BadInput(f"{name} ends after {room} of {announced} bytes of samples: fetch or copy it again.")
    stop = found.start + announced
    if _are_chunks(file, found.layout, start, stop, end, name):
        return stop if found.to_end and stop < end else None
    in_samples = announced * found.frame == room and found.frame > 1  # the size counts samples, not bytes
    if not in_samples and (end - stop < found.frame < MOST_FRAME or is_padding(file, stop, end)):
        return stop if found.to_end and end - stop > 1 else None  # VOC ends with a zero
    if complete or in_samples or announced == 0:
        return _before_chunks(file, found, start, end)
    raise BadInput(
        f"{name} announces {announced} bytes of samples, and {end - stop} bytes that belong to no chunk follow: "
        "write it again, to its end (sox --ignore-length IN OUT.wav), or cut them off."
    )


def _are_chunks(file: BinaryIO, layout: Layout | None, base: int, at: int, end: int, name: str) -> bool:
    """Whether chunks follow from `at` to the end, or nothing; raises BadInput where more samples are among them."""
    if at == end:
        return True
    if layout is None:
        return False
    for begin in dict.fromkeys((at + (base - at) % layout.even, at)):
        known = is_known(file, begin)
        reached, more, kind = begin, False, b""
        for kind, body, size in islice(chunks(file, layout, base, begin, end), MOST_CHUNKS):
            if layout.name == 4 and not is_name(kind):
                break
            reached = body + size
            more = more or (kind[:4] in (b"data", b"SSND") and size > 0)
        complete = 0 <= end - reached < layout.even  # the last chunk need not be padded
        if more and (complete or known):
            raise BadInput(f"{name} holds its samples in several chunks: write it again (sox IN OUT.wav).")
        if complete or (known and kind[:4] != b"pakt"):  # one that is cut short, but not CAF's table of packets
            return True
    return False


def _before_chunks(file: BinaryIO, found: Samples, base: int, end: int) -> int:
    """Where the chunks behind samples of unknown size begin, else the end of the file."""
    if found.layout is None or found.layout.name != 4:
        return end
    begin = max(found.start, end - TRAILING)
    file.seek(begin)
    tail = file.read(end - begin)
    for match in re.finditer(KNOWN, tail):
        at = begin + match.start()
        last = at
        for kind, body, size in islice(chunks(file, found.layout, base, at, end), MOST_CHUNKS):
            if not is_name(kind):
                break
            last = body + size
        if last in (end, end - 1):
            return at
    return end
