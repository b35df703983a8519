"""A secret key: its matrix with what is needed to use it, and its file."""

import os
import secrets
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from keys.draw import correct_key, draw_keys, draw_secret_matrix
from keys.errors import BadInput
from keys.schemes import Scheme, get_scheme

FORMAT = "wrongkey-key/1"
TOLERANCE = 1e-9  # largest |K K^T - I|; LAPACK's QR leaves about 1e-15


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
        path = Path(path)
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
            raise BadInput(f"{path}: a key file ends in .npz or .safetensors.")
        _write_private(path, content, overwrite)

    @classmethod
    def load(cls, path: str | Path) -> "SecretKey":
        """Reads a key file; BadInput where it is missing, damaged, tampered with or no key file."""
        path = Path(path)
        readers: dict[str, Callable[[Path], dict[str, ArrayLike]]] = {
            ".npz": _read_npz,
            ".safetensors": _read_safetensors,
        }
        if path.suffix not in readers:
            raise BadInput(f"{path}: a key file ends in .npz or .safetensors.")
        if not path.is_file():
            raise BadInput(f"{path}: there is no such key file.")
        try:
            content = readers[path.suffix](path)
            details = {name: str(content[name]) for name in ("format", "scheme", "block_size", "dims", "checksum")}
            block_size, dims = int(details["block_size"]), int(details["dims"])
            matrix = np.asarray(content["matrix"])
        except PermissionError:
            raise BadInput(f"{path}: this key file may not be read by you.") from None
        except UNREADABLE as error:
            raise BadInput(f"{path}: this is no complete key file of wrongkey ({type(error).__name__}).") from error
        if details["format"] != FORMAT or matrix.dtype != np.float64:
            raise BadInput(f"{path}: this is not a key file of the format {FORMAT} with a float64 matrix.")
        try:
            key = cls(details["scheme"], block_size, dims, matrix)
        except BadInput as error:
            raise BadInput(f"{path}: this key file was changed or damaged: {error}") from error
        if key.checksum != details["checksum"]:
            raise BadInput(f"{path}: the checksum does not match: this key file was changed or damaged.")
        return key


def check_block(block_size: int, dims: int) -> None:
    """BadInput unless `dims` is 1 or 2 and `block_size` at least 1."""
    if dims not in (1, 2):
        raise BadInput(f"A key works in 1 dimension (waveforms) or 2 (spectrograms), not in {dims}.")
    if block_size < 1:
        raise BadInput(f"A block size must be at least 1, not {block_size}.")


def _read_npz(path: Path) -> dict[str, ArrayLike]:
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        return {name: archive[name] for name in archive.files}  # a lone .npy has no `files`: AttributeError


def _read_safetensors(path: Path) -> dict[str, ArrayLike]:
    with safe_open(path, framework="np") as file:
        return {**(file.metadata() or {}), "matrix": file.get_tensor("matrix")}


def _write_private(path: Path, content: bytes, overwrite: bool) -> None:
    """Writes a private temporary file and renames it; unless overwriting, the name is claimed first."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    private = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    claimed = False
    try:
        if not overwrite:
            os.close(os.open(path, private, 0o600))
            claimed = True
        with os.fdopen(os.open(temporary, private, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if claimed:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise BadInput(f"{path}: this file exists: choose another name or ask to overwrite it.") from None
        if isinstance(error, OSError):
            raise BadInput(f"{path}: the key could not be written: {error.strerror}.") from error
        raise
