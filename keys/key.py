"""A secret key: its matrix with what is needed to use it, and its file."""

import zipfile
import zlib
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from wrongkey.errors import BadInput
from wrongkey.files import PRIVATE, write_atomically
from wrongkey.keys.blocks import check_block
from wrongkey.keys.draw import MOST_BYTES, correct_key, draw_keys, draw_secret_matrix
from wrongkey.keys.schemes import Scheme, get_scheme
from wrongkey.printable import printable

FORMAT = "wrongkey-key/1"
DETAILS = ("format", "scheme", "block_size", "dims", "checksum")
TOLERANCE = 1e-9  # largest |K K^T - I|; LAPACK's QR leaves about 1e-15
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


@dataclass(frozen=True, eq=False)
class SecretKey:
    """An orthogonal key K for blocks of a waveform (dims = 1) or tiles of a spectrogram (dims = 2).

    scheme: name of the scheme that drew it.
    block_size: M, samples of a block or bins and frames of a tile.
    dims: 1 or 2.
    matrix: float64 (N, N), read-only, N = M ** dims. A block row vector x is encrypted to x K.

    Raises BadInput where the matrix has another shape, is not finite or not orthogonal. Its repr hides the
    matrix.
    """

    scheme: str
    block_size: int
    dims: int
    matrix: NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        check_block(self.block_size, self.dims)
        if not self.scheme:
            raise BadInput("A key needs the name of its scheme.")
        matrix = np.array(self.matrix, dtype=np.float64, order="C") + 0.0  # a copy; -0.0 becomes 0.0
        if matrix.shape != (self.size, self.size):
            raise BadInput(
                f"A key for block size {self.block_size} in {self.dims}-D must have the shape "
                f"({self.size}, {self.size}), and this matrix has {matrix.shape}."
            )
        residual = np.abs(matrix @ matrix.T - np.eye(self.size)).max() if np.isfinite(matrix).all() else np.nan
        if not residual <= TOLERANCE:  # NaN is refused too
            raise BadInput(
                f"This matrix is not orthogonal: max|K K^T - I| is {residual:.3g}, not {TOLERANCE:g} or less."
            )
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def draw(cls, scheme: str | Scheme, block_size: int, dims: int = 1) -> "SecretKey":
        """A key for real use, from the operating system's entropy: never one that leaves speech as it is.

        The identity and its negative are drawn again, here only: `from_seed` keeps what its stream holds.
        Raises BadInput where the scheme has no other key (a block of one element) and for too large a block.
        """
        check_block(block_size, dims)
        return cls(get_scheme(scheme).name, block_size, dims, draw_secret_matrix(scheme, block_size**dims))

    @classmethod
    def from_seed(
        cls, scheme: str | Scheme, block_size: int, dims: int = 1, *, seed: int, index: int | None = None
    ) -> "SecretKey":
        """A key for evaluation: the model owner's key of a sweep, or key `index` of the seed's stream."""
        check_block(block_size, dims)
        size = block_size**dims
        drawn = correct_key(scheme, size, seed) if index is None else draw_keys(scheme, size, seed, index, 1)[0]
        return cls(get_scheme(scheme).name, block_size, dims, drawn)

    @property
    def size(self) -> int:
        """N, the number of elements of a block."""
        return int(self.block_size**self.dims)

    @property
    def transposed(self) -> "SecretKey":
        """The key that undoes this one: encrypting with it decrypts."""
        return SecretKey(self.scheme, self.block_size, self.dims, self.matrix.T)

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) over scheme, block size, dims and the matrix in little-endian float64.

        It finds damage and is no signature. Where the key space is small it gives the key away.
        """
        label = f"{FORMAT}\n{self.scheme}\n{self.block_size}\n{self.dims}\n".encode()
        return sha256(label + self.matrix.astype("<f8").tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretKey) and self.checksum == other.checksum

    def __hash__(self) -> int:
        return hash(self.checksum)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Writes a .npz or .safetensors file that only its owner may read (mode 0600) from its first byte on.

        Raises BadInput for another ending, a folder that cannot be written, or a file that exists already.
        """
        path, name = Path(path), printable(path)
        details = {
            "format": FORMAT,
            "scheme": self.scheme,
            "block_size": str(self.block_size),
            "dims": str(self.dims),
            "checksum": self.checksum,
        }
        if path.suffix == ".npz":
            buffer = BytesIO()
            np.savez(buffer, **{name: np.array(text) for name, text in details.items()}, matrix=self.matrix)  # type: ignore[arg-type]
            content = buffer.getvalue()
        elif path.suffix == ".safetensors":
            content = to_safetensors({"matrix": self.matrix}, details)
        else:
            raise BadInput(f"{name}: a key file ends in .npz or .safetensors.")
        try:
            write_atomically(path, lambda file: file.write(content), mode=PRIVATE, overwrite=overwrite)
        except FileExistsError:
            raise BadInput(f"{name}: this file exists: choose another name or ask to overwrite it.") from None
        except OSError as error:
            raise BadInput(f"{name}: the key could not be written: {error.strerror}.") from error

    @classmethod
    def load(cls, path: str | Path) -> "SecretKey":
        """Reads a key file; BadInput where it is missing, damaged, tampered with or no key file.

        No more is read than a key of the size that the file names needs, and than a file of its size can hold.
        """
        path = Path(path)
        name = printable(path)
        readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
        if path.suffix not in readers:
            raise BadInput(f"{name}: a key file ends in .npz or .safetensors.")
        if not path.is_file():
            raise BadInput(f"{name}: there is no such key file.")
        try:
            details, matrix = readers[path.suffix](path)
        except PermissionError:
            raise BadInput(f"{name}: this key file may not be read by you.") from None
        except UNREADABLE as error:
            why = f"{type(error).__name__}: {error}" if type(error) in (ValueError, BadInput) else type(error).__name__
            raise BadInput(f"{name}: this is no complete key file of wrongkey ({printable(why)}).") from error
        if details["format"] != FORMAT or matrix.dtype != np.float64:
            raise BadInput(f"{name}: this is not a key file of the format {FORMAT} with a float64 matrix.")
        try:
            key = cls(details["scheme"], int(details["block_size"]), int(details["dims"]), matrix)
        except BadInput as error:
            raise BadInput(f"{name}: this key file was changed or damaged: {error}") from error
        if key.checksum != details["checksum"]:
            raise BadInput(f"{name}: the checksum does not match: this key file was changed or damaged.")
        return key


def _read_npz(path: Path) -> tuple[dict[str, str], NDArray[np.float64]]:
    """Details and matrix, whose sizes are checked before anything is unpacked: zeros compress a thousandfold."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_OF_ARCHIVE))
        end = file.read()
        if end[:4] != b"PK\5\6" or int.from_bytes(end[12:16], "little") > MOST_DETAIL:
            raise ValueError("not a list of contents as numpy writes it")
        with zipfile.ZipFile(file) as archive:
            details = {name: str(_member(archive, name, None)) for name in DETAILS}
            return details, _member(archive, "matrix", _size_of(details, path))


def _member(archive: zipfile.ZipFile, name: str, size: int | None) -> NDArray[Any]:
    """An array of a key file: a detail (a text), or the matrix (size, size); ValueError where it is anything else."""
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise ValueError(f"{name} is encrypted, or compressed as numpy compresses nothing")
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
        details = {name: str((tensors.metadata() or {})[name]) for name in DETAILS}
        matrix = tensors.get_slice("matrix")
        size, shape, dtype = _size_of(details, path), matrix.get_shape(), matrix.get_dtype()
        if shape != [size, size] or dtype != "F64" or len(tensors.keys()) > 1:
            raise ValueError(
                f"tensors {', '.join(tensors.keys())}, the matrix of shape {tuple(shape)} and type {dtype}"
            )
    return details, np.fromfile(path, "<f8", offset=8 + header).reshape(size, size)


def _size_of(details: dict[str, str], path: Path) -> int:
    """N, from the details; ValueError where a matrix of that size would be much larger than its file."""
    block_size, dims = int(details["block_size"]), int(details["dims"])
    check_block(block_size, dims)
    length = 8 * block_size ** (2 * dims)
    if length > MOST_BYTES or length > max(path.stat().st_size, MOST_COMPRESSED):
        raise ValueError(f"a matrix of {length} bytes, more than a key or a file of this size has")
    return int(block_size**dims)
