"""Who attacks, and what they may have (docs/threat-model.md). Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Adversary:
    """A name, and all that they may have: an attack counts for every adversary who has what it needs."""

    name: str
    has: frozenset[str]

    def can(self, needs: Iterable[str]) -> bool:
        """Whether they can run an attack with these needs."""
        return self.has >= set(needs)


_LISTENS = frozenset({"ciphertext", "ciphertext of many", "other speech"})
_PROVIDES = _LISTENS | {"encrypted model", "answers"}
ADVERSARIES = (  # the weakest first
    Adversary("unauthorised user", frozenset({"answers", "other speech"})),
    Adversary("eavesdropper", _LISTENS),
    Adversary("provider", _PROVIDES),
    Adversary("provider of a public model", _PROVIDES | {"public model"}),
    Adversary("someone in the room", _LISTENS | {"known plaintext"}),
    Adversary("borrowed device", _LISTENS | {"known plaintext", "chosen plaintext"}),
    Adversary("insider with names", _LISTENS | {"public model", "plain enrolment", "labelled ciphertext"}),
)


def the(name: str) -> str:
    """An adversary's name with its article, if it takes one.

    Examples
    --------
    >>> the("eavesdropper"), the("someone in the room")
    ('the eavesdropper', 'someone in the room')
    """
    return name if name.startswith("someone") else f"the {name}"
