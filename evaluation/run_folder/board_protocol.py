"""What the protocol of a board says, in a TOML file or as a board hands it out (docs/board.md). Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from wrongkey.evaluation.run_folder.vocabulary import LARGEST_BLOCK

# What each shipped protocol hashes to. `wrongkey board --protocol FILE --plan` shows the hash of a file.
SHIPPED = {
    "smoke": "46aed7b7ad931f07aae81833584c95f52e0a07024528aec5bfed0801df83e268",
    "speech-v1": "b84bf3b9a81badb397e5ab4079cc6da4841c58c3ab7d6bb02d38fcfc81a42d26",
}

Count = Annotated[int, Field(ge=1)]
ProtocolName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Block = Annotated[int, Field(ge=1, le=LARGEST_BLOCK)]
Seconds = Annotated[FiniteFloat, Field(gt=0, le=1e6)]


class Part(BaseModel):
    """A table of the file: these settings and no others, each of its type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, protected_namespaces=())


class Side(Part):
    """Who speaks. `part`: a folder below the one that ``--corpus`` names; empty for that itself."""

    part: str = ""
    speakers: Annotated[list[str], Field(min_length=1)]


class CorpusOf(Part):
    """The speech: its name, and the speakers who are victims and who are background speakers."""

    name: str
    recordings: Literal["real", "synthetic"] | None = None
    channels: Literal["refuse", "mix"] = "refuse"
    victims: Side
    background: Side


class Scoring(Part):
    """How the use of a model is scored, and how many keys are drawn at random.

    `random_keys` of a sweep, `baseline` of those that are scored as an attack is (as many where None).
    """

    random_keys: Count
    baseline: Count | None = None
    per_speaker: Count
    same_gender: bool = False


class Attacks(Part):
    """Which attacks are run, and how often.

    Attributes
    ----------
    names : list of str
        All attacks that are meant; each runs on every scheme that it applies to.
    seconds : list of float
        Amounts of ciphertext, for the attacks that take one: the most first, and less where more broke something.
    trials, fewest, costly_after : int, int, float
        Trials of each case; only the `fewest` where a trial takes more CPU seconds than `costly_after`.
    budget : float or None
        CPU seconds of an attack in a cell, beyond which no further trials are begun.
    trials_of : dict of str to int
        Attacks with a number of trials of their own.
    where_needed : list of str
        Some of `names`, which are run after the others, and where `settled` says that they are needed.
    """

    names: Annotated[list[str], Field(min_length=1)]
    seconds: Annotated[list[Seconds], Field(min_length=1)]
    trials: Count
    fewest: Count
    costly_after: Seconds
    budget: Seconds | None = None
    trials_of: dict[str, Count] = Field(default_factory=dict)
    where_needed: list[str] = Field(default_factory=list)


class StrengthOf(Part):
    """The settings of `wrongkey strength`."""

    within: Annotated[list[Seconds], Field(min_length=1)]
    population: Count
    share: FiniteFloat
    moves: Count
    repetitions: Count


class LeaksOf(Part):
    """How many utterances the analysis of leaks is of."""

    utterances: Count


class CostOf(Part):
    """How often encryption is timed."""

    repeats: Count


class Reference(Part):
    """The row of a keystream cipher, and as what its output is attacked."""

    cipher: Literal["aes-256-ctr"]
    schemes: Annotated[list[str], Field(min_length=1)]
    blocks: Annotated[list[Block], Field(min_length=1)]
    seconds: Annotated[list[Seconds], Field(min_length=1)]
    trials: Count


class Content(Part):
    """All of a protocol file."""

    name: ProtocolName
    description: str = ""
    seed: Annotated[int, Field(ge=0)]
    schemes: Annotated[list[str], Field(min_length=1)]
    blocks: Annotated[list[Block], Field(min_length=1)]
    models: dict[Annotated[str, Field(pattern=r"^[1-9]\d*$")], str] = {}
    corpus: CorpusOf
    scoring: Scoring
    attacks: Attacks
    strength: StrengthOf | None = None
    leaks: LeaksOf | None = None
    cost: CostOf
    reference: Reference | None = None
