"""What the model's error can say about attacks: plain, chance, the finest step, and what incorrect keys give.

All in points of the task's error (EER, WER, CER, or 100 - accuracy, in percent).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.decisions import median_interval
from reports.successes import UNLOCKED

NEAR_CHANCE = 0.2  # of the way from chance to a perfect model: a plain model that near has nothing to protect
MARGIN = 0.1  # of the way from plain to chance: as good as plain, where that is more than a point


@dataclass(frozen=True, eq=False)
class AttackedTask:
    """The task's error, of the sweep beside the attacks.

    name: as in text, e.g. "EER".  plain: of the plain model.  chance: of guessing (of a recogniser: 100).
    step: what one trial, word or utterance moves it by; NaN where nobody says.
    incorrect: `(keys,)`, of incorrect keys; all there are where `exhaustive`.
    """

    name: str
    plain: float
    chance: float
    step: float
    incorrect: NDArray[np.float64]
    exhaustive: bool = False

    @property
    def margin(self) -> float:
        """Points within which a model that somebody else made, or a median of keys, counts as good as plain."""
        return max(UNLOCKED, MARGIN * (self.chance - self.plain))

    @property
    def half_way(self) -> float:
        return (self.plain + self.chance) / 2

    def doubt(self, limit: float) -> str:
        """Why the error decides nothing at a limit, in points; empty where it does."""
        if not np.isfinite(self.plain):
            return "the plain model was not measured"
        if self.plain >= self.chance * (1 - NEAR_CHANCE):
            return f"the plain model’s {self.name} of {self.plain:.1f} % is near chance: it has nothing to lose"
        if self.step > limit + 1e-9:
            return (
                f"the {self.name} moves in steps of {self.step:.2g} points, more than the limit of {limit:.2g}: "
                "more speech decides"
            )
        return ""

    @property
    def incorrect_median(self) -> tuple[float, float, float]:
        """Median error of incorrect keys and its exact 95 % interval; NaN where there are none."""
        if not len(self.incorrect):
            return (float("nan"),) * 3
        middle = float(np.median(self.incorrect))
        return middle, *((middle, middle) if self.exhaustive else median_interval(self.incorrect))

    @property
    def guesses(self) -> tuple[int, int]:
        """How many of the incorrect keys answer as well as plain, and how many there are."""
        return int((self.incorrect <= self.plain + UNLOCKED + 1e-9).sum()), len(self.incorrect)
