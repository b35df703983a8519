"""Finds the numbers of a secret matrix in files: as text of any number of decimals, and as bytes of any type."""

from __future__ import annotations

import base64
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from pypdf import PdfReader

FLOATS = ("<f4", ">f4", "<f8", ">f8", "<f2", ">f2")
# How many neighbours in a text betray a matrix, by their decimals: a page has a hundred thousand numbers of its own.
TOLD = {5: 2, 4: 3}
WHOLE = ("i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8")
NUMBER = re.compile(rb"(?<![\d.])\d?\.(\d{3,})(?:[eE]([-+]?\d{1,3}))?")
GAP = re.compile(rb"[^.]{1,12}")  # between two numbers of one row
EXACT = 1e-7  # of a number below 1: float32
PACKED = re.compile(rb"[A-Za-z0-9+/]{32,}={0,2}")  # base64, as a page holds sounds and pictures


class Needles:
    """What betrays a matrix: neighbours in a row or column of a dense one, a permutation's order, Flipping's signs.

    Parameters
    ----------
    matrix
        The secret `(N, N)`.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        self.bytes: set[bytes] = set()
        self.texts: list[re.Pattern[bytes]] = []
        self.numbers: list[tuple[np.ndarray, int]] = []  # neighbours, and the decimals that betray so many of them
        if np.array_equal(np.abs(matrix), np.eye(len(matrix))):
            self._add_signs(matrix)
        elif (np.count_nonzero(matrix, axis=0) == 1).all():
            self._add_orders(matrix)
        else:
            self._add_numbers(matrix)

    def _add_signs(self, matrix: np.ndarray) -> None:
        signs = np.diagonal(matrix)
        for values in (signs, signs < 0, signs > 0):
            self.bytes |= {values.astype(kind).tobytes() for kind in (*FLOATS, *WHOLE)}
        self.bytes |= {matrix.astype(kind).tobytes() for kind in (*FLOATS, *WHOLE)}
        said = (rb"-1" if sign < 0 else rb"(?<!-)\b1" for sign in signs)
        self.texts.append(re.compile(rb"(?:\.0*)?[^-\d]{1,9}".join(said)))

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
                            self.numbers.append((numbers, decimals))

    def found_in(self, content: bytes) -> bool:
        """Whether the matrix is in these bytes, or in what is packed in them."""
        return any(
            any(needle in piece for needle in self.bytes)
            or any(text.search(piece) for text in self.texts)
            or numbers_of(piece).hold(self.numbers)
            for piece in unpacked(content)
        )


@dataclass(frozen=True)
class Numbers:
    """The decimal numbers of a text, in its order, all `(numbers,)`.

    values: without signs.  decimals: how many they have, of a mantissa one more.  exact: to what they are known.
    joined: whether the next number follows as in a list.
    """

    values: np.ndarray
    decimals: np.ndarray
    exact: np.ndarray
    joined: np.ndarray

    def hold(self, wanted: list[tuple[np.ndarray, int]]) -> bool:
        """Whether some neighbours stand in the text, each with so many decimals or more."""
        return any(self._hold(neighbours, decimals) for neighbours, decimals in wanted)

    def _hold(self, neighbours: np.ndarray, decimals: int) -> bool:
        starts = len(self.values) - len(neighbours) + 1
        if starts <= 0:
            return False
        found = np.ones(starts, dtype=bool)
        for place, value in enumerate(neighbours):
            part = slice(place, place + starts)
            found &= (np.abs(self.values[part] - value) < self.exact[part]) & (self.decimals[part] >= decimals)
            if place:
                found &= self.joined[place - 1 : place - 1 + starts]
        return bool(found.any())


@lru_cache(maxsize=1 << 14)  # a folder is searched for many keys
def numbers_of(text: bytes) -> Numbers:
    """The decimal numbers of a text."""
    found = list(NUMBER.finditer(text))
    powers = np.array([int(one[2] or 0) for one in found], dtype=float).clip(-30, 30)
    digits = np.array([len(one[1]) for one in found], dtype=float)
    values = np.array([float(one[0].lower().split(b"e")[0]) for one in found]) * 10**powers
    joined = [GAP.fullmatch(text, one.end(), two.start()) is not None for one, two in pairwise(found)]
    return Numbers(
        values,
        digits + np.array([one[2] is not None for one in found], dtype=float),
        np.maximum(1.001 * 10 ** (powers - digits), EXACT),
        np.array([*joined, False]),
    )


@lru_cache(maxsize=1 << 12)  # as above
def unpacked(content: bytes) -> tuple[bytes, ...]:
    """The content itself, and all that is packed in it."""
    return tuple(dict.fromkeys(pieces(content)))


def pieces(content: bytes) -> Iterator[bytes]:
    """What `unpacked` keeps."""
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
    elif content[:4] == b"%PDF":
        for page in PdfReader(io.BytesIO(content)).pages:
            yield page.extract_text().encode()
            if (drawn := page.get_contents()) is not None:
                yield drawn.get_data()
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
