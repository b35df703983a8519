"""A secret seed: the key of a scheme whose matrices change with the utterance, or from time to time within it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks, check_block
from wrongkey.keys.derived import SEED_BITS, SEED_WORDS, Derived, Label, correct_seed, derived_matrices, seed_of
from wrongkey.keys.draw import MOST_BYTES
from wrongkey.keys.family import get_scheme, known_scheme
from wrongkey.keys.key import SecretKey
from wrongkey.keys.key_file import SEED_FORMAT, read_key_file
from wrongkey.keys.schemes import Scheme
from wrongkey.keys.secret import Secret
from wrongkey.printable import brief, facts_html, printable

if TYPE_CHECKING:
    from wrongkey.keys.key_cut import KeyCut

NONCE_BYTES = 16  # of a nonce from the operating system: two are alike once in 2**64 utterances


@dataclass(frozen=True, eq=False, repr=False)
class SeedKey(Secret):
    """A seed for blocks of a waveform (dims = 1) or tiles of a spectrogram (dims = 2).

    Keys are equal where scheme, block size, dims and seed are. Neither the repr nor what a notebook shows reveals the
    seed.

    Parameters
    ----------
    scheme
        Name of the derived scheme, such as ``rom+nonce`` or ``rom+schedule=0.5``.
    block_size
        M: samples of a block, or bins and frames of a tile.
    dims
        1 or 2.
    seed
        uint64 `(4,)`, read-only.
    derived
        How matrices follow from the seed.

    Raises
    ------
    BadInput
        For a seed of another shape, and for too large a block.

    Examples
    --------
    >>> key = SeedKey.from_seed("rom+nonce", 3, seed=0)
    >>> key
    SeedKey(scheme='rom+nonce', block_size=3, dims=1)
    >>> key.at(nonce="a7"), key.at(nonce="a7") == key.at(nonce="a8")
    (SecretKey(scheme='rom', block_size=3, dims=1), False)
    """

    kind: ClassVar[str] = "seed"
    format: ClassVar[str] = SEED_FORMAT

    scheme: str
    block_size: int
    dims: int
    seed: NDArray[np.uint64]
    derived: Derived

    def __post_init__(self) -> None:
        check_block(self.block_size, self.dims)
        if 8 * self.size**2 > MOST_BYTES:
            raise BadInput(
                f"A key of N = {self.size} is a matrix of {8 * self.size**2 / 2**30:,.0f} GiB: choose a smaller block."
            )
        seed = np.array(self.seed, dtype="<u8")
        if seed.shape != (SEED_WORDS,):
            raise BadInput(f"A seed has the shape ({SEED_WORDS},), and this one has {seed.shape}.")
        seed.flags.writeable = False
        object.__setattr__(self, "seed", seed)

    @classmethod
    def of(cls, scheme: str | Scheme, block_size: int, dims: int, seed: NDArray[np.uint64]) -> SeedKey:
        """The key of a seed `(4,)` under a derived scheme, or its name.

        Examples
        --------
        >>> SeedKey.of("rom+nonce", 4, 1, np.arange(4, dtype=np.uint64)).size
        4
        """
        found = get_scheme(scheme)
        if found.derived is None:
            raise BadInput(f"A key of {found.name} is one matrix and no seed: draw it as a SecretKey.")
        return cls(found.name, block_size, dims, seed, found.derived)

    @classmethod
    def draw(cls, scheme: str | Scheme, block_size: int, dims: int = 1) -> SeedKey:
        """Draw a seed for real use from the operating system's entropy.

        Parameters
        ----------
        scheme
            A derived scheme or its name.
        block_size
            M, at least 1.
        dims
            1 or 2.

        Returns
        -------
        SeedKey
            Another one at every call.

        Examples
        --------
        >>> SeedKey.draw("flipping+schedule=1", 8).at(slot=7).size
        8
        """
        return cls.of(scheme, block_size, dims, np.frombuffer(os.urandom(SEED_BITS // 8), dtype="<u8"))

    @classmethod
    def from_seed(
        cls, scheme: str | Scheme, block_size: int, dims: int = 1, *, seed: int, index: int | None = None
    ) -> SeedKey:
        """Draw a key for evaluation from a number: whoever knows the number knows the key.

        Parameters
        ----------
        scheme
            A derived scheme or its name.
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
        SeedKey
            The same at every call, on every machine.

        Examples
        --------
        >>> SeedKey.from_seed("rom+nonce", 4, seed=1) == SeedKey.from_seed("rom+nonce", 4, seed=1, index=7)
        False
        """
        check_block(block_size, dims)
        found = get_scheme(scheme)
        size = int(found.span * block_size**dims)
        drawn = correct_seed(found, size, seed) if index is None else seed_of(found, size, seed, index)
        return cls.of(found, block_size, dims, drawn)

    def at(self, nonce: str | bytes | None = None, slot: int = 0) -> SecretKey:
        """The key for one label.

        Parameters
        ----------
        nonce
            The public nonce of the utterance, a text, or bytes, which stand for their hexadecimal digits. None for a
            scheme without.
        slot
            Number of the slot, from 0; 0 for a scheme without a schedule.

        Returns
        -------
        SecretKey
            A key of the base scheme.

        Raises
        ------
        BadInput
            For a nonce or slot that is missing, or that the scheme does not have.

        Examples
        --------
        >>> key = SeedKey.from_seed("rom+nonce", 3, seed=0)
        >>> key.at(bytes.fromhex("00ff")) == key.at("00ff")
        True
        """
        matrix = derived_matrices(self.derived, self.size, self.seed[None], [Label(_text(nonce), slot)])[0, 0]
        return SecretKey.of(self.derived.base, self.block_size, self.dims, matrix)

    def cut(self, blocks: Blocks | str | None = None) -> KeyCut:
        """How its matrices cut speech; None takes samples for a 1-D key and tiles for a 2-D key."""
        from wrongkey.keys.key_cut import KeyCut

        return KeyCut(Blocks.named(blocks or self.dims), self.block_size).under(self.derived.base)

    def matrices(self, nonce: str | bytes | None = None, slots: int = 1) -> NDArray[np.float64]:
        """The matrices of the first slots, float64 `(slots, N, N)`."""
        labels = [Label(_text(nonce), slot) for slot in range(slots)]
        found: NDArray[np.float64] = derived_matrices(self.derived, self.size, self.seed[None], labels)[0]
        return found

    @property
    def size(self) -> int:
        """N, elements that a matrix multiplies together."""
        return int(self.derived.base.span * self.block_size**self.dims)

    @property
    def secret(self) -> NDArray[np.uint64]:
        """The seed."""
        return self.seed

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) over scheme, block size, dims and seed: it detects damage and is not a signature."""
        label = f"{SEED_FORMAT}\n{self.scheme}\n{self.block_size}\n{self.dims}\n".encode()
        return sha256(label + self.seed.tobytes()).hexdigest()

    def _repr_html_(self) -> str:
        """What is public about the key."""
        facts = {"scheme": self.scheme, "M": self.block_size, "N": self.size, "key space": f"{SEED_BITS} bits"}
        return facts_html("SeedKey", {**facts, "seed": "secret, not shown"})

    @classmethod
    def load(cls, path: str | Path, scheme: Scheme | None = None) -> SeedKey:
        """Read a key file.

        Parameters
        ----------
        path
            Ends in .npz or .safetensors.
        scheme
            The scheme, where it is a user's own: a file may come from a stranger, and names no module to import.

        Returns
        -------
        SeedKey
            Equal to the one that was saved.

        Raises
        ------
        BadInput
            For a file that is missing, damaged, tampered with or not the file of a seed.
        """
        key = load_key(path, scheme)
        if not isinstance(key, SeedKey):
            raise BadInput(f"{printable(path)}: this file holds one matrix, of {key.scheme}: load it as a SecretKey.")
        return key


def load_key(path: str | Path, scheme: Scheme | None = None) -> SecretKey | SeedKey:
    """Read the file of a key of either kind; `scheme` as in `SeedKey.load`.

    Parameters
    ----------
    path
        Ends in .npz or .safetensors.
    scheme
        The scheme of a seed, where it is a user's own.

    Returns
    -------
    SecretKey or SeedKey
        Equal to the one that was saved.

    Raises
    ------
    BadInput
        For a file that is missing, damaged, tampered with or not a key file.
    """
    name = printable(path)
    details, secret = read_key_file(Path(path))
    if details["format"] != SEED_FORMAT:
        return SecretKey.load(path)
    written = details["scheme"]
    if scheme is None and known_scheme(written) is None:
        raise BadInput(
            f"{name}: this seed is of a user's own scheme, {brief(written)}: give that scheme to SeedKey.load."
        )
    if scheme is not None and scheme.name != written:
        raise BadInput(f"{name}: this seed is of the scheme {brief(written)}, not of {scheme.name}.")
    try:
        key = SeedKey.of(scheme or written, int(details["block_size"]), int(details["dims"]), secret)
    except BadInput as error:
        raise BadInput(f"{name}: this key file was changed or damaged: {error}") from error
    if key.checksum != details["checksum"]:
        raise BadInput(f"{name}: the checksum does not match: this key file was changed or damaged.")
    return key


def new_nonce() -> str:
    """A public nonce from the operating system, as hexadecimal digits.

    Examples
    --------
    >>> len(new_nonce())
    32
    """
    return os.urandom(NONCE_BYTES).hex()


def _text(nonce: str | bytes | None) -> str | None:
    return nonce.hex() if isinstance(nonce, bytes) else nonce
