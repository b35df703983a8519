"""The protocol of a board: a TOML file that says all that its numbers depend on, and its hash. Imports no torch.

The hash is the SHA-256 of the content, so that comments and the order of the settings do not change it. The protocols
that are shipped are known by their hashes: an edited one has to take a name of its own.
"""

from __future__ import annotations

import reprlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wrongkey.attacks.harness.offered import SUITE, attack_names
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.board_cell import digest
from wrongkey.evaluation.run_folder.board_protocol import SHIPPED, Content
from wrongkey.evaluation.run_folder.private import path_within
from wrongkey.evaluation.run_folder.schema import first_fault
from wrongkey.evaluation.strength.config import StrengthConfig
from wrongkey.files import explained_errors, user_path

HERE = Path(__file__).parent / "protocols"


@dataclass(frozen=True)
class Protocol:
    """A protocol file.

    Attributes
    ----------
    content : Content
        What it says.
    raw : mapping
        The same as the file has it.
    """

    content: Content
    raw: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name, with its version."""
        return self.content.name

    @property
    def hash(self) -> str:
        """SHA-256 of the content in hexadecimal digits."""
        return digest(self.raw)

    @property
    def named(self) -> dict[str, str]:
        """Name and hash, as they stand beside every result."""
        return {"name": self.name, "hash": self.hash}

    def model(self, block: int) -> str | None:
        """The model of a block size; None where speech alone is attacked."""
        return self.content.models.get(str(block))


def open_protocol(named: str) -> Protocol:
    """Read a protocol.

    Parameters
    ----------
    named : str
        One that is shipped (`SHIPPED`), or a TOML file.

    Returns
    -------
    Protocol
        Checked; every attack that it names can be run.

    Raises
    ------
    BadInput
        For a file that cannot be read or says something else than a protocol, for an edited one under the name of a
        shipped one, for one that names a path, and for attacks that this wrongkey does not have or cannot load.

    Examples
    --------
    >>> open_protocol("smoke").name
    'smoke'
    """
    path = HERE / f"{named}.toml" if named in SHIPPED else user_path(named)
    if named not in SHIPPED and not path.is_file():
        raise BadInput(f"There is no protocol {named}: give {' or '.join(SHIPPED)}, or a TOML file (docs/board.md).")
    protocol = _read(path)
    if protocol.hash != SHIPPED.get(protocol.name, protocol.hash):
        raise BadInput(
            f"{path} is not the protocol {protocol.name} that wrongkey ships, since its content was edited: give it a "
            "name of its own."
        )
    known = set(attack_names())
    if unknown := [name for name in protocol.content.attacks.names if name not in known and ":" not in name]:
        raise BadInput(
            f"The protocol {protocol.name} asks for the attack {unknown[0]}, which this wrongkey does not have: use a "
            "wrongkey that has it, or a protocol without it."
        )
    _load(protocol)
    return protocol


def _load(protocol: Protocol) -> None:
    """Check that schemes are known, and that the attacks of packages and of the user can be loaded."""
    from wrongkey.keys import get_scheme  # it imports torch

    asked = protocol.content
    for name in (*asked.schemes, *(asked.reference.schemes if asked.reference else ())):
        try:
            get_scheme(name)
        except BadInput as error:
            raise BadInput(f"The protocol {protocol.name} asks for a scheme that is not there: {error}") from None
    for name in (one for one in protocol.content.attacks.names if one not in SUITE):
        from wrongkey.attacks.harness.registry import open_attack  # it imports torch

        try:
            open_attack(name)
        except BadInput as error:
            raise BadInput(f"The protocol {protocol.name} asks for an attack that cannot be run: {error}") from None


def _read(path: Path) -> Protocol:
    with explained_errors(path, "check its permissions", action="read"):
        written = path.read_bytes()
    try:
        raw = tomllib.loads(written.decode())
        content = Content.model_validate(raw)
    except ValidationError as error:
        raise BadInput(f"{path} is not a protocol ({first_fault(error)}): see docs/board.md.") from None
    except (ValueError, RecursionError) as error:  # of TOML, a huge number, UTF-8, or lists within lists
        why = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise BadInput(f"{path} is not TOML ({why}): see docs/board.md.") from None
    _check(content, path)
    if named := path_within(raw):
        raise BadInput(
            f"{path} names the path {reprlib.repr(named)}, which board.json would hand out and others do not have: "
            "give a model as package.module:name, and folders by --corpus."
        )
    return Protocol(content, raw)


def _check(content: Content, path: Path) -> None:
    """What the types do not say."""
    attacks, corpus = content.attacks, content.corpus
    both = set(corpus.victims.speakers) & set(corpus.background.speakers)
    if both and corpus.victims.part == corpus.background.part:
        raise BadInput(f"{path} has the speaker {min(both)} as victim and in the background: leave one out.")
    for what, names in _listed(content).items():
        if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
            raise BadInput(f"{path} names {twice} twice in {what}: leave one out.")
    if content.strength is not None:
        try:
            StrengthConfig(**{**content.strength.model_dump(), "within": tuple(content.strength.within)})
        except BadInput as error:
            raise BadInput(f"{path} asks for a strength that cannot be measured: {error}") from None
    if attacks.fewest > attacks.trials:
        raise BadInput(f"{path} asks for {attacks.fewest} trials at the fewest and {attacks.trials} in all: swap them.")
    for setting, named in (("trials_of", attacks.trials_of), ("where_needed", attacks.where_needed)):
        if unknown := [name for name in named if name not in attacks.names]:
            raise BadInput(f"{path} gives {setting} {unknown[0]}, which is not one of its attacks: name it there.")


def _listed(content: Content) -> dict[str, list[Any]]:
    """What may be named once only."""
    found: dict[str, list[Any]] = {
        "schemes": content.schemes,
        "blocks": content.blocks,
        "corpus.victims.speakers": content.corpus.victims.speakers,
        "corpus.background.speakers": content.corpus.background.speakers,
        "attacks.names": content.attacks.names,
        "attacks.seconds": content.attacks.seconds,
        "attacks.where_needed": content.attacks.where_needed,
    }
    if (reference := content.reference) is not None:
        found |= {f"reference.{name}": getattr(reference, name) for name in ("schemes", "blocks", "seconds")}
    return found
