"""Ogg pages (RFC 3533): libsndfile leaves out damaged pages and stops at the last whole one without a word."""

import zlib
from mmap import ACCESS_READ, mmap
from typing import BinaryIO

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.part import is_padding

HEADER = 27  # bytes of a page before its table of segments
FIRST, LAST = 2, 4  # flags: first and last page of a stream
TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # bits in the other order


def check(file: BinaryIO, start: int, end: int, name: str) -> None:
    """Raises BadInput where pages are missing, damaged or cut short, or where recordings follow one another."""
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        streams: dict[bytes, int] = {}  # serial number: number of the page that comes next, -1 after the last one
        at = start
        while at < end:
            if data[at : at + 4] != b"OggS":
                if is_padding(file, at, end):
                    break
                raise BadInput(f"{name} is damaged at byte {at}, where no Ogg page begins: fetch or copy it again.")
            segments = data[at + HEADER - 1] if at + HEADER <= end else 0
            body = at + HEADER + segments
            following = body + sum(data[at + HEADER : body])
            if at + HEADER > end or body > end or following > end:
                raise BadInput(f"{name} ends in the middle of an Ogg page: fetch or copy it again.")
            page = data[at:following]
            if _checksum(page[:22] + bytes(4) + page[26:]) != int.from_bytes(page[22:26], "little"):
                raise BadInput(f"{name} is damaged in the Ogg page at byte {at}: fetch or copy it again.")
            _follow(streams, page, name)
            at = following
    if any(number >= 0 for number in streams.values()):
        raise BadInput(
            f"{name} lacks the page that ends an Ogg stream: fetch or copy it again, or, where its recorder was "
            "stopped and this is all there is, convert it (ffmpeg -i IN OUT.wav)."
        )


def _follow(streams: dict[bytes, int], page: bytes, name: str) -> None:
    """Notes a page of one of the streams, which must be the one that comes next."""
    serial, number = page[14:18], int.from_bytes(page[18:22], "little")
    if page[5] & FIRST:
        if streams and all(next < 0 for next in streams.values()):
            raise BadInput(
                f"{name} holds several recordings one after another (chained Ogg), of which libsndfile reads the "
                "first: convert it (ffmpeg -i IN OUT.wav)."
            )
    elif number != streams.get(serial):
        raise BadInput(f"{name} lacks Ogg pages before page {number}: fetch or copy it again.")
    streams[serial] = -1 if page[5] & LAST else number + 1


def _checksum(page: bytes) -> int:
    """The CRC-32 of Ogg: that of zlib with the bits of every byte in the other order, from 0 on and not inverted."""
    crc = zlib.crc32(page.translate(TURNED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(TURNED), "big")
