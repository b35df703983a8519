"""Sizes that headers announce (WAV, RF64, W64, AIFF, CAF, AU, NIST) against the sizes of the files.

Writers leave sizes open (a pipe), count their own header, count samples for bytes, or are stopped before they write
the last size; files are cut short. libsndfile follows the header, or the file, and says nothing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Literal, NamedTuple

from evaluation.corpora.part import Part, is_padding
from keys.errors import BadInput

Order = Literal["little", "big"]

OPEN = ((0x7FFF0000, 0x80000100), (0xFFFF0000, 0xFFFFFFFF), (2**62, 2**64))  # sizes that stand for "unknown"
COUNTED = (8, 16, 36, 44)  # bytes of a header, or of a part of it, that writers count as samples
MOST_CHUNKS = 10_000
TRAILING = 2**16  # bytes before the end in which chunks are looked for where the size of the samples is unknown
KNOWN = (
    b"LIST|list|INFO|info|id3 |ID3 |bext|cue |fact|PEAK|peak|smpl|inst|INST|iXML|_PMX|JUNK|junk|PAD |FLLR|afsp|LGWV|"
    b"plst|note|labl|axml|chna|umid|minf|elm1|regn|acid|strc|DISP|cart|levl|NAME|AUTH|ANNO|MARK|mark|COMT|COMM|APPL|"
    b"CHAN|chan|FVER|FREE|free|uuid|strg|midi|ovvw|pakt|edct|kuki|desc|wavl|slnt"
)


class Layout(NamedTuple):
    """How a container writes chunks: bytes of name and size, where the next one may begin, what the size counts."""

    name: int
    size: int
    order: Order
    even: int = 2  # chunks begin at multiples of so many bytes
    own: int = 0  # bytes of the chunk's own header that its size counts

    @property
    def header(self) -> int:
        return self.name + self.size


@dataclass
class Samples:
    """Where a header says that samples lie: from `start` on, `announced` bytes (negative: unknown)."""

    start: int
    announced: int
    frame: int  # bytes of one sample of all channels; 1 where a codec has no such thing
    under: Callable[[bytearray, int], None]  # writes another number of bytes into the header, the bytes before `start`
    whole: int = -1  # where the container says that it ends
    other: int = -1  # bytes of samples as another field of the header has it
    layout: Layout | None = None  # of the chunks behind the samples
    to_end: bool = False  # libsndfile takes whatever follows for samples


def part(file: BinaryIO, start: int, end: int, name: str) -> Part | None:
    """None where libsndfile reads what is there; else the samples under a header that says how many they are.

    Raises BadInput for a file that is cut short, and where it cannot be known which bytes are samples.
    """
    found = _samples(file, start, end)
    if found is None or found.start > end:
        raise BadInput(f"{name} holds no samples where its header should say so: fetch or copy it again")
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
            f"{name} is larger than its header can say: convert it (sox --ignore-length IN OUT.w64)"
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
        raise BadInput(f"{name} ends after {room} of {announced} bytes of samples: fetch or copy it again")
    stop = found.start + announced
    if _are_chunks(file, found.layout, start, stop, end, name):
        return stop if found.to_end and stop < end else None
    in_samples = announced * found.frame == room and found.frame > 1  # the size counts samples, not bytes
    if not in_samples and (end - stop < found.frame or is_padding(file, stop, end)):
        return stop if found.to_end else None
    if complete or in_samples or announced == 0:
        return _before_chunks(file, found, start, end)
    raise BadInput(
        f"{name} announces {announced} bytes of samples, and {end - stop} bytes that belong to no chunk follow: "
        "write it again, to its end (sox --ignore-length IN OUT.wav), or cut them off"
    )


def _chunks(file: BinaryIO, layout: Layout, base: int, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and size of each chunk from `at` on; the last one may reach beyond `end`."""
    while at + layout.header <= end:
        file.seek(at)
        name, size = file.read(layout.name), int.from_bytes(file.read(layout.size), layout.order) - layout.own
        yield name, at + layout.header, size
        if size < 0 or at + layout.header + size >= end:
            return
        at += layout.header + size
        pad = (base - at) % layout.even
        if pad and not _is_known(file, at + pad) and _is_known(file, at):  # some writers forget it
            pad = 0
        at += pad


def _is_known(file: BinaryIO, at: int) -> bool:
    file.seek(at)
    return re.fullmatch(KNOWN + b"|data|fmt |SSND|ds64", file.read(4)) is not None


def _is_name(four: bytes) -> bool:
    return len(four) == 4 and all(32 <= byte < 127 for byte in four)


def _are_chunks(file: BinaryIO, layout: Layout | None, base: int, at: int, end: int, name: str) -> bool:
    """Whether chunks follow from `at` to the end, or nothing; raises BadInput where more samples are among them."""
    if at == end:
        return True
    if layout is None:
        return False
    for begin in dict.fromkeys((at + (base - at) % layout.even, at)):
        known = _is_known(file, begin)
        reached, more, kind = begin, False, b""
        for kind, body, size in islice(_chunks(file, layout, base, begin, end), MOST_CHUNKS):
            if layout.name == 4 and not _is_name(kind):
                break
            reached = body + size
            more = more or (kind[:4] in (b"data", b"SSND") and size > 0)
        complete = 0 <= end - reached < layout.even  # the last chunk need not be padded
        if more and (complete or known):
            raise BadInput(f"{name} holds its samples in several chunks: write it again (sox IN OUT.wav)")
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
        for kind, body, size in islice(_chunks(file, found.layout, base, at, end), MOST_CHUNKS):
            if not _is_name(kind):
                break
            last = body + size
        if last in (end, end - 1):
            return at
    return end


# Headers


def _samples(file: BinaryIO, start: int, end: int) -> Samples | None:
    file.seek(start)
    head = file.read(40)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64"):
        return _wav(file, start, end, head)
    if head[:4] == b"riff":
        return _w64(file, start, end, head)
    if head[:4] == b"FORM":
        return _aiff(file, start, end, head)
    if head[:4] == b"caff":
        return _caf(file, start, end)
    return _nist(file, start) if head[:4] == b"NIST" else _au(start, head)


def _found(
    file: BinaryIO, layout: Layout, base: int, at: int, end: int, samples: bytes
) -> dict[bytes, tuple[int, int, bytes]]:
    """First byte, size and beginning of each chunk up to the one that holds `samples`."""
    found: dict[bytes, tuple[int, int, bytes]] = {}
    for kind, body, size in islice(_chunks(file, layout, base, at, end), MOST_CHUNKS):
        file.seek(body)
        found.setdefault(kind[:4], (body, size, file.read(40)))
        if kind[:4] == samples:
            break
    return found


def _wav(file: BinaryIO, start: int, end: int, head: bytes) -> Samples | None:
    layout = Layout(4, 4, "big" if head[:4] == b"RIFX" else "little")
    found = _found(file, layout, start, start + 12, end, b"data")
    if b"data" not in found or b"fmt " not in found:
        return None
    order = layout.order
    body, size, _ = found[b"data"]
    form, fact = found[b"fmt "][2], found.get(b"fact", (0, 0, b""))[2]
    plain = int.from_bytes(form[:2], order) in (1, 3, 6, 7, 0xFFFE)  # PCM, float, companded, or said further on
    frame = int.from_bytes(form[12:14], order) or 1
    whole = start + 8 + int.from_bytes(head[4:8], order)
    ds64 = found[b"ds64"][0] - start if b"ds64" in found else 0
    if ds64:
        whole = start + 8 + int.from_bytes(found[b"ds64"][2][:8], order)
        size = int.from_bytes(found[b"ds64"][2][8:16], order) if size == 0xFFFFFFFF else size

    def under(head: bytearray, length: int) -> None:
        everything = len(head) - 8 + length
        if ds64:
            sizes = (everything, length, length // frame)
            head[ds64 : ds64 + 24] = b"".join(value.to_bytes(8, order) for value in sizes)
        head[4:8] = b"\xff" * 4 if ds64 else everything.to_bytes(4, order)
        head[-4:] = b"\xff" * 4 if ds64 else length.to_bytes(4, order)

    other = int.from_bytes(fact[:4], order) * frame if plain and fact else -1
    return Samples(body, size, frame, under, whole, other, layout)


def _w64(file: BinaryIO, start: int, end: int, head: bytes) -> Samples | None:
    layout = Layout(16, 8, "little", 8, 24)
    found = _found(file, layout, start, start + 40, end, b"data")
    if b"data" not in found or b"fmt " not in found:
        return None

    def under(head: bytearray, length: int) -> None:
        head[16:24] = (len(head) + length).to_bytes(8, "little")
        head[-8:] = (length + 24).to_bytes(8, "little")

    frame = int.from_bytes(found[b"fmt "][2][12:14], "little") or 1
    whole = start + int.from_bytes(head[16:24], "little")
    return Samples(*found[b"data"][:2], frame, under, whole, layout=layout, to_end=True)


def _aiff(file: BinaryIO, start: int, end: int, head: bytes) -> Samples | None:
    layout = Layout(4, 4, "big")
    found = _found(file, layout, start, start + 12, end, b"SSND")
    if b"SSND" not in found or b"COMM" not in found:
        return None
    body, size, sound = found[b"SSND"]
    comm, _, form = found[b"COMM"]
    plain = head[8:12] == b"AIFF" or form[18:22] in (b"NONE", b"twos", b"sowt", b"fl32", b"FL32", b"fl64", b"FL64")
    channels = int.from_bytes(form[:2], "big")
    packet = {b"ima4": 34 * channels, b"GSM ": 33}.get(form[18:22], 1)
    frame = channels * -(-int.from_bytes(form[6:8], "big") // 8) if plain else packet
    offset = int.from_bytes(sound[:4], "big")

    def under(head: bytearray, length: int) -> None:
        head[4:8] = (len(head) - 8 + length).to_bytes(4, "big")
        head[body - start - 4 : body - start] = (length + 8 + offset).to_bytes(4, "big")
        if plain:
            head[comm - start + 2 : comm - start + 6] = (length // frame).to_bytes(4, "big")

    whole = start + 8 + int.from_bytes(head[4:8], "big")
    other = int.from_bytes(form[2:6], "big") * frame if plain else -1
    return Samples(body + 8 + offset, size - 8 - offset, max(frame, 1), under, whole, other, layout)


def _caf(file: BinaryIO, start: int, end: int) -> Samples | None:
    layout = Layout(4, 8, "big", 1)
    found = _found(file, layout, start, start + 8, end, b"data")
    if b"data" not in found or b"desc" not in found:
        return None
    body, size, _ = found[b"data"]

    def under(head: bytearray, length: int) -> None:
        head[-12:-4] = (length + 4).to_bytes(8, "big")

    frame = int.from_bytes(found[b"desc"][2][16:20], "big") or 2**32  # bytes of a packet; where they vary, none fit
    return Samples(body + 4, -1 if size in (0, 2**64 - 1) else size - 4, frame, under, layout=layout)


def _au(start: int, head: bytes) -> Samples:
    order: Order = "big" if head[:4] == b".snd" else "little"
    offset, size, encoding, _, channels = (int.from_bytes(head[at : at + 4], order) for at in range(4, 24, 4))
    frame = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0) * channels or 1

    def under(head: bytearray, length: int) -> None:
        head[8:12] = length.to_bytes(4, order)

    return Samples(start + offset, size, frame, under)


def _nist(file: BinaryIO, start: int) -> Samples | None:
    file.seek(start)
    text = file.read(1024).decode("latin-1")
    size = re.match(r"NIST_1A\s+(\d{1,6})\s", text)
    fields = {name: int(value) for name, value in re.findall(r"(\w+) -i (\d{1,18})\s", text)}
    if size is None:
        return None
    frame = fields.get("channel_count", 1) * fields.get("sample_n_bytes", 2) or 1
    announced = fields.get("sample_count", -1) * frame
    return Samples(start + int(size[1]), announced, frame, lambda head, length: None, to_end=True)
