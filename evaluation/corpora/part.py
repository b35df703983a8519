"""A recording inside a file, given to libsndfile under a header that is right."""

import io
from typing import Any, BinaryIO, NamedTuple


class Part(NamedTuple):
    """A recording: the bytes `head`, those of a file from `start` to `end`, and `zeros`; its samples, where counted."""

    head: bytes
    start: int
    end: int
    samples: int | None = None
    zeros: int = 0


class Joined(io.RawIOBase):
    """A `Part` of an open file as a file of its own, which ends where the disk fails: `failures` then has the error.

    libsndfile reads it through a callback, from which no error reaches the caller.
    """

    def __init__(self, file: BinaryIO, part: Part, failures: list[OSError]) -> None:
        self._file, self._part, self._failures, self._at = file, part, failures, 0
        self._size = len(part.head) + part.end - part.start + part.zeros

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte of the part, as `io.IOBase.seek` does."""
        self._at = max(0, (0, self._at, self._size)[whence] + offset)
        return self._at

    def tell(self) -> int:
        """Return the position in the part, in bytes."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the part, and return how many bytes there were."""
        head, start, end = self._part[:3]
        wanted = max(0, min(len(buffer), self._size - self._at))
        got = head[self._at : self._at + wanted]
        if len(got) < wanted and (at := start + self._at + len(got) - len(head)) < end:
            try:
                self._file.seek(at)
                got += self._file.read(min(wanted - len(got), end - at))
            except OSError as error:
                self._failures.append(error)
                return 0
        buffer[:wanted] = got.ljust(wanted, b"\0")
        self._at += wanted
        return wanted


def is_padding(file: BinaryIO, start: int, end: int) -> bool:
    """Whether the bytes from `start` to `end` are zeros, or begin a tag that players put behind a recording."""
    file.seek(start)
    if file.read(11).startswith((b"TAG", b"APETAGEX", b"ID3", b"LYRICSBEGIN")):
        return True
    file.seek(start)
    while start < end and (block := file.read(min(end - start, 2**20))):
        if any(block):
            return False
        start += len(block)
    return True


def after_id3(file: BinaryIO) -> int:
    """Where the recording begins: behind the ID3v2 tags that MP3 files carry in front, pictures among them."""
    at = 0
    while True:
        file.seek(at)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:]) > 127:
            return at
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        at += 10 + size + (10 if head[5] & 0x10 else 0)  # a footer repeats the header
