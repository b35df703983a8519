"""The six states of a cell, and the words of verdicts that they stand for."""

from enum import StrEnum

from wrongkey.reports.attacks.threats import Word


class State(StrEnum):
    """What is known about one setting and one adversary, the worst first."""

    BROKEN = "broken"
    WEAKENED = "weakened"
    UNCLEAR = "unclear"
    HELD = "held here"
    NOT_TRIED = "not tried"
    NOT_APPLICABLE = "does not apply"

    @property
    def icon(self) -> str:
        """A sign that tells states apart without colour."""
        return ICONS[self]

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(State).index(self)


ICONS = {
    State.BROKEN: "✕",
    State.WEAKENED: "◐",
    State.UNCLEAR: "?",
    State.HELD: "✓",
    State.NOT_TRIED: "–",
    State.NOT_APPLICABLE: "∅",
}
STATE_OF = {
    Word.OPEN: State.BROKEN,
    Word.BROKEN: State.BROKEN,
    Word.WEAKENED: State.WEAKENED,
    Word.UNDECIDED: State.UNCLEAR,
    Word.NOT_SHOWN: State.HELD,
    Word.NOT_TRIED: State.NOT_TRIED,
    Word.NOT_APPLICABLE: State.NOT_APPLICABLE,
}
TRIED = (State.BROKEN, State.WEAKENED, State.UNCLEAR, State.HELD)
