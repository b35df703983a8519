"""What the cells of a board leave beside their run folders: a file a cell, and one of the reference row.

A cell is a scheme at a block size. Its folder is a run folder as any other; `cell.json` says under which protocol and
with which code it was made, which parts were run, and what encryption costs. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, FiniteFloat, ValidationError

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.board_protocol import SHIPPED, Content, ProtocolName
from wrongkey.evaluation.run_folder.schema import Count, Part, Positive, Text, first_fault

PROTOCOL = "protocol.json"
State = Literal["done", "not run", "does not apply"]


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Made = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T")] | None  # when, in UTC
Words = Annotated[str, Field(pattern=r"\S")]  # never empty


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 (hexadecimal) of the content of a protocol: of its JSON, with sorted names and without spaces.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def check_protocol(path: Path, named: Mapping[str, str], content: Mapping[str, Any]) -> None:
    """Check that the content of a protocol is one, and has the name and the hash that stand beside it.

    Raises
    ------
    BadInput
        Where it is not, and for an edited protocol under the name of one that wrongkey ships.
    """
    name = named["name"]
    if digest(content) != named["hash"]:
        raise BadInput(f"{path} holds a protocol {name} whose content has another hash: it was edited.")
    if content.get("name") != name:
        raise BadInput(
            f"{path} holds a protocol {name} whose content is named {reprlib.repr(content.get('name'))}: it was edited."
        )
    if named["hash"] != SHIPPED.get(name, named["hash"]):
        raise BadInput(
            f"{path} holds a protocol {name} that is not the one of this name that wrongkey ships: run the board again "
            "under a name of its own."
        )
    try:
        Content.model_validate(content)
    except ValidationError as error:
        raise BadInput(
            f"{path} holds a protocol {name} that is none ({first_fault(error)}): run the board again under one that "
            "this wrongkey reads."
        ) from None


def check_same(path: Path, of: Mapping[str, str], protocol: Mapping[str, str]) -> None:
    """Check that what was made under one protocol belongs to a board of another.

    Raises
    ------
    BadInput
        Where the protocols differ.
    """
    if of["hash"] != protocol["hash"]:
        raise BadInput(
            f"{path} was made under the protocol {of['name']} ({of['hash'][:12]}), and this board is of "
            f"{protocol['name']} ({protocol['hash'][:12]}): delete that file and, if there is one, the folder of its "
            "name in runs, or choose another --out."
        )


class Named(Part):
    """A protocol by its name and the SHA-256 of its content."""

    name: ProtocolName
    hash: Sha256


class Claimed(Part):
    """`protocol.json`: which board a folder holds. `content`: the protocol file as TOML gives it."""

    FORMAT: ClassVar[str] = "wrongkey-board-protocol/1"
    REMEDY: ClassVar[str] = "run the board again into another folder with --out"

    name: ProtocolName
    hash: Sha256
    content: dict[str, Any]


class Source(Part):
    """The code of a scheme: the SHA-256 of its files, and their names."""

    hash: Sha256
    files: list[str]


class Step(Part):
    """A part of a cell. `why`: the reason where it is not done, as a sentence."""

    state: State = "not run"
    why: str = ""


class Cost(Part):
    """What encryption costs: processor seconds, medians.

    Attributes
    ----------
    owner_seconds : float or None
        Of encrypting the model once; None without a model.
    user_seconds : float
        Of encrypting a second of speech.
    data_factor : float
        Samples that are sent for each sample of speech.
    """

    owner_seconds: Annotated[FiniteFloat, Field(ge=0)] | None = None
    user_seconds: Annotated[FiniteFloat, Field(ge=0)]
    data_factor: Annotated[FiniteFloat, Field(gt=0)] = 1.0


class Cell(Part):
    """`cell.json`.

    Attributes
    ----------
    model, why_no_model : str or None, str
        The model that carries the key, or why there is none, as a sentence.
    nominal_bits, tolerance : float or None
        log2 of the number of keys, of a continuum at this relative key error; None where it cannot be counted.
    shortened : dict of str to str
        Attacks with fewer trials than the protocol asks for, and why, as a sentence.
    left_out : list of str
        Attacks that were not needed, since others break the scheme for everybody who could run them.
    """

    FORMAT: ClassVar[str] = "wrongkey-board-cell/1"
    REMEDY: ClassVar[str] = (
        "delete that file and the folder of its name in runs: the same wrongkey board command makes them again"
    )

    protocol: Named
    scheme: Words
    source: Source
    block: Positive
    model: Text = None
    why_no_model: str = ""
    nominal_bits: FiniteFloat | None = None
    tolerance: FiniteFloat | None = None
    parts: dict[str, Step] = Field(default_factory=dict)
    cost: Cost | None = None
    shortened: dict[str, str] = Field(default_factory=dict)
    left_out: list[str] = Field(default_factory=list)
    versions: list[dict[str, str]] = Field(default_factory=list)
    made: Made = None


class KeystreamTrial(Part):
    """An attack on the output of a keystream cipher, taken for a scheme's at a block size.

    Attributes
    ----------
    claimed : bool or None
        Whether the attack claims success; None where it cannot tell.
    snr : float or None
        Of what it decrypts, in dB; None where it returns no key.
    stoi : float or None
        Of the same, 0 to 1; None where it is too short as well, and in rows of an older wrongkey.
    failed : str
        The exception that ended it; empty where none did.
    """

    attack: Words
    scheme: Words
    block: Positive
    seconds: FiniteFloat
    trial: Count
    claimed: bool | None = None
    snr: FiniteFloat | None = None
    stoi: FiniteFloat | None = None
    cpu_seconds: FiniteFloat
    failed: str = ""


class Keystream(Part):
    """`keystream.json`: the reference row.

    Attributes
    ----------
    needs : dict of str to list of str
        What each attack needs, by name.
    complete : bool
        Whether every trial was tried.
    why : str
        The reason where it is not, as a sentence; empty where it was stopped.
    """

    FORMAT: ClassVar[str] = "wrongkey-board-keystream/1"
    REMEDY: ClassVar[str] = "delete that file: the same wrongkey board command makes it again"

    protocol: Named
    cipher: Words
    source: Source
    recordings: Text = None
    needs: dict[str, list[str]] = Field(default_factory=dict)
    trials: list[KeystreamTrial] = Field(default_factory=list)
    cost: Cost | None = None
    complete: bool = False
    why: str = ""
    versions: list[dict[str, str]] = Field(default_factory=list)
    made: Made = None
