"""The file of a secret key, a matrix or a seed: written privately, and read without trusting what it says."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from math import prod
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
from wrongkey.unreadable import UNREADABLE

FORMAT = "wrongkey-key/1"  # of a matrix, and of the seed that matrices follow from
SEED_FORMAT = "wrongkey-seed/1"
SEED_WORDS = 4
DETAILS = ("format", "scheme", "block_size", "dims", "checksum")
OPTIONAL = {"span": "1", "along": "time", "orthogonal": "yes"}  # with what counts where a file does not say it
MOST_DETAIL = 2**16  # bytes of a detail, and of the lists of contents of both kinds of file
MOST_COMPRESSED = 2**26  # bytes of a matrix that may be larger than its file: wrongkey writes none compressed
END_OF_ARCHIVE = 22  # bytes at the end of a zip file that say how long its list of contents is

NO_KEY: tuple[type[Exception], ...] = (*UNREADABLE, SafetensorError)


@dataclass(frozen=True)
class _Secret:
    """The array that a key file of some format holds beside its details."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def length(self) -> int:
        """Bytes."""
        return prod(self.shape) * self.dtype.itemsize


def write_key_file(path: Path, details: Mapping[str, str], secret: NDArray[Any], overwrite: bool) -> None:
    """Write `details`, texts by the names of `DETAILS` and `OPTIONAL`, and the matrix or seed to a file, mode 0600.

    Raises BadInput for another ending, a folder that cannot be written, or a file that exists already.
    """
    name = printable(path)
    _check_ending(path)
    arrays = {"seed" if details["format"] == SEED_FORMAT else "matrix": secret}
    content = _npz(details, arrays) if path.suffix == ".npz" else to_safetensors(arrays, dict(details))
    try:
        with atomic_write(path, mode=PRIVATE, overwrite=overwrite) as file:
            file.write(content)
    except FileExistsError:
        raise BadInput(f"{name}: this file exists: choose another name, or add --overwrite.") from None
    except OSError as error:
        raise BadInput(f"{name}: the key could not be written: {error.strerror}.") from error


def read_key_file(path: Path) -> tuple[dict[str, str], NDArray[Any]]:
    """Details and matrix, or seed, of a key file; BadInput where it is missing, damaged or not a key file.

    Whether it is the key that was saved is for the caller to check, with the checksum.
    """
    name = printable(path)
    _check_ending(path)
    if not path.is_file():
        raise BadInput(f"{name}: there is no such key file: check the path.")
    try:
        details, secret = _read_npz(path) if path.suffix == ".npz" else _read_safetensors(path)
    except PermissionError:
        raise BadInput(f"{name}: you may not read this key file.") from None
    except NO_KEY as error:
        why = f"{type(error).__name__}: {error}" if type(error) in (ValueError, BadInput) else type(error).__name__
        raise BadInput(f"{name}: this is not a complete key file of wrongkey ({printable(why)}).") from error
    if details["format"] not in (FORMAT, SEED_FORMAT) or secret.dtype.itemsize != 8:
        raise BadInput(f"{name}: this is not a key file of the format {FORMAT} with a float64 matrix.")
    return details, secret


def _check_ending(path: Path) -> None:
    if path.suffix not in (".npz", ".safetensors"):
        raise BadInput(f"{printable(path)}: a key file ends in .npz or .safetensors.")


def _npz(details: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = BytesIO()
    texts = {name: np.array(text) for name, text in details.items()}
    np.savez(buffer, **texts, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _read_npz(path: Path) -> tuple[dict[str, str], NDArray[Any]]:
    """Details and secret, whose sizes are checked before anything is unpacked: zeros compress a thousandfold."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_OF_ARCHIVE))
        end = file.read()
        if end[:4] != b"PK\5\6" or int.from_bytes(end[12:16], "little") > MOST_DETAIL:
            raise ValueError("not a list of contents as numpy writes it")
        with zipfile.ZipFile(file) as archive:
            said = {f"{name}.npy" for name in OPTIONAL} & set(archive.namelist())
            names = [*DETAILS, *(name.removesuffix(".npy") for name in said)]
            details = OPTIONAL | {name: str(_member(archive, name, None)) for name in names}
            secret = _secret_of(details, path)
            return details, _member(archive, secret.name, secret)


def _member(archive: zipfile.ZipFile, name: str, secret: _Secret | None) -> NDArray[Any]:
    """An array of a key file: a detail (a text) or the secret; ValueError where it is anything else."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise ValueError(f"{name} is encrypted, or compressed by a method that numpy does not use")
    with archive.open(info) as member:
        if npy.read_magic(member) != (1, 0):
            raise ValueError("not a header as numpy writes it")
        shape, columns_first, dtype = npy.read_array_header_1_0(member)
        if (shape, dtype.kind) != (((), "U") if secret is None else (secret.shape, secret.dtype.kind)):
            raise ValueError(f"{name} has the shape {shape} and the type {dtype}")
        length = dtype.itemsize * prod(shape)
        if length > (MOST_DETAIL if secret is None else MOST_BYTES) or member.tell() + length != info.file_size:
            raise ValueError(f"{name} has another size than it announces")
        return np.frombuffer(member.read(length), dtype).reshape(shape, order="F" if columns_first else "C")


def _read_safetensors(path: Path) -> tuple[dict[str, str], NDArray[Any]]:
    """Details and matrix or seed; the library has checked the announced sizes against the size of the file.

    The secret, all that lies behind the header, is read by numpy: where memory runs out, safetensors panics.
    """
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > MOST_DETAIL:
        raise ValueError("a header that is too long")
    with safe_open(path, framework="np") as tensors:
        said = tensors.metadata() or {}
        details = OPTIONAL | {name: str(said[name]) for name in (*DETAILS, *(OPTIONAL.keys() & said.keys()))}
        secret = _secret_of(details, path)
        found = tensors.get_slice(secret.name)
        shape, dtype = tuple(found.get_shape()), found.get_dtype()
        if shape != secret.shape or dtype != f"{secret.dtype.kind.upper()}64" or len(tensors.keys()) > 1:
            raise ValueError(f"tensors {', '.join(tensors.keys())}, the {secret.name} of shape {shape}, type {dtype}")
    return details, np.fromfile(path, secret.dtype, offset=8 + header).reshape(secret.shape)


def _secret_of(details: dict[str, str], path: Path) -> _Secret:
    """The array that the details announce; ValueError where it would be much larger than its file."""
    block_size, dims, span = (int(details[name]) for name in ("block_size", "dims", "span"))
    check_block(block_size, dims)
    if details["format"] == SEED_FORMAT:
        return _Secret("seed", (SEED_WORDS,), np.dtype("<u8"))
    size = int(span * block_size**dims)
    secret = _Secret("matrix", (size, size), np.dtype("<f8"))
    if secret.length > MOST_BYTES or secret.length > max(path.stat().st_size, MOST_COMPRESSED):
        raise ValueError(f"a matrix of {secret.length} bytes, more than a key or a file of this size has")
    return secret
