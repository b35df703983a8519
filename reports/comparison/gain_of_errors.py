"""The gain under an attack that is not after a key: it returns a model, and what counts is how often that model errs.

Such an attack has one trial or a few, so there is no share of trials to compare, but an error with a bootstrap interval
over speakers. The bounds here are Student's with one degree of freedom less than there are speakers; the standard error
of the difference comes from the widths of both intervals (Zou & Donner 2008, Statistics in Medicine 27:1693), as if the
speakers of the two runs were different. Where they are the same, the errors are correlated, so the true standard error
is smaller.
"""

import math
from dataclasses import dataclass

from scipy import special

from wrongkey.reports.comparison.noninferiority import LEVEL, Gain

QUANTILE = float(special.ndtri(0.975))  # of the 95 % intervals of an attack


@dataclass(frozen=True)
class TaskError:
    """Error in percent of an attack's model, with its 95 % interval over speakers; the higher, the safer.

    low, high: NaN where there is no interval.  speakers: the number of victims, over whom the interval is taken.
    """

    value: float
    low: float
    high: float
    speakers: int

    @property
    def known(self) -> bool:
        """Whether there is an interval with a width: one without would claim a certainty that no sample gives."""
        return self.speakers > 1 and math.isfinite(self.value) and self.high > self.low


def standard_error(half: float, speakers: int) -> float:
    """Standard error from half the width of a 95 % bootstrap interval over S speakers.

    A bootstrap over S speakers is too narrow by √((S − 1) / S), which is corrected.
    """
    return half / QUANTILE * math.sqrt(speakers / (speakers - 1))


def gain_of_errors(b: TaskError, a: TaskError) -> Gain:
    """By how many points B's error is greater than A's; without bounds where either has no interval."""
    value = b.value - a.value
    if not (a.known and b.known):
        return Gain(value, -math.inf, math.inf, 1.0)
    speakers = min(a.speakers, b.speakers)
    unit = standard_error(1.0, speakers)
    down = unit * math.hypot(b.value - b.low, a.high - a.value)
    up = unit * math.hypot(b.high - b.value, a.value - a.low)
    wide = float(special.stdtrit(speakers - 1, 1 - LEVEL))
    p_worse = float(special.stdtr(speakers - 1, value / up)) if up > 0 else 1.0
    return Gain(value, value - wide * down, value + wide * up, p_worse)
