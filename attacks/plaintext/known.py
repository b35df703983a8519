"""Known plaintext: the adversary knows some plain blocks of speech beside their ciphertext.

They may have recorded a greeting that all users say, or be in the room while the victim speaks. The key is the nearest
one of the scheme (`wrongkey.attacks.solvers.procrustes`). ROM needs N independent blocks, since a key is free on
directions that no block has: with one block less, one sign is left to guess. Flipping and Shuffling need one block
whose samples differ, and so does a finite scheme of a user's own. An invertible key takes N blocks as well, and one
more to know that it is right.
"""

from __future__ import annotations

from collections.abc import Sequence

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Need, Quality, Recovery, Setting, Threat
from wrongkey.attacks.solvers.procrustes import DEFAULTS, FitSettings, fit
from wrongkey.errors import BadInput

BLOCKS_PER_ELEMENT = 16  # known blocks for each of the N elements of a block, in the longest cases


class KnownPlaintext(AttackDefaults):
    """Procrustes, least squares, assignment, sign correlation or a list of keys, between plain and encrypted blocks."""

    name = "known-plaintext"
    family = 2
    any_key = True
    needs: frozenset[Need] = frozenset({"known plaintext"})
    threat = Threat("Knows plain blocks of the victim's speech beside their ciphertext, exactly or in noise.", needs)

    def __init__(self, settings: FitSettings = DEFAULTS) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """Every key multiplies blocks, so that the attack always applies."""
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """From one block to many, where an answer changes (benchmarks/known_pairs.py has the whole curves)."""
        size, most = setting.size, BLOCKS_PER_ELEMENT * setting.size
        counts: dict[Quality, set[int]] = {
            "clean": {1, size - 1, size} | (set() if setting.scheme.orthogonal else {size + 1}),
            "16 bit": {size, most},
            "10 dB": {1, size, most},
        }
        return [
            Case(known_blocks=count, quality=quality)
            for quality, several in counts.items()
            for count in sorted(several - {0})
        ]

    def run(self, evidence: Evidence) -> Recovery:
        """Fit the nearest key; success is claimed where the fit says that every part of it is known (`Fit`).

        Raises BadInput where no blocks are known.
        """
        if evidence.known is None:
            raise BadInput("The attack known-plaintext needs plain blocks and their ciphertext, and was given none.")
        plain, cipher = evidence.known
        fitted = fit(evidence.setting.scheme, plain, cipher, self.settings)
        size = evidence.setting.size
        missing, note = size - fitted.rank, ""
        if not fitted.certain and missing > 0:
            note = f"{missing} directions of the block are in no known block."
        elif not fitted.certain and len(plain) <= size and not evidence.setting.scheme.orthogonal:
            note = f"{len(plain)} blocks fit an invertible key whatever they are: one more would confirm it."
        return Recovery(
            fitted.key,
            success_claimed=fitted.certain,
            objective=fitted.residual,
            measured={"rank": fitted.rank, "expected error": fitted.expected_error},
            note=note,
        )
