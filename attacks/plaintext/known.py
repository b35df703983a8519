"""Known plaintext: the adversary knows some plain blocks of speech beside their ciphertext
(wrongkey.attacks.solvers.procrustes).

He may have recorded a greeting that everybody says, or be in the room while the victim speaks. ROM needs N independent
blocks, since a key is free on directions that no block has: with one block less, one sign is left to guess. Flipping
and Shuffling need one block whose samples differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from wrongkey.attacks.base import Case, Evidence, Need, Quality, Recovery, Setting, Threat
from wrongkey.attacks.solvers.procrustes import fit
from wrongkey.errors import BadInput


class KnownPlaintext:
    """Orthogonal Procrustes, assignment or sign correlation between plain blocks and their ciphertext."""

    name = "known-plaintext"
    family = 2
    needs: frozenset[Need] = frozenset({"known plaintext"})
    threat = Threat("Knows plain blocks of the victim's speech beside their ciphertext, exactly or in noise.", needs)

    def inapplicable(self, setting: Setting) -> str | None:
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """From 1 to 16 N blocks, where an answer changes (benchmarks/known_pairs.py has the whole curves)."""
        counts: dict[Quality, set[int]] = {"clean": {1, setting.size - 1, setting.size}}
        counts |= {"16 bit": {setting.size, 16 * setting.size}, "10 dB": {1, setting.size, 16 * setting.size}}
        return [
            Case(known_blocks=count, quality=quality)
            for quality, several in counts.items()
            for count in sorted(several - {0})
        ]

    def run(self, evidence: Evidence) -> Recovery:
        """The nearest key; believed where the fit says that every part of it is known (`Fit`)."""
        if evidence.known is None:
            raise BadInput("known-plaintext was given no known blocks: it needs plain blocks and their ciphertext.")
        plain, cipher = evidence.known
        found = fit(evidence.setting.scheme, plain, cipher)
        missing = evidence.setting.size - found.rank
        return Recovery(
            found.key,
            success_claimed=found.sure,
            objective=found.residual,
            measured={"rank": found.rank, "expected error": found.expected_error},
            note="" if found.sure or missing <= 0 else f"{missing} directions of the block are in no known block.",
        )
