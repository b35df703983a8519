"""Headers of WAV, RF64, W64, AIFF, CAF and older formats: where they say that samples lie, and how many."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Literal, NamedTuple

Order = Literal["little", "big"]

MOST_CHUNKS = 10_000
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
    even: int = 2  # chunks begin at multiples of this many bytes
    own: int = 0  # bytes of the chunk's own header that its size counts

    @property
    def header(self) -> int:
        """Return the bytes of a chunk before its content."""
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


def has_one(head: bytes) -> bool:
    """Whether a file begins with a header that `samples_of` reads; 16 bytes tell."""
    return _reader(head) is not None


def samples_of(file: BinaryIO, start: int, end: int) -> Samples | None:
    """What the header at `start` says; None where it does not say where samples lie."""
    file.seek(start)
    head = file.read(128)
    reader = _reader(head)
    return reader(file, start, end, head) if reader else None


def _reader(head: bytes) -> Callable[[BinaryIO, int, int, bytes], Samples | None] | None:
    kind, form = head[:4], head[8:12]
    if kind in (b"RIFF", b"RIFX", b"RF64"):
        return _wav if form == b"WAVE" else None
    if kind == b"FORM":
        return {b"AIFF": _aiff, b"AIFC": _aiff, b"8SVX": _svx, b"16SV": _svx}.get(form)
    if head.startswith(b"riff\x2e\x91\xcf\x11"):
        return _w64
    if head.startswith(b"Creative Voice"):
        return _voc
    if head.startswith(b"ALawSoundFile"):
        return _wve
    return {b"caff": _caf, b".snd": _au, b"dns.": _au, b"NIST": _nist, b"2BIT": _avr}.get(kind)


def _found(
    file: BinaryIO, layout: Layout, base: int, at: int, end: int, samples: bytes
) -> dict[bytes, tuple[int, int, bytes]]:
    """First byte, size and beginning of each chunk up to the one that holds `samples`."""
    found: dict[bytes, tuple[int, int, bytes]] = {}
    for kind, body, size in islice(chunks(file, layout, base, at, end), MOST_CHUNKS):
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


def _caf(file: BinaryIO, start: int, end: int, head: bytes) -> Samples | None:
    layout = Layout(4, 8, "big", 1)
    found = _found(file, layout, start, start + 8, end, b"data")
    if b"data" not in found or b"desc" not in found:
        return None
    body, size, _ = found[b"data"]

    def under(head: bytearray, length: int) -> None:
        head[-12:-4] = (length + 4).to_bytes(8, "big")

    frame = int.from_bytes(found[b"desc"][2][16:20], "big") or 2**32  # bytes of a packet; where they vary, none fit
    return Samples(body + 4, -1 if size in (0, 2**64 - 1) else size - 4, frame, under, layout=layout)


def _au(file: BinaryIO, start: int, end: int, head: bytes) -> Samples:
    order: Order = "big" if head[:4] == b".snd" else "little"
    offset, size, encoding, _, channels = (int.from_bytes(head[at : at + 4], order) for at in range(4, 24, 4))
    frame = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(encoding, 0) * channels or 1

    def under(head: bytearray, length: int) -> None:
        head[8:12] = length.to_bytes(4, order)

    return Samples(start + offset, size, frame, under)


def _nist(file: BinaryIO, start: int, end: int, head: bytes) -> Samples | None:
    file.seek(start)
    text = file.read(1024).decode("latin-1")
    size = re.match(r"NIST_1A\s+(\d{1,6})\s", text)
    fields = {name: int(value) for name, value in re.findall(r"(\w+) -(?:i|s\d+) (\d{1,18})\s", text)}
    if size is None:
        return None
    frame = fields.get("channel_count", 1) * fields.get("sample_n_bytes", 2) or 1
    announced = fields.get("sample_count", -1) * frame
    return _to_end(start + int(size[1]), announced, frame)


def _svx(file: BinaryIO, start: int, end: int, head: bytes) -> Samples | None:
    layout = Layout(4, 4, "big")
    found = _found(file, layout, start, start + 12, end, b"BODY")
    return _to_end(*found[b"BODY"][:2], 1 if head[8:9] == b"8" else 2, layout) if b"BODY" in found else None


def _avr(file: BinaryIO, start: int, end: int, head: bytes) -> Samples:
    frame = int.from_bytes(head[14:16], "big") // 8 * (2 if any(head[12:14]) else 1) or 1
    return _to_end(start + 128, int.from_bytes(head[26:30], "big") * frame, frame)


def _wve(file: BinaryIO, start: int, end: int, head: bytes) -> Samples:
    return _to_end(start + 32, int.from_bytes(head[18:22], "big"), 1)


def _voc(file: BinaryIO, start: int, end: int, head: bytes) -> Samples | None:
    at = start + int.from_bytes(head[20:22], "little")
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        block = file.read(4)
        size = int.from_bytes(block[1:], "little")
        if len(block) < 4 or block[0] == 0:
            return None
        if block[0] in (1, 9):  # samples, behind the rate and their kind
            extra = 2 if block[0] == 1 else 12
            return _to_end(at + 4 + extra, size - extra, 1)
        at += 4 + size
    return None


def _to_end(start: int, announced: int, frame: int, layout: Layout | None = None) -> Samples:
    """Samples that libsndfile reads to the end of the file, whatever the header says."""
    return Samples(start, announced, frame, lambda head, length: None, layout=layout, to_end=True)


def chunks(file: BinaryIO, layout: Layout, base: int, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and size of each chunk from `at` on; the last one may reach beyond `end`."""
    while at + layout.header <= end:
        file.seek(at)
        name, size = file.read(layout.name), int.from_bytes(file.read(layout.size), layout.order) - layout.own
        yield name, at + layout.header, size
        if size < 0 or at + layout.header + size >= end:
            return
        at += layout.header + size
        pad = (base - at) % layout.even
        if pad and not is_known(file, at + pad) and is_known(file, at):  # some writers forget it
            pad = 0
        at += pad


def is_known(file: BinaryIO, at: int) -> bool:
    """Return whether a chunk with a usual name begins at this byte."""
    file.seek(at)
    return re.fullmatch(KNOWN + b"|data|fmt |SSND|ds64", file.read(4)) is not None


def is_name(four: bytes) -> bool:
    """Return whether four bytes may be the name of a chunk: printable ASCII."""
    return len(four) == 4 and all(32 <= byte < 127 for byte in four)
