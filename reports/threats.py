"""Who attacks what: the assets, the adversaries and the words of a verdict (docs/threat-model.md)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

# What an adversary needs, from the least to the most: a verdict names the least that breaks.
NEEDS = (
    *("ciphertext", "other speech", "answers", "encrypted model", "public model"),
    *("labelled ciphertext", "known plaintext", "chosen plaintext"),
)
ASSETS = {"key": "the key", "speech": "the speech", "use": "the use of the model", "identity": "who speaks"}


class Word(StrEnum):
    """What is said of an asset and an adversary, the worst first."""

    BROKEN = "broken"
    OPEN = "open without any attack"
    WEAKENED = "weakened"
    UNDECIDED = "undecided"
    NOT_SHOWN = "not shown to break"
    NOT_TRIED = "not tried"
    NOT_APPLICABLE = "does not apply"


SEVERITY = tuple(Word)


@dataclass(frozen=True)
class Adversary:
    """A name, and all that he may have: an attack counts for everybody who has what it needs."""

    name: str
    has: frozenset[str]

    def can(self, needs: Iterable[str]) -> bool:
        return self.has >= set(needs)


_LISTENS = frozenset({"ciphertext", "other speech"})
_PROVIDES = _LISTENS | {"encrypted model", "answers"}
ADVERSARIES = (  # the weakest first
    Adversary("unauthorised user", frozenset({"answers", "other speech"})),
    Adversary("eavesdropper", _LISTENS),
    Adversary("provider", _PROVIDES),
    Adversary("provider of a public model", _PROVIDES | {"public model"}),
    Adversary("somebody in the room", _LISTENS | {"known plaintext"}),
    Adversary("borrowed device", _LISTENS | {"known plaintext", "chosen plaintext"}),
    Adversary("insider with names", _LISTENS | {"public model", "labelled ciphertext"}),
)


def price(needs: Iterable[str]) -> tuple[int, ...]:
    """What an attack needs as a sort key: the most demanding need first."""
    return tuple(sorted((NEEDS.index(need) if need in NEEDS else len(NEEDS) for need in needs), reverse=True))
