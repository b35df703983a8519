"""Random keys, scored as every attack is: what an attack must do better than.

A key that is drawn at random is sometimes near the correct one, or decrypts speech well enough: under Flipping of three
samples, with the sign granted, one of four does. An attack is judged against what random keys reach, measured on the
same victims.
"""

from __future__ import annotations

from collections.abc import Sequence

from wrongkey.attacks.base import Case, Evidence, Recovery, Setting, Threat
from wrongkey.keys import draw_keys


class RandomKeys:
    """Draws one key of the scheme a trial, the correct one included."""

    name = "random-keys"
    family = 0
    threat = Threat("Draws a key at random, and asks nothing: what the other attacks are compared with.", frozenset())

    def __init__(self, trials: int) -> None:
        self.trials = trials  # the suite runs so many, whatever the number of an attack's

    def inapplicable(self, setting: Setting) -> str | None:
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        return [Case()]

    def run(self, evidence: Evidence) -> Recovery:
        return Recovery(draw_keys(evidence.setting.scheme, evidence.setting.size, evidence.seed, 0, 1)[0])
