"""Chosen plaintext: an authorised device encrypts what the adversary plays to it.

The unit vectors, N impulses one in each place of a block, come back as the rows of the key.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wrongkey.attacks.base import Case, Evidence, Need, Recovery, Setting, Threat
from wrongkey.attacks.solvers.procrustes import fit
from wrongkey.errors import BadInput


class ChosenPlaintext:
    """N impulses through the encryption, and the nearest key of the scheme to what they return."""

    name = "chosen-plaintext"
    family = 3
    needs: frozenset[Need] = frozenset({"chosen plaintext"})
    threat = Threat("Holds an authorised device, which encrypts any speech that it is given.", needs)

    def inapplicable(self, setting: Setting) -> str | None:
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        return [Case(queries=setting.size)]

    def run(self, evidence: Evidence) -> Recovery:
        """The key itself; not believed where the device does not multiply blocks by an orthogonal matrix."""
        if evidence.encrypt is None:
            raise BadInput("chosen-plaintext was given nothing that encrypts: it needs an authorised device.")
        impulses = np.eye(evidence.setting.size)
        found = fit(evidence.setting.scheme, impulses, evidence.encrypt(impulses))
        return Recovery(
            found.key,
            success_claimed=found.sure,
            objective=found.residual,
            queries=len(impulses),
            measured={"expected error": found.expected_error},
        )
