"""FLAC (RFC 9639): the number of samples that STREAMINFO announces against the number in the last frame."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.part import Part, is_padding

STREAMINFO = 34  # bytes
TOTAL = 2**36 - 1  # the number of samples: the last 36 bits of bytes 10 to 17
REACH = 2**16  # bytes before the end in which the last frame is looked for first
BLOCKS = {1: 192, **{code: 576 << code - 2 for code in range(2, 6)}, **{code: 256 << code - 8 for code in range(8, 16)}}


class Frame(NamedTuple):
    """What the header of a frame says."""

    at: int
    number: int  # of its first sample, or of the frame where all frames but the last are equally long
    samples: int
    kind: tuple[int, int, int]  # how frames are numbered, codes of rate and width: a stream does not change them


def part(file: BinaryIO, start: int, end: int, name: str) -> Part | None:
    """None where STREAMINFO is right; else the recording under the number of samples that its frames have.

    Raises BadInput for a file that is cut short.
    """
    at, info = _metadata(file, start, end)
    file.seek(at)
    first = _frame(file.read(16), 0)
    if len(info) < STREAMINFO or first is None:
        raise BadInput(f"{name} holds no FLAC frame behind its header: fetch or copy it again.")
    total = int.from_bytes(info[10:18], "big") & TOTAL
    length = 1 if first.kind[0] else first.samples

    def samples_to(frame: Frame) -> int:
        return (frame.number - first.number) * length + frame.samples

    reach = REACH
    while True:
        begin = max(at, end - reach)
        file.seek(begin)
        window = file.read(end - begin)
        if total and any(samples_to(frame) == total for frame in _frames(window, first)):
            return None
        stop = _end_of_frames(file, window, begin)
        for frame in _frames(window, first):
            if _crc(window[frame.at : stop], CRC16, 16) == 0:
                found = samples_to(frame)
                if found < total and frame.samples == first.samples:  # only the last frame of a stream is shorter
                    raise BadInput(
                        f"{name} ends after {found} of {total} samples, between two frames: fetch or copy it again, "
                        "or, where this is all there is, convert it (ffmpeg -i IN OUT.flac)."
                    )
                return _under_total(file, start, at, begin + stop, info, found)
        if begin == at:
            last = next(_frames(window, first), first)
            found = samples_to(last) - last.samples
            raise BadInput(
                f"{name} ends after {found} of {total or 'all its'} samples, in the middle of a frame: "
                "fetch or copy it again."
            )
        reach *= 16  # something long lies behind the last frame


def _metadata(file: BinaryIO, start: int, end: int) -> tuple[int, bytes]:
    """Where the first frame begins, and STREAMINFO."""
    info, at, last = b"", start + 4, False
    while not last and at < end:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4:
            break
        last = bool(head[0] & 0x80)
        if at == start + 4 and head[0] & 0x7F == 0:
            info = file.read(STREAMINFO)
        at += 4 + int.from_bytes(head[1:], "big")
    return at, info


def _frames(window: bytes, first: Frame) -> Iterator[Frame]:
    """Frames of the stream of which `first` is the first, from the end of `window` to its beginning."""
    at = len(window)
    while (at := window.rfind(b"\xff", 0, at)) >= 0:
        frame = _frame(window, at)
        if frame and frame.kind == first.kind:
            yield frame


def _frame(data: bytes, at: int) -> Frame | None:
    """The header at `at`, None where there is none: its checksum tells."""
    head = data[at : at + 16]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    size, rate = head[2] >> 4, head[2] & 15
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # the number is written as UTF-8 writes characters
    more = max(0, ones - 1)
    extra = {6: 1, 7: 2}.get(size, 0)
    length = 5 + more + extra + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if ones in (1, 8) or rate == 15 or size == 0 or len(head) <= length or _crc(head[: length + 1], CRC8, 8):
        return None
    number = head[4] & 0x7F >> ones
    for byte in head[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    written = int.from_bytes(head[5 + more : 5 + more + extra], "big")
    return Frame(at, number, BLOCKS.get(size, written + 1), (head[1] & 1, rate, head[3] & 0x0E))


def _end_of_frames(file: BinaryIO, window: bytes, begin: int) -> int:
    """Where in the window the tags or zeros begin that were put behind the recording."""
    for tag in (b"APETAGEX", b"TAG"):
        at = window.find(tag, max(0, len(window) - 128)) if tag == b"TAG" else window.find(tag)
        if at >= 0 and is_padding(file, begin + at, begin + len(window)):
            return at
    return len(window)


def _under_total(file: BinaryIO, start: int, at: int, stop: int, info: bytes, total: int) -> Part:
    """The recording with another number of samples in STREAMINFO."""
    file.seek(start)
    head = bytearray(file.read(at - start))
    head[18:26] = (int.from_bytes(info[10:18], "big") & ~TOTAL | total).to_bytes(8, "big")
    return Part(bytes(head), at, stop, total)


def _table(polynomial: int, bits: int) -> list[int]:
    table = []
    for crc in range(256):
        crc <<= bits - 8
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc >> bits - 1 else 0)
            crc &= (1 << bits) - 1
        table.append(crc)
    return table


def _crc(data: bytes, table: list[int], bits: int) -> int:
    """Zero over data that ends with its own checksum."""
    crc, low = 0, (1 << bits - 8) - 1
    for byte in data:
        crc = (crc & low) << 8 ^ table[crc >> bits - 8 ^ byte]
    return crc


CRC8, CRC16 = _table(0x07, 8), _table(0x8005, 16)
