"""The adversaries of attacks on waveforms: with ciphertext alone, and with background speech, perhaps."""

from __future__ import annotations

from wrongkey.attacks.base import Case, Need, Threat

THREAT = Threat(
    "Holds seconds of one victim's encrypted waveforms and, but for the cases without, plain speech of others.",
    frozenset({"ciphertext", "other speech"}),
)
ALONE = Threat("Has nothing but encrypted waveforms of one speaker, all under one key.", frozenset({"ciphertext"}))
BLIND = "no other speech"  # variant of a case
SECONDS, SECONDS_BLIND = (1, 2, 5, 10), (2, 5)  # of ciphertext
NEEDS_BLIND: frozenset[Need] = frozenset({"ciphertext"})


def cases_with_and_without_background() -> list[Case]:
    """Seconds of ciphertext, with background speech and without."""
    return [
        *(Case(seconds=seconds) for seconds in SECONDS),
        *(Case(seconds=seconds, variant=BLIND, needs=NEEDS_BLIND) for seconds in SECONDS_BLIND),
    ]
