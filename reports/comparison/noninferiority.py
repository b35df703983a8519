"""Non-inferiority: whether B is at least as good as A, up to a margin, on each of several counts.

Every count is a *gain* of B over A, positive where B is better, with a one-sided 95 % bound on either side and a
p-value for "B is worse". Two decisions rest on it, and each has its own multiplicity:

- *Shown* needs every gain to be shown above −margin, each at 5 %. No correction is needed: if B is worse by the margin
  on one count, that count alone passes in at most 5 % of the cases, and all of them together no more often
  (intersection-union test; Berger 1982, Technometrics 24:295).
- *Worse* needs one gain that is significantly below zero. Many counts give many chances of a false alarm, so the
  p-values are corrected (Holm 1979, Scandinavian Journal of Statistics 6:65): where B is worse on no count, it is
  called worse in at most 5 % of the cases. A gain shown above −margin is never worse: the owner accepts the margin.

Anything else is undecided.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from wrongkey.reports.statistics.multiplicity import holm

LEVEL = 0.05
ROUNDING = 1e-9

Decision = Literal["shown", "worse", "undecided"]


class Gain(NamedTuple):
    """What B gains over A: the estimate, and what is known about the true gain.

    low, high: one-sided 95 % bounds; equal to `value` where nothing was sampled, infinite where nothing is known.
    p_worse: of the hypothesis that B is not worse, 0 to 1.
    """

    value: float
    low: float
    high: float
    p_worse: float

    def shown(self, margin: float) -> bool:
        """Whether the true gain lies above −margin, at 5 %."""
        return self.low >= -margin - ROUNDING


def exact(value: float) -> Gain:
    """A gain without any sampling error."""
    return Gain(value, value, value, 0.0 if value < -ROUNDING else 1.0)


def decide(gains: Sequence[Gain], margins: Sequence[float]) -> tuple[Decision, list[Decision]]:
    """Decide on all counts together, and on each of them."""
    alarms = rejected([gain.p_worse for gain in gains])
    each = [_decision(gain.shown(margin), alarm) for gain, margin, alarm in zip(gains, margins, alarms, strict=True)]
    if "worse" in each:
        return "worse", each
    if not each or "undecided" in each:
        return "undecided", each
    return "shown", each


def _decision(shown: bool, alarm: bool) -> Decision:
    if shown:
        return "shown"
    return "worse" if alarm else "undecided"


def rejected(p_values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which hypotheses are rejected, so that a true one is rejected with probability at most `level` (Holm)."""
    return [bool(p <= level) for p in holm(p_values)]
