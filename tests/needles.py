"""Finds the numbers of a secret matrix in files: as text of any number of decimals, and as bytes of any type."""

from __future__ import annotations

import base64
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

FLOATS = ("<f4", ">f4", "<f8", ">f8", "<f2", ">f2")
# How many neighbours in a text betray a matrix, by their decimals: a page has a hundred thousand numbers of its own.
TOLD = {5: 2, 4: 3}
WHOLE = ("i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8")
PACKED = re.compile(rb"[A-Za-z0-9+/]{32,}={0,2}")  # base64, as a page holds sounds and pictures


class Needles:
    """What betrays a matrix: neighbours in a row or column of a dense one, the order of a permutation.

    Parameters
    ----------
    matrix
        The secret `(N, N)`.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        self.bytes: set[bytes] = set()
        self.texts: list[re.Pattern[bytes]] = []
        if (np.count_nonzero(matrix, axis=0) == 1).all():
            self._add_orders(matrix)
        else:
            self._add_numbers(matrix)

    def _add_orders(self, matrix: np.ndarray) -> None:
        for order in (np.abs(matrix).argmax(0), np.abs(matrix).argmax(1)):
            self.bytes |= {order.astype(kind).tobytes() for kind in WHOLE}
            self.texts.append(re.compile(rb"\b" + rb"\D{1,9}".join(b"%d" % place for place in order) + rb"\b"))
        for values in (matrix, matrix.T):
            self.bytes |= {np.ascontiguousarray(values).astype(kind).tobytes() for kind in (*FLOATS, *WHOLE)}

    def _add_numbers(self, matrix: np.ndarray) -> None:
        for values in (matrix, matrix.T):
            for row in values:
                for kind in FLOATS:
                    width = 4 if kind.endswith("2") else 2  # so many neighbours, 8 bytes or more
                    for first in range(max(len(row) - width + 1, 0)):
                        self.bytes.add(row[first : first + width].astype(kind).tobytes())
                for decimals, width in TOLD.items():
                    for numbers in np.lib.stride_tricks.sliding_window_view(np.abs(row), min(width, len(row))):
                        if min(numbers) >= 1e-3:
                            texts = [_digits(one, decimals) for one in numbers]
                            self.texts.append(re.compile(rb"[^.]{1,12}".join(texts)))

    def found_in(self, content: bytes) -> bool:
        """Whether the matrix is in these bytes, or in what is packed in them."""
        return any(
            any(needle in piece for needle in self.bytes) or any(text.search(piece) for text in self.texts)
            for piece in pieces(content)
        )


def _digits(value: float, decimals: int) -> bytes:
    """A pattern for a number below 10 with so many decimals or more, or of as many digits in powers of ten."""
    exponent = int(np.floor(np.log10(value)))
    mantissa = value / 10.0**exponent
    fixed, scientific = _cut(value, decimals), _cut(mantissa, decimals - 1)
    return (
        rb"(?<![\d.])0?(?:"
        + b"|".join([*(text + rb"\d*" for text in fixed), *(t + rb"\d*[eE]" for t in scientific)])
        + b")"
    )


def _cut(value: float, decimals: int) -> set[bytes]:
    """The number with so many decimals, cut and rounded."""
    cut = np.floor(value * 10**decimals) / 10**decimals
    return {re.escape(f"{one:.{decimals}f}".removeprefix("0")).encode() for one in (cut, value)}


def pieces(content: bytes) -> Iterator[bytes]:
    """The content itself, and all that is packed in it."""
    yield content
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from pieces(archive.read(name))
    elif content[:4] == b"PAR1":
        for _, column in pd.read_parquet(io.BytesIO(content)).items():
            flat = [np.ravel(value) if isinstance(value, np.ndarray) else [value] for value in column]
            values = [value for row in flat for value in row]
            yield " ".join(map(str, values)).encode()
            if values and all(isinstance(value, float | np.floating) for value in values):
                yield np.array(values, dtype="<f8").tobytes()
    elif content[:2] == b"\x1f\x8b":
        yield from pieces(gzip.decompress(content))
    else:
        for packed in PACKED.findall(content):
            yield from _unpacked(packed)


def _unpacked(packed: bytes) -> Iterator[bytes]:
    for first in range(4):  # whatever stood before it may look like base64 too
        part = packed[first:]
        found = base64.b64decode(part[: len(part) // 4 * 4] + b"==", validate=False)
        yield found
        for window in (zlib.MAX_WBITS, -zlib.MAX_WBITS, 16 + zlib.MAX_WBITS):
            try:
                yield zlib.decompress(found, window)
            except zlib.error:
                continue


def files_with(needles: Needles, folder: Path) -> set[str]:
    """The files of a folder, and below it, in which a matrix is."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)) for path in files if needles.found_in(path.read_bytes())}
