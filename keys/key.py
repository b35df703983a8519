"""A secret key: its matrix with what is needed to use it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import check_block
from wrongkey.keys.draw import correct_key, draw_keys, draw_secret_matrix
from wrongkey.keys.key_file import FORMAT, SEED_FORMAT, read_key_file, write_key_file
from wrongkey.keys.schemes import SCHEMES, Scheme, get_scheme
from wrongkey.keys.space import key_space
from wrongkey.printable import brief, facts_html, printable

TOLERANCE = 1e-9  # largest |K K^T - I|; LAPACK's QR leaves about 1e-15


@dataclass(frozen=True, eq=False, repr=False)
class SecretKey:
    """An orthogonal key K for blocks of a waveform (dims = 1) or tiles of a spectrogram (dims = 2).

    Keys are equal where scheme, block size, dims and matrix are. Neither the repr nor what a notebook
    shows reveals the matrix.

    Parameters
    ----------
    scheme
        Name of the scheme that drew it.
    block_size
        M: samples of a block, or bins and frames of a tile.
    dims
        1 or 2.
    matrix
        Float64 `(N, N)`, read-only, N = M ** dims. A block row vector x is encrypted to x K.

    Raises
    ------
    BadInput
        Where the matrix has another shape, is not finite or not orthogonal.

    Examples
    --------
    >>> key = SecretKey.from_seed("rom", 3, seed=0)
    >>> key.matrix.shape
    (3, 3)
    >>> key
    SecretKey(scheme='rom', block_size=3, dims=1)
    """

    scheme: str
    block_size: int
    dims: int
    matrix: NDArray[np.float64]

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
    def draw(cls, scheme: str | Scheme, block_size: int, dims: int = 1) -> SecretKey:
        """Draw a key for real use from the operating system's entropy: never one that leaves speech as it is.

        The identity and its negative are drawn again, here only: `from_seed` keeps what its stream holds.

        Parameters
        ----------
        scheme
            A scheme or its name.
        block_size
            M, at least 1.
        dims
            1 or 2.

        Returns
        -------
        SecretKey
            Another one at every call.

        Raises
        ------
        BadInput
            Where the scheme has no other key (a block of one element), and for too large a block.

        Examples
        --------
        >>> int(SecretKey.draw("shuffling", 8).matrix.sum())
        8
        """
        check_block(block_size, dims)
        return cls(get_scheme(scheme).name, block_size, dims, draw_secret_matrix(scheme, block_size**dims))

    @classmethod
    def from_seed(
        cls, scheme: str | Scheme, block_size: int, dims: int = 1, *, seed: int, index: int | None = None
    ) -> SecretKey:
        """Draw a key for evaluation from a seed: whoever knows the seed knows the key.

        Parameters
        ----------
        scheme
            A scheme or its name.
        block_size
            M, at least 1.
        dims
            1 or 2.
        seed
            Of the stream of keys.
        index
            Number of the key in the stream, from 0; None for the model owner's key of a sweep with this seed.

        Returns
        -------
        SecretKey
            The same at every call, on every machine.

        Raises
        ------
        BadInput
            For an unknown scheme, too large a block or a negative index.

        Examples
        --------
        >>> SecretKey.from_seed("flipping", 4, seed=1, index=7).size
        4
        """
        check_block(block_size, dims)
        size = block_size**dims
        drawn = correct_key(scheme, size, seed) if index is None else draw_keys(scheme, size, seed, index, 1)[0]
        return cls(get_scheme(scheme).name, block_size, dims, drawn)

    @property
    def size(self) -> int:
        """N, the number of elements of a block."""
        return int(self.block_size**self.dims)

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) over scheme, block size, dims and the matrix in little-endian float64.

        It detects damage and is not a signature. Where the key space is small it reveals the key.
        """
        label = f"{FORMAT}\n{self.scheme}\n{self.block_size}\n{self.dims}\n".encode()
        return sha256(label + self.matrix.astype("<f8").tobytes()).hexdigest()

    def __repr__(self) -> str:
        return f"SecretKey(scheme={brief(self.scheme)!r}, block_size={self.block_size}, dims={self.dims})"

    def _repr_html_(self) -> str:
        """What is public about the key; neither its matrix nor its checksum, which gives a key of few away."""
        known = self.scheme in SCHEMES  # no other name is looked up: it may come from a stranger's key file
        bits = f"{key_space(self.scheme, self.block_size, self.dims).bits:.1f} bits" if known else ""
        facts = {"scheme": self.scheme, "M": self.block_size, "N": self.size, "key space": bits}
        return facts_html("SecretKey", {**facts, "matrix": "secret, not shown"})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretKey) and self.checksum == other.checksum

    def __hash__(self) -> int:
        return hash(self.checksum)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A SecretKey is not pickled: the matrix would lie in a file that others may read. Save it with its method "
            "save, which writes a file for its owner alone."
        )

    def __copy__(self) -> SecretKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> SecretKey:
        return self

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write a key file that only its owner may read (mode 0600) from its first byte on.

        Parameters
        ----------
        path
            Ends in .npz or .safetensors.
        overwrite
            Whether a file that exists is replaced.

        Raises
        ------
        BadInput
            For another ending, a folder that cannot be written, or a file that exists already.
        """
        details = {
            "format": FORMAT,
            "scheme": self.scheme,
            "block_size": str(self.block_size),
            "dims": str(self.dims),
            "checksum": self.checksum,
        }
        write_key_file(Path(path), details, self.matrix, overwrite)

    @classmethod
    def load(cls, path: str | Path) -> SecretKey:
        """Read a key file.

        No more is read than a key of the size that the file names needs, and than a file of its size can hold.

        Parameters
        ----------
        path
            Ends in .npz or .safetensors.

        Returns
        -------
        SecretKey
            Equal to the one that was saved.

        Raises
        ------
        BadInput
            For a file that is missing, damaged, tampered with or not a key file.
        """
        name = printable(path)
        details, matrix = read_key_file(Path(path))
        if details["format"] == SEED_FORMAT:
            raise BadInput(f"{name}: this file holds the seed of many matrices: load it as a SeedKey.")
        try:
            key = cls(details["scheme"], int(details["block_size"]), int(details["dims"]), matrix)
        except BadInput as error:
            raise BadInput(f"{name}: this key file was changed or damaged: {error}") from error
        if key.checksum != details["checksum"]:
            raise BadInput(f"{name}: the checksum does not match: this key file was changed or damaged.")
        return key
