"""What every secret key has in common, be it a matrix or a seed: equality, its file, and that it is never pickled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from numpy.typing import NDArray

from wrongkey.keys.key_file import write_key_file
from wrongkey.printable import brief


class Secret(ABC):
    """A key of which nothing but its file holds the secret; keys are equal where their checksums are."""

    kind: ClassVar[str]  # of the secret, in a sentence: "matrix" or "seed"
    format: ClassVar[str]  # of its file

    scheme: str
    block_size: int
    dims: int

    @property
    @abstractmethod
    def checksum(self) -> str:
        """SHA-256 (hex) over all that the file holds."""

    @property
    @abstractmethod
    def secret(self) -> NDArray[Any]:
        """The array that the file keeps."""

    @property
    def unusual(self) -> dict[str, str]:
        """Details of the file beyond those of every key."""
        return {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(scheme={brief(self.scheme)!r}, block_size={self.block_size}, dims={self.dims})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.checksum == other.checksum

    def __hash__(self) -> int:
        return hash(self.checksum)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"A {type(self).__name__} is not pickled: the {self.kind} would lie in a file that others may read. "
            "Save it with its method save, which writes a file for its owner alone."
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
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
            "format": self.format,
            "scheme": self.scheme,
            "block_size": str(self.block_size),
            "dims": str(self.dims),
            "checksum": self.checksum,
            **self.unusual,
        }
        write_key_file(Path(path), details, self.secret, overwrite)
