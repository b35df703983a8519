"""The secret of a run of attacks: a salt from which the victims' keys follow, and nothing that an attack is given.

An attack knows how keys are drawn and may know the seed of the run, so a key drawn from that seed would not be secret.
The salt comes from the operating system. While attacks run it is only in the harness's memory: its file
`attacks/salt.json` is removed when they begin and written again when they end, so that the same command gives the same
victims the same keys later. A harness that is killed loses it: finished rows stay, with the salt's fingerprint, and the
missing trials get keys from a new salt.

A process that computes a trial for the harness is told the secrets of that trial alone: they are hashes, from which
neither the salt nor the key of another trial follows.
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
from wrongkey.attacks.harness.one_key import key_of
from wrongkey.errors import BadInput
from wrongkey.files import PRIVATE, atomic_write, explained_errors
from wrongkey.keys.schemes import Scheme

FORMAT = "wrongkey-salt/1"
BYTES = 32
ELSEWHERE = "choose another --out"  # what to do where the salt cannot be written


@dataclass(frozen=True)
class Salt:
    """The secret of a run; `secret` has 32 bytes."""

    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> Salt:
        """A salt from the operating system."""
        return cls(os.urandom(BYTES))

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that tell salts apart and say nothing about them."""
        return blake2b(self.secret, digest_size=4, person=b"fingerprint").hexdigest()

    def of(self, *trial: object) -> TrialSecrets:
        """What follows from the salt for one trial."""
        return TrialSecrets(
            trial=_words(*trial),
            key_seed=self._seed("key", *trial),
            noise=self._seed("noise", *trial),
            owner=self._seed("owner") % 2**63,
            reply=self._hash("reply", *trial, size=32),
            fingerprint=self.fingerprint,
        )

    def _seed(self, *what: object) -> int:
        """A seed of 128 bits for something that the harness draws."""
        return int.from_bytes(self._hash(*what, size=16), "little")

    def _hash(self, *what: object, size: int) -> bytes:
        return blake2b(_words(*what), key=self.secret, digest_size=size).digest()


@dataclass(frozen=True)
class TrialSecrets:
    """The secrets of one trial, which no text shows: Dask logs the arguments of calls that fail.

    Attributes
    ----------
    trial : bytes
        The trial's attack, case and number.
    key_seed : int
        From which the victim's key is drawn.
    noise : int
        The seed of whatever else the harness draws for the trial.
    owner : int
        The seed of the owner's own training, the same in every trial.
    reply : bytes
        The key, of 32 bytes, under which a worker sends back what the attack found.
    fingerprint : str
        That of the salt.
    """

    trial: bytes
    key_seed: int = field(repr=False)
    noise: int = field(repr=False)
    owner: int = field(repr=False)
    reply: bytes = field(repr=False)
    fingerprint: str

    def of(self, *trial: object) -> TrialSecrets:
        """These secrets, of the one trial that they are for."""
        assert _words(*trial) == self.trial, "the secrets of another trial"
        return self

    def key(self, scheme: Scheme, size: int) -> Matrix:
        """The victim's key `(N, N)`, from a stream of its own."""
        return key_of(scheme, size, self.key_seed)


def _words(*what: object) -> bytes:
    return "/".join(str(word) for word in what).encode()


def attack_seed(run_seed: int, trial: int) -> int:
    """The seed, of 31 bits, of what is random in an attack: a hash, which no key was ever drawn with."""
    digest = blake2b(f"attack/{run_seed}/{trial}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def kept_salt(path: Path, named: Path | None = None) -> Iterator[Salt]:
    """The salt of the file `path`, of the file `named`, or else a new one.

    `path` does not exist inside the `with` block, unless it is `named`, which stays, so that an attack could read it:
    such a run repeats another one, and is not evidence of its own. Raises BadInput where a file holds no salt, or the
    two files different ones.
    """
    salt = read_salt(path) if path.exists() else None
    if named is not None:
        wanted = read_salt(named)
        if salt is not None and salt != wanted:
            raise BadInput(f"{path.parent.parent} has another salt than {named}: choose another --out.")
        salt = wanted
    salt = salt or Salt.new()
    with explained_errors(path, ELSEWHERE):
        if named is None or not path.exists() or not path.samefile(named):
            path.unlink(missing_ok=True)
    try:
        yield salt
    finally:
        content = json.dumps({"format": FORMAT, "salt": salt.secret.hex()}) + "\n"
        with explained_errors(path, ELSEWHERE), atomic_write(path, mode=PRIVATE) as file:
            file.write(content.encode())


def read_salt(path: Path) -> Salt:
    """The salt in a file. Raises BadInput where it cannot be read, or holds no salt."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        secret = bytes.fromhex(content["salt"])
        if content["format"] != FORMAT or len(secret) != BYTES:
            raise ValueError
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}): name an attacks/salt.json.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadInput(f"{path} holds no salt of victims' keys: name an attacks/salt.json, or delete it.") from None
    return Salt(secret)
