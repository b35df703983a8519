"""Keys that are seeds, as ``wrongkey encrypt``, ``decrypt`` and ``encrypt-model`` use them: nonces, slots, requests."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput
from wrongkey.printable import printable

if TYPE_CHECKING:
    from wrongkey.keys import SecretKey, SeedKey, Slots
    from wrongkey.keys.key_cut import KeyCut

NONCE = re.compile(r" nonce=([0-9a-f]{2,128})\b")  # in the comment of an encrypted WAV
SEGMENT = re.compile(r" segment=(\d{1,18})\b")  # samples of a segment, in which slots count anew
MOST_NONCE = 64  # bytes


def nonce_of(given: str | None, key: SecretKey | SeedKey, *, new: bool = False) -> str | None:
    """The nonce of ``--nonce``, as hexadecimal digits, or a new one; None for a key that takes none.

    Raises BadInput where the key takes none and one is given, or needs one and none is known.
    """
    from wrongkey.keys import SeedKey
    from wrongkey.keys.seed_key import new_nonce

    if not (isinstance(key, SeedKey) and key.derived.nonce):
        if given is not None:
            raise BadInput(f"A key of {key.scheme} takes no nonce: leave --nonce out.")
        return None
    if given is None:
        if new:
            return new_nonce()
        raise BadInput(
            f"A key of {key.scheme} has other matrices for every nonce: give --nonce HEX, as 'wrongkey encrypt' prints."
        )
    try:
        nonce = bytes.fromhex(given)
    except ValueError:
        nonce = b""
    if not 1 <= len(nonce) <= MOST_NONCE:
        raise BadInput(f"--nonce {given} is not 1 to {MOST_NONCE} bytes in hexadecimal digits.")
    return nonce.hex()


@dataclass(frozen=True)
class Sent:
    """A waveform on its way: the seed with what is public about it.

    Parameters
    ----------
    key
        The seed.
    nonce
        None for a key that takes none.
    rate
        Samples per second.
    segment
        Samples of a query, of which the waveform holds a whole number; slots count anew in each.
    """

    key: SeedKey
    nonce: str | None
    rate: float
    segment: int

    @classmethod
    def read(cls, comment: str, given: str | None, key: SeedKey, rate: float, samples: int, file: Path) -> Sent:
        """What the comment of an encrypted file says, and ``--nonce``; BadInput where the nonce is missing."""
        nonce, segment = NONCE.search(comment), SEGMENT.search(comment)
        if key.derived.nonce and given is None and nonce is None:
            raise BadInput(f"{printable(file)} does not say its nonce, which this key needs: give it with --nonce HEX.")
        found = given if given is not None or nonce is None else nonce[1]
        return cls(key, nonce_of(found if key.derived.nonce else given, key), rate, _length(segment, samples))

    @property
    def comment(self) -> str:
        """What the file says behind the number of samples."""
        nonce = f" nonce={self.nonce}" if self.nonce else ""
        return nonce + (f" segment={self.segment}" if self.key.derived.hold is not None else "")

    def encrypted(self, samples: Any) -> Any:
        """The waveform ``(samples,)`` encrypted: float, every query filled to whole blocks."""
        return self._under(samples, self._query(samples), inverse=False).flatten().numpy()

    def decrypted(self, samples: Any) -> Any:
        """The plain waveform; BadInput where the encrypted one is not whole blocks."""
        query = self._query(samples)
        whole = -(-query // self._cut.steps) * self._cut.steps
        if len(samples) % whole:
            raise BadInput(
                f"Encrypted speech of {len(samples)} samples is not whole blocks of {self._cut.steps}: give the key "
                "that it was encrypted with."
            )
        return self._under(samples, whole, inverse=True)[:, :query].flatten().numpy()

    def _query(self, samples: Any) -> int:
        """Samples of a query; without a schedule the whole waveform is cut into blocks as one."""
        return len(samples) if self.key.derived.hold is None else self.segment

    @property
    def _cut(self) -> KeyCut:
        if self.key.dims != 1:
            raise BadInput("This key is for tiles of spectrograms, and a waveform was given: use one of 1-D blocks.")
        return self.key.cut()

    def _under(self, samples: Any, length: int, inverse: bool) -> Any:
        import torch

        from wrongkey.keys import encrypt_scheduled
        from wrongkey.keys.inverse import inverse_of

        slots = self.key.derived.slots(self._cut.steps, self.rate, length)
        matrices = torch.from_numpy(self.key.matrices(self.nonce, len(slots.starts)))
        matrices = inverse_of(matrices) if inverse else matrices
        queries = torch.from_numpy(samples).reshape(-1, length)
        return encrypt_scheduled(queries, matrices[None, None], self._cut, slots)[0]


@dataclass(frozen=True)
class Request:
    """A model encrypted for the requests of one nonce.

    Parameters
    ----------
    model
        The encrypted model.
    key
        The seed.
    cut
        How its matrices cut a query.
    nonce
        None for a key that takes none.
    rate
        Samples or frames of a query per second.
    slots
        Those that the model follows.
    longest
        Seconds of the longest query.
    seconds
        How long it took to encrypt the first layer, all that is made anew for a request.
    """

    model: Any
    key: SeedKey
    cut: KeyCut
    nonce: str | None
    rate: float
    slots: Slots
    longest: float
    seconds: float

    @classmethod
    def of(cls, model: Any, key: SeedKey, cut: KeyCut, nonce: str | None, longest: float) -> Request:
        """Encrypt the first layer of a model; BadInput where it cannot follow the keys exactly."""
        from wrongkey.evaluation.derived_keys import layer_for_request, query_rate
        from wrongkey.evaluation.first_layer import with_first_layer
        from wrongkey.evaluation.windows import windows_of
        from wrongkey.keys.model import check_unshared, first_layer

        if not 0 < longest < math.inf:
            raise BadInput(f"--seconds {longest:g} is no length of a query: give a positive number.")
        check_unshared(model.network, model.first_layer)
        windows = windows_of(model)
        rate = query_rate(model) * (windows.factor if windows else 1)
        slots = key.derived.slots(cut.steps, rate, math.ceil(longest * rate))
        begin = perf_counter()
        layer = layer_for_request(first_layer(model.network, model.first_layer), key, cut, slots, nonce)
        took = perf_counter() - begin
        return cls(with_first_layer(model, layer), key, cut, nonce, rate, slots, longest, took)

    @property
    def about(self) -> Mapping[str, str]:
        """What the file of the encrypted network says of the request."""
        nonce = {} if self.nonce is None else {"nonce": self.nonce}
        if self.key.derived.hold is None:
            return nonce
        starts = ",".join(map(str, self.slots.starts))
        return {**nonce, "starts": starts, "longest": str(self.slots.length), "rate": f"{self.rate:g}"}

    @property
    def cost(self) -> str:
        """A sentence on the time that the first layer took."""
        whom = f"requests of nonce {self.nonce}" if self.nonce else "all requests"
        count = len(self.slots.starts)
        slots = f", {count} slots for queries of up to {self.longest:g} s" if self.key.derived.hold is not None else ""
        return f"{self.model.first_layer} was encrypted for {whom}{slots} in {self.seconds * 1000:.1f} ms"

    def encrypted(self, queries: Any) -> Any:
        """Queries ``(batch, …)`` as the authorised user sends them."""
        import torch

        from wrongkey.keys import encrypt_scheduled

        scheduled = self.key.derived.hold is not None
        slots = self.slots if scheduled else self.key.derived.slots(self.cut.steps, self.rate, queries.shape[-1])
        matrices = torch.from_numpy(self.key.matrices(self.nonce, len(slots.starts)))
        return encrypt_scheduled(queries, matrices[None, None], self.cut, slots)[0]


def _length(segment: re.Match[str] | None, samples: int) -> int:
    """Samples of a segment that a comment names, or all; a comment may come from a stranger."""
    return min(max(int(segment[1]), 1), samples) if segment else samples
