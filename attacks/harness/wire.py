"""What passes between the harness and the process of an attack.

The harness sends pickles, which the attack's process opens. The attack sends a word, a JSON table and arrays, and never
a pickle: opening one may run code, and code that runs in the harness can see the truth.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any
from zipfile import ZIP_STORED

import cloudpickle
import numpy as np
import torch
from numpy.typing import NDArray

from wrongkey.errors import in_one_line


class NoMessage(Exception):
    """An attack sent something other than a message."""


@dataclass(frozen=True)
class Message:
    """A message from the attack; `kind` says what it is about."""

    kind: str
    fields: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def packed(kind: str, fields: Mapping[str, Any] | None = None, **arrays: NDArray[Any]) -> bytes:
    """A message as bytes; arrays hold numbers, and fields what JSON can hold."""
    header = json.dumps([kind, dict(fields or {})]).encode()
    buffer, named = io.BytesIO(), {"header": np.frombuffer(header, np.uint8), **arrays}
    np.savez(buffer, allow_pickle=False, **named)
    return buffer.getvalue()


def unpacked(data: bytes) -> Message:
    """The message in these bytes, which takes no more memory than they do. Raises NoMessage where there is none."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            if any(member.compress_type != ZIP_STORED for member in found.zip.infolist()):
                raise ValueError("a compressed array, which may unpack to anything")
            kind, fields = json.loads(found["header"].tobytes())
            arrays = {name: found[name] for name in found.files if name != "header"}
    except Exception as error:  # an attack may send anything
        raise NoMessage(f"the attack sent what is no message ({in_one_line(error)})") from None
    if not isinstance(kind, str) or not isinstance(fields, dict):
        raise NoMessage("the attack sent a message without a kind or fields")
    return Message(kind, fields, arrays)


def pickled(content: object) -> bytes:
    """Tensors, modules and plain objects as bytes for the attack's process."""
    buffer = io.BytesIO()
    torch.save(content, buffer, pickle_module=cloudpickle)  # takes a user's scheme that is made of lambdas
    return buffer.getvalue()


def unpickled(data: bytes) -> Any:
    """The content of `pickled`, on the CPU."""
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)


@dataclass(frozen=True)
class Parcel:
    """What an attack's process is sent once and keeps, for instance background speech."""

    data: bytes

    @cached_property
    def name(self) -> str:
        """A hash of the content."""
        return blake2b(self.data, digest_size=16).hexdigest()
