"""Chosen plaintext: an authorised device encrypts what the adversary plays to it.

The unit vectors, N impulses one in each place of a block, come back as the rows of the key. Any N rows make an
invertible matrix, so where a key may be one, the sum of all impulses is played too, and must come back as their sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Matrix, Need, Recovery, Setting, Threat
from wrongkey.attacks.solvers.procrustes import DEFAULTS, FitSettings, fit
from wrongkey.errors import BadInput


class ChosenPlaintext(AttackDefaults):
    """N impulses through the encryption, and the nearest key of the scheme to what they return."""

    name = "chosen-plaintext"
    family = 3
    any_key = True
    needs: frozenset[Need] = frozenset({"chosen plaintext"})
    threat = Threat("Holds an authorised device, which encrypts any speech that it is given.", needs)

    def __init__(self, settings: FitSettings = DEFAULTS) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """Every key multiplies blocks, so that the attack always applies."""
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """One impulse for each element of a block, and one block more for invertible keys."""
        return [Case(queries=len(_probes(setting)))]

    def run(self, evidence: Evidence) -> Recovery:
        """Read the key off the encrypted impulses.

        Success is not claimed where the device does not multiply blocks by a matrix of the scheme's group. Raises
        BadInput where there is no device.
        """
        if evidence.encrypt is None:
            raise BadInput("The attack chosen-plaintext needs an authorised device that encrypts, and was given none.")
        probes = _probes(evidence.setting)
        fitted = fit(evidence.setting.scheme, probes, evidence.encrypt(probes), self.settings)
        return Recovery(
            fitted.key,
            success_claimed=fitted.certain,
            objective=fitted.residual,
            queries=len(probes),
            measured={"expected error": fitted.expected_error},
        )


def _probes(setting: Setting) -> Matrix:
    """Blocks `(n, N)` to be encrypted."""
    impulses = np.eye(setting.size)
    return impulses if setting.scheme.orthogonal else np.vstack([impulses, np.ones(setting.size)])
