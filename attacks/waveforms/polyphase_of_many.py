"""The attack `polyphase-of-many`: one key serves all users, so a provider holds hours of ciphertext of many speakers.

It is `polyphase` on more ciphertext: which speaker a segment is of does not matter to it. It is an attack of its own
because its adversary is another one, who needs the ciphertext of many people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wrongkey.attacks.base import Case, Evidence, Recovery, Setting, Threat
from wrongkey.attacks.waveforms.polyphase import Polyphase
from wrongkey.errors import BadInput


class PolyphaseOfMany(Polyphase):
    """`Polyphase` on the ciphertext of many speakers."""

    name = "polyphase-of-many"
    threat = Threat(
        "Holds the encrypted waveforms of many users, all under one key, as a provider does.",
        frozenset({"ciphertext", "ciphertext of many"}),
    )
    most_trials = 10

    def inapplicable(self, setting: Setting) -> str | None:
        """As `Polyphase`, and only large blocks."""
        reason, least = super().inapplicable(setting), self.settings.smallest_of_many
        if reason is None and setting.size < least:
            return f"Blocks of fewer than {least} samples need no more than one speaker's ciphertext: polyphase."
        return reason

    def cases(self, setting: Setting) -> Sequence[Case]:
        """One: all ciphertext of the victim and of the others."""
        return [Case()]

    def run(self, evidence: Evidence) -> Recovery:
        """As `Polyphase` on the ciphertext of all; raises BadInput without that of others."""
        if evidence.enrolled is None or not evidence.enrolled.queries:
            raise BadInput("The attack polyphase-of-many needs the ciphertext of others: attack with polyphase.")
        size, others = evidence.setting.size, evidence.enrolled.queries
        pooled = [*evidence.ciphertext, *(query[: len(query) // size * size] for query in others)]
        return super().run(replace(evidence, ciphertext=tuple(query for query in pooled if len(query))))
