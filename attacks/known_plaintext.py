"""Known plaintext: the adversary knows some plain blocks of speech beside their ciphertext (attacks.procrustes).

He may have recorded a greeting that everybody says, or be in the room while the victim speaks. ROM needs N independent
blocks, since a key is free on directions that no block has: with one block less, one sign is left to guess. Flipping
and Shuffling need one block whose samples differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from attacks.base import Evidence, Given, Need, Quality, Recovery, Setting, Threat
from attacks.procrustes import fit
from keys.errors import BadInput

QUALITIES: tuple[Quality, ...] = ("clean", "16 bit", "10 dB")


class KnownPlaintext:
    """Orthogonal Procrustes, assignment or sign correlation between plain blocks and their ciphertext."""

    name = "known-plaintext"
    family = 2
    needs: frozenset[Need] = frozenset({"known plaintext"})
    threat = Threat("Knows plain blocks of the victim's speech beside their ciphertext, exactly or in noise.", needs)

    def obstacle(self, setting: Setting) -> str | None:
        return None

    def amounts(self, setting: Setting) -> Sequence[Given]:
        """1, 2, N/2, N - 1, N, 2 N and 16 N blocks of each quality."""
        size = setting.size
        counts = sorted({n for n in (1, 2, size // 2, size - 1, size, 2 * size, 16 * size) if n > 0})
        return [Given(known_blocks=count, quality=quality) for quality in QUALITIES for count in counts]

    def run(self, evidence: Evidence) -> Recovery:
        """The nearest key; believed where the fit says that every part of it is known (attacks.procrustes.Fit)."""
        if evidence.known is None:
            raise BadInput("known-plaintext was given no known blocks: it needs plain blocks and their ciphertext.")
        plain, cipher = evidence.known
        found = fit(evidence.setting.scheme, plain, cipher)
        missing = evidence.setting.size - found.rank
        return Recovery(
            found.key,
            believed=found.sure,
            objective=found.residual,
            measured={"rank": found.rank, "expected error": found.expected_error},
            note="" if found.sure or missing <= 0 else f"{missing} directions of the block are in no known block.",
        )
