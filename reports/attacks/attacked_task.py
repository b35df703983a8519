"""What the model's error can show about attacks: plain, chance, the finest step, and what incorrect keys give.

All in points of the task's error (EER, WER, CER, or 100 - accuracy, in percent).
"""

from dataclasses import dataclass

import numpy as np

from wrongkey.reports.attacks.decisions import median_interval
from wrongkey.reports.attacks.successes import UNLOCKED, Array, unlocked
from wrongkey.reports.effective_error import effective_error

NEAR_CHANCE = 0.2  # of the way from chance to a perfect model: a plain model within that has nothing to protect
MARGIN = 0.1  # of the way from plain to chance: within it is as good as plain, where that is more than a point


@dataclass(frozen=True, eq=False)
class AttackedTask:
    """The task's error, from the sweep beside the attacks.

    name: as in text, such as "EER".  plain: of the plain model.  chance: of guessing (of a recogniser: 100).
    step: by how much one trial, word or utterance moves it; NaN where that is not known.
    incorrect: `(keys,)`, of incorrect keys.  key_space: how many keys exist, with the correct one; None where they
    are a continuum, or too many to count.  two_sided: an EER, which above 50 % need only be inverted.
    """

    name: str
    plain: float
    chance: float
    step: float
    incorrect: Array
    key_space: int | None = None
    two_sided: bool = False

    @property
    def exhaustive(self) -> bool:
        """Whether every incorrect key was tried."""
        return self.key_space is not None and len(self.incorrect) >= self.key_space - 1

    def effective(self, errors: Array) -> Array:
        """What errors are worth to an adversary: of an EER e, min(e, 100 - e)."""
        return effective_error(errors) if self.two_sided else errors

    @property
    def effective_name(self) -> str:
        """The name for effective errors of the incorrect keys, where some of them were inverted."""
        inverted = self.two_sided and bool((self.incorrect > 50).any())
        return f"effective {self.name}" if inverted else self.name

    @property
    def margin(self) -> float:
        """Points within which an adversary's model, or a median of keys, counts as good as plain."""
        return max(UNLOCKED, MARGIN * (self.chance - self.plain))

    @property
    def half_way(self) -> float:
        """The error half way between plain and chance."""
        return (self.plain + self.chance) / 2

    def doubt(self, limit: float) -> str:
        """Why the error decides nothing at a limit, in points; empty where it does."""
        if not np.isfinite(self.plain):
            return "the plain model was not measured"
        if self.plain >= self.chance * (1 - NEAR_CHANCE):
            return f"the plain model’s {self.name} of {self.plain:.1f} % is near chance: there is nothing to protect"
        if self.step > limit + 1e-9:
            return (
                f"the {self.name} moves in steps of {self.step:.2g} points, more than the limit of {limit:.2g}: "
                "more speech decides"
            )
        return ""

    @property
    def incorrect_median(self) -> tuple[float, float, float]:
        """Median effective error of incorrect keys and its exact 95 % interval; NaN where there are none."""
        if not len(self.incorrect):
            return (float("nan"),) * 3
        errors = self.effective(self.incorrect)
        middle = float(np.median(errors))
        return middle, *((middle, middle) if self.exhaustive else median_interval(errors))

    @property
    def guesses(self) -> tuple[int, int]:
        """How many of the incorrect keys answer as well as plain, and how many were tried."""
        return int(unlocked(self.effective(self.incorrect), self.plain).sum()), len(self.incorrect)
