"""The file of a secret key: written privately, and read without trusting what it says."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from wrongkey.errors import BadInput
from wrongkey.files import PRIVATE, atomic_write
from wrongkey.keys.blocks import check_block
from wrongkey.keys.draw import MOST_BYTES
from wrongkey.printable import printable

FORMAT = "wrongkey-key/1"
DETAILS = ("format", "scheme", "block_size", "dims", "checksum")
OPTIONAL = {"span": "1", "along": "time", "orthogonal": "yes"}  # with what counts where a file does not say it
MOST_DETAIL = 2**16  # bytes of a detail, and of the lists of contents of both kinds of file
MOST_COMPRESSED = 2**26  # bytes of a matrix that may be larger than its file: wrongkey writes none compressed
END_OF_ARCHIVE = 22  # bytes at the end of a zip file that say how long its list of contents is

# What numpy, zipfile and safetensors raise on files that are truncated, damaged or of another kind.
UNREADABLE = (
    AttributeError,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    SafetensorError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_key_file(path: Path, details: Mapping[str, str], matrix: NDArray[np.float64], overwrite: bool) -> None:
    """Write `details`, texts by the names of `DETAILS` and `OPTIONAL`, and the matrix to a key file, mode 0600.

    Raises BadInput for another ending, a folder that cannot be written, or a file that exists already.
    """
    name = printable(path)
    _check_ending(path)
    content = _npz(details, matrix) if path.suffix == ".npz" else to_safetensors({"matrix": matrix}, dict(details))
    try:
        with atomic_write(path, mode=PRIVATE, overwrite=overwrite) as file:
            file.write(content)
    except FileExistsError:
        raise BadInput(f"{name}: this file exists: choose another name, or add --overwrite.") from None
    except OSError as error:
        raise BadInput(f"{name}: the key could not be written: {error.strerror}.") from error


def read_key_file(path: Path) -> tuple[dict[str, str], NDArray[np.float64]]:
    """Details and matrix of a key file; BadInput where it is missing, damaged or not a key file.

    Whether the matrix is the key that was saved is for the caller to check, with the checksum.
    """
    name = printable(path)
    _check_ending(path)
    if not path.is_file():
        raise BadInput(f"{name}: there is no such key file: check the path.")
    try:
        details, matrix = _read_npz(path) if path.suffix == ".npz" else _read_safetensors(path)
    except PermissionError:
        raise BadInput(f"{name}: you may not read this key file.") from None
    except UNREADABLE as error:
        why = f"{type(error).__name__}: {error}" if type(error) in (ValueError, BadInput) else type(error).__name__
        raise BadInput(f"{name}: this is not a complete key file of wrongkey ({printable(why)}).") from error
    if details["format"] != FORMAT or matrix.dtype != np.float64:
        raise BadInput(f"{name}: this is not a key file of the format {FORMAT} with a float64 matrix.")
    return details, matrix


def _check_ending(path: Path) -> None:
    if path.suffix not in (".npz", ".safetensors"):
        raise BadInput(f"{printable(path)}: a key file ends in .npz or .safetensors.")


def _npz(details: Mapping[str, str], matrix: NDArray[np.float64]) -> bytes:
    buffer = BytesIO()
    texts = {name: np.array(text) for name, text in details.items()}
    np.savez(buffer, **texts, matrix=matrix)  # type: ignore[arg-type]
    return buffer.getvalue()


def _read_npz(path: Path) -> tuple[dict[str, str], NDArray[np.float64]]:
    """Details and matrix, whose sizes are checked before anything is unpacked: zeros compress a thousandfold."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_OF_ARCHIVE))
        end = file.read()
        if end[:4] != b"PK\5\6" or int.from_bytes(end[12:16], "little") > MOST_DETAIL:
            raise ValueError("not a list of contents as numpy writes it")
        with zipfile.ZipFile(file) as archive:
            said = {f"{name}.npy" for name in OPTIONAL} & set(archive.namelist())
            names = [*DETAILS, *(name.removesuffix(".npy") for name in said)]
            details = OPTIONAL | {name: str(_member(archive, name, None)) for name in names}
            return details, _member(archive, "matrix", _size_of(details, path))


def _member(archive: zipfile.ZipFile, name: str, size: int | None) -> NDArray[Any]:
    """An array of a key file: a detail (a text), or the matrix (size, size); ValueError where it is anything else."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise ValueError(f"{name} is encrypted, or compressed by a method that numpy does not use")
    with archive.open(info) as member:
        if npy.read_magic(member) != (1, 0):
            raise ValueError("not a header as numpy writes it")
        shape, columns_first, dtype = npy.read_array_header_1_0(member)
        if (shape, dtype.kind) != (((), "U") if size is None else ((size, size), "f")):
            raise ValueError(f"{name} has the shape {shape} and the type {dtype}")
        length = dtype.itemsize * (size or 1) ** 2
        if length > (MOST_DETAIL if size is None else MOST_BYTES) or member.tell() + length != info.file_size:
            raise ValueError(f"{name} has another size than it announces")
        return np.frombuffer(member.read(length), dtype).reshape(shape, order="F" if columns_first else "C")


def _read_safetensors(path: Path) -> tuple[dict[str, str], NDArray[np.float64]]:
    """Details and matrix; the library has checked the announced sizes against the size of the file.

    The matrix, all that lies behind the header, is read by numpy: where memory runs out, safetensors panics.
    """
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > MOST_DETAIL:
        raise ValueError("a header that is too long")
    with safe_open(path, framework="np") as tensors:
        said = tensors.metadata() or {}
        details = OPTIONAL | {name: str(said[name]) for name in (*DETAILS, *(OPTIONAL.keys() & said.keys()))}
        matrix = tensors.get_slice("matrix")
        size, shape, dtype = _size_of(details, path), matrix.get_shape(), matrix.get_dtype()
        if shape != [size, size] or dtype != "F64" or len(tensors.keys()) > 1:
            raise ValueError(
                f"tensors {', '.join(tensors.keys())}, the matrix of shape {tuple(shape)} and type {dtype}"
            )
    return details, np.fromfile(path, "<f8", offset=8 + header).reshape(size, size)


def _size_of(details: dict[str, str], path: Path) -> int:
    """N, from the details; ValueError where a matrix of that size would be much larger than its file."""
    block_size, dims, span = (int(details[name]) for name in ("block_size", "dims", "span"))
    check_block(block_size, dims)
    length = 8 * (span * block_size**dims) ** 2
    if length > MOST_BYTES or length > max(path.stat().st_size, MOST_COMPRESSED):
        raise ValueError(f"a matrix of {length} bytes, more than a key or a file of this size has")
    return int(span * block_size**dims)
