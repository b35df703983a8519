"""Random keys, scored as every attack is: what an attack must do better than.

A random key is sometimes near the correct one, or decrypts speech well enough: under Flipping of three samples, with
the sign granted, one in four does. An attack is judged against what random keys reach on the same victims.
"""

from __future__ import annotations

from collections.abc import Sequence

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Recovery, Setting, Threat
from wrongkey.keys import draw_keys


class RandomKeys(AttackDefaults):
    """Draws one key of the scheme per trial; it may be the correct one.

    Parameters
    ----------
    trials : int
        How many keys are scored, whatever the number of trials of an attack.
    """

    name = "random-keys"
    family = 0
    threat = Threat("Draws a key at random, and asks nothing: what the other attacks are compared with.", frozenset())

    def __init__(self, trials: int) -> None:
        self.trials = trials

    any_key = True

    def inapplicable(self, setting: Setting) -> str | None:
        """None: keys can always be drawn."""
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """One case, without any evidence."""
        return [Case()]

    def run(self, evidence: Evidence) -> Recovery:
        """One key from the seed of the trial."""
        return Recovery(draw_keys(evidence.setting.scheme, evidence.setting.size, evidence.seed, 0, 1)[0])
