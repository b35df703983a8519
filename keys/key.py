"""A secret key: its matrix with what is needed to use it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks, check_block
from wrongkey.keys.draw import correct_key, draw_keys, draw_secret_matrix
from wrongkey.keys.family import get_scheme, known_scheme
from wrongkey.keys.invertible import check_invertible
from wrongkey.keys.key_file import FORMAT, OPTIONAL, SEED_FORMAT, read_key_file
from wrongkey.keys.schemes import Scheme
from wrongkey.keys.secret import Secret
from wrongkey.keys.structure import Along
from wrongkey.keys.volume import countable_bits
from wrongkey.printable import facts_html, printable

if TYPE_CHECKING:  # drawing and showing a key waits for no torch
    from wrongkey.keys.key_cut import KeyCut

TOLERANCE = 1e-9  # largest |K Kᵀ - I| of an orthogonal key; LAPACK's QR leaves about 1e-15


@dataclass(frozen=True, eq=False, repr=False)
class SecretKey(Secret):
    """A key K for blocks of a waveform (dims = 1) or tiles of a spectrogram (dims = 2), or for several at once.

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
        Float64 `(N, N)`, read-only, N = P M ** dims. A block row vector x is encrypted to x K.
    span
        P, blocks that it multiplies together.
    along
        The axis along which these lie, of tiles: "time" or "bins".
    orthogonal
        Whether the scheme's keys are orthogonal; others need a condition number of 1e6 at most.

    Raises
    ------
    BadInput
        Where the matrix has another shape, is not finite, or neither orthogonal nor meant to be invertible only.

    Examples
    --------
    >>> key = SecretKey.from_seed("rom", 3, seed=0)
    >>> key.matrix.shape
    (3, 3)
    >>> key
    SecretKey(scheme='rom', block_size=3, dims=1)
    """

    kind: ClassVar[str] = "matrix"
    format: ClassVar[str] = FORMAT

    scheme: str
    block_size: int
    dims: int
    matrix: NDArray[np.float64]
    span: int = 1
    along: Along = "time"
    orthogonal: bool = True

    def __post_init__(self) -> None:
        check_block(self.block_size, self.dims)
        if self.span < 1:
            raise BadInput(f"A key multiplies at least 1 block, not {self.span}.")
        if not self.scheme:
            raise BadInput("A key needs the name of its scheme.")
        matrix = np.array(self.matrix, dtype=np.float64, order="C") + 0.0  # a copy; -0.0 becomes 0.0
        if matrix.shape != (self.size, self.size):
            raise BadInput(
                f"A key for {self._words} must have the shape "
                f"({self.size}, {self.size}), and this matrix has {matrix.shape}."
            )
        self._check(matrix)
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)

    def _check(self, matrix: NDArray[np.float64]) -> None:
        finite = bool(np.isfinite(matrix).all())
        if not self.orthogonal:
            return check_invertible(float(np.linalg.cond(matrix)) if finite else np.nan)
        with np.errstate(over="ignore", invalid="ignore"):  # of a damaged file, which is refused below
            residual = np.abs(matrix @ matrix.T - np.eye(self.size)).max() if finite else np.nan
        if not residual <= TOLERANCE:  # NaN is refused too
            raise BadInput(
                f"This matrix is not orthogonal: max|K K^T - I| is {residual:.3g}, not {TOLERANCE:g} or less."
            )

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
        scheme = get_scheme(scheme)
        return cls.of(scheme, block_size, dims, draw_secret_matrix(scheme, scheme.span * block_size**dims))

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
        scheme = get_scheme(scheme)
        size = scheme.span * block_size**dims
        drawn = correct_key(scheme, size, seed) if index is None else draw_keys(scheme, size, seed, index, 1)[0]
        return cls.of(scheme, block_size, dims, drawn)

    @classmethod
    def of(cls, scheme: Scheme, block_size: int, dims: int, matrix: NDArray[np.float64]) -> SecretKey:
        """The key of a scheme that has this matrix; raises BadInput where it cannot be one of the scheme's group."""
        along: Along = "time" if scheme.structure is None else scheme.structure.along
        return cls(scheme.name, block_size, dims, matrix, scheme.span, along, scheme.orthogonal)

    @property
    def size(self) -> int:
        """N, the number of elements that the key multiplies together."""
        return int(self.span * self.block_size**self.dims)

    @property
    def condition(self) -> float:
        """The condition number of the matrix: 1 of an orthogonal key."""
        return 1.0 if self.orthogonal else float(np.linalg.cond(self.matrix))

    def cut(self, blocks: Blocks | str | None = None) -> KeyCut:
        """How the key cuts speech; None takes samples for a 1-D key and tiles for a 2-D key."""
        from wrongkey.keys.key_cut import KeyCut

        return KeyCut(Blocks.named(blocks or self.dims), self.block_size, self.span, self.along)

    @property
    def _words(self) -> str:
        together = "" if self.span == 1 else f"{self.span} blocks together, each of "
        return f"{together}block size {self.block_size} in {self.dims}-D"

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) over scheme, block size, dims and the matrix in little-endian float64.

        It detects damage and is not a signature. Where the key space is small it reveals the key.
        """
        label = "\n".join([FORMAT, self.scheme, str(self.block_size), str(self.dims), *self.unusual.values(), ""])
        return sha256(label.encode() + self.matrix.astype("<f8").tobytes()).hexdigest()

    @property
    def secret(self) -> NDArray[np.float64]:
        """The matrix."""
        return self.matrix

    @property
    def unusual(self) -> dict[str, str]:
        """What only keys beyond the paper's say in their files; theirs stay as they were."""
        said = {"span": str(self.span), "along": self.along, "orthogonal": "yes" if self.orthogonal else "no"}
        return {name: said[name] for name, usual in OPTIONAL.items() if said[name] != usual}

    def _repr_html_(self) -> str:
        """What is public about the key; neither its matrix nor its checksum, which gives a key of few away."""
        known = known_scheme(self.scheme)
        bits = None if known is None else countable_bits(known, self.size)
        space = "" if bits is None else f"{bits:.1f} bits"
        facts = {"scheme": self.scheme, "M": self.block_size, "N": self.size, "key space": space}
        return facts_html("SecretKey", {**facts, "matrix": "secret, not shown"})

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
            size = int(details["block_size"]), int(details["dims"])
            along: Along = "bins" if details["along"] == "bins" else "time"
            key = cls(details["scheme"], *size, matrix, int(details["span"]), along, details["orthogonal"] != "no")
        except BadInput as error:
            raise BadInput(f"{name}: this key file was changed or damaged: {error}") from error
        if key.checksum != details["checksum"]:
            raise BadInput(f"{name}: the checksum does not match: this key file was changed or damaged.")
        return key
