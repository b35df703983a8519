"""How the strength of a key is measured: plain numbers, beside the settings of a sweep. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Annotated

from wrongkey.errors import BadInput
from wrongkey.evaluation.settings import Flag, check

LEAST_KEPT = 10  # keys that a level passes on to the next
MOST_SHARE = 0.5


@dataclass(frozen=True)
class StrengthConfig:
    """Settings of `wrongkey strength` beside those that it shares with `wrongkey sweep`.

    Parameters
    ----------
    within : tuple of float
        Points of error above the plain model's, above 0, within which a key unlocks.
    population : int
        Keys of a level.
    share : float
        Share of them that the next level keeps, above 0 and at most 0.5.
    moves : int
        Metropolis moves of every key at a level.
    repetitions : int
        Independent runs, at least 1.

    Raises
    ------
    BadInput
        For a value outside these limits, and for a population of which a level would keep fewer than ten keys.

    Examples
    --------
    >>> StrengthConfig().within
    (1.0, 2.0, 5.0)
    """

    within: Annotated[
        tuple[float, ...], Flag("points of error above plain within which a key unlocks (default 1,2,5)", metavar="X,…")
    ] = (1.0, 2.0, 5.0)
    population: Annotated[int, Flag("keys of a level", metavar="N", least=1)] = 500
    share: Annotated[float, Flag("share of a level's keys that the next one keeps")] = 0.2
    moves: Annotated[int, Flag("Metropolis moves of every key at a level", least=1)] = 5
    repetitions: Annotated[int, Flag("independent runs, which the interval comes from", least=1)] = 3

    def __post_init__(self) -> None:
        check(self)
        if not self.within:
            raise BadInput("--within names no points: give some, such as 1,2,5.")
        if wrong := [points for points in self.within if not (isfinite(points) and points > 0)]:
            raise BadInput(f"--within must be points above 0, not {wrong[0]:g}.")
        if len(set(self.within)) < len(self.within):
            raise BadInput("--within names some points twice: leave one of them out.")
        if not 0 < self.share <= MOST_SHARE:
            raise BadInput(f"--share must be above 0 and at most {MOST_SHARE}, not {self.share:g}.")
        if self.share * self.population < LEAST_KEPT:
            raise BadInput(
                f"--population {self.population} is too small: with --share {self.share:g} a level would pass on fewer "
                f"than {LEAST_KEPT} keys; give at least {round(LEAST_KEPT / self.share)}."
            )
