"""The secret of a run of attacks: a salt from which the victims' keys follow, and nothing that an attack is given does.

An attack knows how keys are drawn and may know the seed of the run, so a key drawn from that seed would be no secret.
The salt comes from the operating system. While attacks run it is in the harness' memory alone: its file
`attacks/salt.json` is removed when they begin and written again when they end, so that the same command, later, gives
the same victims the same keys. A harness that is killed loses it: what is done stays, with the salt's fingerprint, and
the trials that are missing get keys from a new one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from wrongkey.attacks.base import Matrix
from wrongkey.errors import BadInput
from wrongkey.files import PRIVATE, atomic_write, explained_errors
from wrongkey.keys import correct_key
from wrongkey.keys.schemes import Scheme

FORMAT = "wrongkey-salt/1"
ELSEWHERE = "choose another --out"  # where the salt cannot be written
BYTES = 32


@dataclass(frozen=True)
class Salt:
    """`secret`: 32 bytes."""

    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> Salt:
        return cls(os.urandom(BYTES))

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that tell salts apart and say nothing about them."""
        return blake2b(self.secret, digest_size=4, person=b"fingerprint").hexdigest()

    def seed(self, *what: object) -> int:
        """A seed of 128 bits for something that the harness draws."""
        words = "/".join(str(word) for word in what).encode()
        return int.from_bytes(blake2b(words, key=self.secret, digest_size=16).digest(), "little")

    def key(self, scheme: Scheme, size: int, *trial: object) -> Matrix:
        """The victim's key `(N, N)` of a trial, from a stream of its own."""
        return correct_key(scheme, size, self.seed("key", *trial))


def attack_seed(run_seed: int, trial: int) -> int:
    """The seed, of 31 bits, of what is random in an attack: a hash, which no key was ever drawn with."""
    digest = blake2b(f"attack/{run_seed}/{trial}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def kept_salt(path: Path, named: Path | None = None) -> Iterator[Salt]:
    """The salt of the file `path`, which is gone meanwhile; of the file `named`, which stays, or else a new one.

    An attack could read `named`: such a run repeats another one, and is no evidence of its own. Raises BadInput where a
    file holds no salt, or `named` another one than `path`.
    """
    salt = read_salt(path) if path.exists() else None
    if named is not None:
        wanted = read_salt(named)
        if salt is not None and salt != wanted:
            raise BadInput(f"{path.parent.parent} has another salt than {named}: choose another --out")
        salt = wanted
    salt = salt or Salt.new()
    with explained_errors(path, ELSEWHERE):
        path.unlink(missing_ok=True)
    try:
        yield salt
    finally:
        content = json.dumps({"format": FORMAT, "salt": salt.secret.hex()}) + "\n"
        with explained_errors(path, ELSEWHERE), atomic_write(path, mode=PRIVATE) as file:
            file.write(content.encode())


def read_salt(path: Path) -> Salt:
    """Raises BadInput for a file that cannot be read, or holds no salt."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT or len(secret := bytes.fromhex(found["salt"])) != BYTES:
            raise ValueError
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}): name an attacks/salt.json") from None
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{path} holds no salt of victims' keys: name an attacks/salt.json, or delete it") from None
    return Salt(secret)
