"""`strength/strength.json`: how strong a key is, as multilevel splitting measured it. Imports no torch.

The folder's manifest is that of a sweep, which gives the plain model and the correct key.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, FiniteFloat, field_validator, model_validator
from pydantic_core import PydanticCustomError

from wrongkey.evaluation.run_folder.schema import Count, Part, Positive, Text, read_json
from wrongkey.evaluation.run_folder.vocabulary import LARGEST_BLOCK

FILE = "strength/strength.json"
Bits = Annotated[FiniteFloat, Field(ge=0, le=1e12)]  # the largest key has fewer
SLACK = 1e-9  # of bounds, for rounding
Share = Annotated[FiniteFloat, Field(ge=0, le=1 + SLACK)]


class Repetition(Part):
    """One independent run of the splitting.

    Attributes
    ----------
    log10_probability : float or None
        Of the probability that a random key comes within x; None where its keys never did.
    levels : int
        Intermediate goals.
    evaluations : int
        Keys that were scored.
    acceptance : list of float
        The share of moves that were accepted, 0 to 1, by level.
    ancestors : int
        Keys of the first population from which the last one descends.
    """

    log10_probability: Annotated[FiniteFloat, Field(le=SLACK)] | None = None
    levels: Count = 0
    evaluations: Count = 0
    acceptance: list[Share] = Field(default_factory=list)
    ancestors: Count = 0


class Estimate(Part):
    """How likely a random key comes within x of the plain score.

    Attributes
    ----------
    within, goal : float
        x, and the score that it means, in the metric's unit.
    bits, bits_low, bits_high : float or None
        Effective strength -log2 P, and its interval from the repetitions; None where none can be given.
    probability, guesses : float or None
        P, and guesses on average.
    why_not : str
        Why no bits are given; "" where they are.
    """

    within: Annotated[FiniteFloat, Field(gt=0)]
    goal: FiniteFloat | None = None
    bits: Bits | None = None
    bits_low: Bits | None = None
    bits_high: Bits | None = None
    probability: Share | None = None
    guesses: Annotated[FiniteFloat, Field(ge=1 - SLACK)] | None = None
    why_not: str = ""
    repetitions: list[Repetition] = Field(default_factory=list)

    @model_validator(mode="after")
    def _in_order(self) -> Estimate:
        given = [value for value in (self.bits_low, self.bits, self.bits_high) if value is not None]
        if any(low > high + SLACK for low, high in pairwise(given)):
            raise PydanticCustomError("order", "should have bits_low <= bits <= bits_high")
        return self


class Settings(Part):
    """How the splitting was asked for."""

    population: Positive | None = None
    share: Share | None = None
    moves: Positive | None = None
    repetitions: Positive | None = None
    within: list[FiniteFloat] = Field(default_factory=list)
    seed: Count | None = None


class Level(Part):
    """One population in numbers (`wrongkey.evaluation.strength.splitting.Level`)."""

    threshold: list[FiniteFloat] | None
    scale: FiniteFloat | None
    acceptance: FiniteFloat | None
    moves: Count
    moved: FiniteFloat | None
    repeats: Count
    evaluations: Count
    share: FiniteFloat
    following: list[FiniteFloat] | None
    following_scale: FiniteFloat
    following_moves: Count
    ancestors: Count
    hits: list[Count]
    hit_ancestors: list[Count]
    families: list[FiniteFloat]
    best: list[FiniteFloat]
    distance: FiniteFloat


class Strength(Part):
    """`strength/strength.json`.

    Attributes
    ----------
    block_size, dims, size : int
        M, 1 or 2, and N.
    metric, plain : str, float
        The score that keys are driven towards the plain model's.
    nominal_bits : float or None
        log2 of the number of keys, of a continuum at `tolerance` (relative key error); None where it cannot be counted.
    estimates : list of Estimate
        One for each x.
    evaluations : int
        Keys that were scored, over all repetitions.
    best, best_distance : float or None
        The best score of a key that was found, and that key's relative error.
    cpu_seconds : float or None
        Processor time.
    state : "complete" or "running"
        Whether the measurement has ended.
    counted : bool
        Whether every key of a small space was tried, instead of splitting.
    history : list of list of Level
        The levels of every repetition, from which it continues.
    """

    FORMAT: ClassVar[str] = "wrongkey-strength/1"
    REMEDY: ClassVar[str] = "delete it: the same wrongkey strength command makes it again"

    task: str
    model: str
    corpus: str
    recordings: Text = None
    scheme: str
    block_size: Annotated[int, Field(ge=1, le=LARGEST_BLOCK)]
    blocks: str
    dims: Annotated[int, Field(ge=1, le=2)] = 1
    size: Positive | None = None
    variant: str = "both"
    metric: str
    plain: FiniteFloat
    settings: Settings = Settings()
    nominal_bits: Bits | None = None
    tolerance: Annotated[FiniteFloat, Field(gt=0)] | None = None
    estimates: list[Estimate] = Field(default_factory=list)
    evaluations: Count = 0
    best: FiniteFloat | None = None
    best_distance: Annotated[FiniteFloat, Field(ge=0)] | None = None
    cpu_seconds: Annotated[FiniteFloat, Field(ge=0)] | None = None
    state: Literal["complete", "running"] = "complete"
    counted: bool = False
    history: list[list[Level]] = Field(default_factory=list)

    @field_validator("estimates")
    @classmethod
    def _each_distance_once(cls, estimates: list[Estimate]) -> list[Estimate]:
        if len({one.within for one in estimates}) < len(estimates):
            raise PydanticCustomError("twice", "should have each distance once")
        return sorted(estimates, key=lambda one: one.within)


def read_strength(folder: Path) -> Strength | None:
    """The strength that a run folder keeps; None where it keeps none.

    Raises
    ------
    BadInput
        As `wrongkey.evaluation.run_folder.schema.read_json`.
    """
    content = strength_content(folder)
    return None if content is None else Strength.model_validate(content)


def strength_content(folder: Path) -> dict[str, Any] | None:
    """The same as the file holds it, checked."""
    path = folder / FILE
    return read_json(path, cast(Any, Strength)) if os.path.lexists(path) else None
