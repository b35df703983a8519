"""What `board.json` holds: one schema for those who write it and those who read it (docs/board.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, ValidationError, model_validator

from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.evaluation.run_folder.board_cell import Cost, Named, Source, Words
from wrongkey.evaluation.run_folder.schema import Count, Positive
from wrongkey.evaluation.run_folder.strength import Strength
from wrongkey.reports.attacks.threats import Word
from wrongkey.reports.content.schema import Column, Part

State = Literal[
    "broken", "weakened", "undecided", "not shown to break", "not run", "does not apply"
]  # of a cell, the worst first
NAMES = [one.name for one in ADVERSARIES]


def _adversary(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"should be one of {', '.join(NAMES)}")
    return name


def _verdict(word: str) -> str:
    if word not in list(Word):
        raise ValueError(f"should be one of {', '.join(Word)}")
    return word


def _strength(content: dict[str, Any]) -> dict[str, Any]:
    try:
        Strength.model_validate(content)
    except ValidationError:
        raise ValueError("should be what strength.json holds") from None
    return content


def _each_adversary(found: list[Any]) -> list[Any]:
    """Cells or columns: one of each adversary, in their order."""
    if [one.name if isinstance(one, Column) else one.adversary for one in found] != NAMES:
        raise ValueError(f"should be of {', '.join(NAMES)}, in this order")
    return found


Amount = Annotated[FiniteFloat, Field(ge=0)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Adversary = Annotated[str, AfterValidator(_adversary)]


class Break(Part):
    """The cheapest case of an attack that gives the state of a cell.

    Attributes
    ----------
    attack, given, asset : str
        The attack, its case in words, and what is lost: "key", "speech", "use" or "identity".
    seconds, known_blocks, queries : float or None
        Seconds of ciphertext, blocks of known plaintext, queries or guesses; None where it uses no such thing.
    cpu_seconds : float or None
        Processor time of a trial, the median.
    successes, trials : int or None
        Trials that succeeded, and that ended; of guessing, the keys near plain, and the keys that were tried.
    share_low, share_high : float or None
        Wilson's 95 % interval of the share, 0 to 1; of guessing Clopper and Pearson's, or the share itself where every
        key was tried. None where the error is too coarse to tell.
    claimed, claimed_wrong : int or None
        Trials in which the attack claimed success, and those of them that had none; None where it makes no claims. An
        attack that claims use is right where the model's error is within a point of that with the correct key.
    """

    attack: Words
    given: Words
    asset: Words
    seconds: Amount | None = None
    known_blocks: Amount | None = None
    queries: Amount | None = None
    cpu_seconds: Amount | None = None
    successes: Count | None = None
    trials: Count | None = None
    share_low: Share | None = None
    share_high: Share | None = None
    claimed: Count | None = None
    claimed_wrong: Count | None = None


class Cell(Part):
    """What one adversary achieves.

    Attributes
    ----------
    words, sentence : str
        As tables have it, never empty, and all of it.
    case : Break or None
        The cheapest case that gives the state.
    also : str
        The quickest case that breaks by something that the cheapest does without, in words; empty if there is none.
    """

    adversary: Adversary
    state: State
    words: Words
    sentence: Words
    case: Break | None = None
    also: str = ""


class Tried(Part):
    """One case of an attack against what it is after.

    Attributes
    ----------
    verdict : str
        As docs/threat-model.md has it.
    failed : int
        Trials that an exception ended, which count for nothing.
    claimed : int or None
        Trials in which the attack claimed success; None where it makes no claims.
    snr, error : float or None
        Medians: of the decrypted speech in dB, and of the task's error in percent.
    """

    attack: Words
    given: Words
    asset: Words
    verdict: Annotated[str, AfterValidator(_verdict)]
    needs: list[str]
    seconds: Amount | None = None
    successes: Count | None = None
    trials: Count
    failed: Count = 0
    share_low: Share | None = None
    share_high: Share | None = None
    claimed: Count | None = None
    claimed_wrong: Count | None = None
    snr: FiniteFloat | None = None
    error: FiniteFloat | None = None
    cpu_seconds: Amount | None = None


class Measured(Part):
    """A number, or why there is none. `words`: as tables have it, never empty."""

    words: Words
    value: FiniteFloat | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None


class BestKey(Part):
    """The best of the keys that were drawn at random, beside the plain model; values in the unit of the metric."""

    words: Words
    metric: str | None = None
    value: FiniteFloat | None = None
    plain: FiniteFloat | None = None
    keys: Count | None = None


def weakest(cells: Sequence[Cell]) -> str | None:
    """The weakest adversary who breaks a scheme; None where none does."""
    return next((cell.adversary for cell in cells if cell.state == "broken"), None)


class Row(Part):
    """A scheme at a block size.

    Attributes
    ----------
    scheme, label : str
        As it was named on the command line, and as people write it.
    source : Source
        The code that was run.
    block : int or None
        M; None of the reference row.
    reference : bool
        Whether it is the keystream cipher, which every attack must fail on.
    model, corpus, recordings : str or None
        What was attacked; "real", "synthetic" or "unknown" recordings.
    speech : dict of str to str
        SHA-256 of the victims' and of the background speech.
    weakest : str or None
        The weakest adversary who breaks it; None where none does.
    leaks : str
        What ciphertext tells without a key, in a sentence, or why that is not known.
    linkability : Measured
        EER in percent of linking ciphertexts of a speaker under one key.
    strength : dict or None
        `strength/strength.json` of the run folder, without its history.
    attacks : list of Tried
        All cases of all attacks.
    obstacles : list of [attack, sentence]
        Attacks that do not apply.
    notes : list of str
        Sentences that a reader must know.
    """

    scheme: Words
    label: Words
    source: Source
    block: Positive | None
    reference: bool = False
    model: str | None = None
    corpus: str | None = None
    recordings: str = "unknown"
    speech: dict[str, str] = Field(default_factory=dict)
    weakest: Adversary | None = None
    nominal_bits: Measured
    effective_bits: Measured
    best_key: BestKey
    cells: Annotated[list[Cell], AfterValidator(_each_adversary)]
    leaks: Words
    linkability: Measured
    cost: Cost | None = None
    cost_words: Words
    strength: Annotated[dict[str, Any], AfterValidator(_strength)] | None = None
    attacks: list[Tried] = Field(default_factory=list)
    obstacles: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    versions: list[dict[str, str]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        """What each field may hold depends on others."""
        if self.reference != (self.block is None):
            raise ValueError("should have a block size if it is not the reference row, and none if it is")
        if self.weakest != (first := weakest(self.cells)):
            raise ValueError(f"should name as the weakest the first whose cell is broken ({first or 'nobody'})")
        return self


class SchemeBoard(Part):
    """`board.json`.

    Attributes
    ----------
    protocol : Named
        Name and hash of the protocol.
    content : dict
        The protocol itself, as its TOML file says it.
    made : str
        The UTC date on which the last cell was made, 2026-11-27; empty where none was.
    order, criteria : str
        How the rows are ordered, and what the states mean.
    columns : list of Column
        The adversaries, the weakest first.
    """

    FORMAT: ClassVar[str] = "wrongkey-board/1"
    REMEDY: ClassVar[str] = "make it again with the same wrongkey board command"

    format: Literal["wrongkey-board/1"] = "wrongkey-board/1"
    wrongkey: str
    protocol: Named
    content: dict[str, Any]
    made: Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
    order: str
    criteria: str
    cautions: list[str]
    columns: Annotated[list[Column], AfterValidator(_each_adversary)]
    rows: list[Row]
