"""Who attacks what: the assets, the adversaries and the words of a verdict (docs/threat-model.md)."""

from collections.abc import Iterable
from enum import StrEnum

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.evaluation.run_folder.vocabulary import NEEDS

ASSETS = {"key": "the key", "speech": "the speech", "use": "the use of the model", "identity": "who speaks"}


class Word(StrEnum):
    """The verdict on an asset and an adversary, the worst first."""

    OPEN = "open without any attack"
    BROKEN = "broken"
    WEAKENED = "weakened"
    UNDECIDED = "undecided"
    NOT_SHOWN = "not shown to break"
    NOT_TRIED = "not tried"
    NOT_APPLICABLE = "does not apply"


SEVERITY = tuple(Word)


def _plain(name: str) -> str:
    return "-".join(name.lower().split())


# The verdicts as `--fail-if` names them, the worst first.
FAIL_IF = {"open" if word is Word.OPEN else _plain(word): word for word in SEVERITY}


RENAMED = {"somebody-in-the-room": "someone in the room"}  # names that `--adversary` still takes


def worst(words: Iterable[Word]) -> Word:
    """The most severe of some words."""
    return min(words, key=SEVERITY.index)


def fail_words(text: str) -> frozenset[Word]:
    """The words of `--fail-if broken,weakened` and all that are worse, where "open" stands for the whole phrase.

    Raises
    ------
    BadInput
        For an unknown word, and where none is named.

    Examples
    --------
    >>> sorted(fail_words("broken"))
    [<Word.BROKEN: 'broken'>, <Word.OPEN: 'open without any attack'>]
    """
    named = [_plain(name) for name in text.split(",") if name.strip()]
    words = FAIL_IF | {_plain(word): word for word in Word}
    for name in named:
        if name not in words:
            raise BadInput(f"--fail-if {name} is not a verdict: {_some_of(FAIL_IF)}.")
    if not named:
        raise BadInput(f"--fail-if names no verdict: {_some_of(FAIL_IF)}.")
    mildest = max(SEVERITY.index(words[name]) for name in named)
    return frozenset(SEVERITY[: mildest + 1])


def adversaries_named(text: str | None) -> frozenset[str]:
    """The adversaries of `--adversary eavesdropper,borrowed-device`; all for None.

    Raises
    ------
    BadInput
        For an unknown adversary, and where none is named.
    """
    known = {_plain(one.name): one.name for one in ADVERSARIES}
    if text is None:
        return frozenset(known.values())
    named = [_plain(name) for name in text.split(",") if name.strip()]
    names = known | RENAMED
    for name in named:
        if name not in names:
            raise BadInput(f"--adversary {name} is unknown: {_some_of(known)}.")
    if not named:
        raise BadInput(f"--adversary names no adversary: {_some_of(known)}.")
    return frozenset(names[name] for name in named)


def _some_of(names: Iterable[str]) -> str:
    return f"name one or more of {', '.join(names)}, separated by commas"


def price(needs: Iterable[str]) -> tuple[int, ...]:
    """What an attack needs as a sort key: the most demanding need first."""
    return tuple(sorted((NEEDS.index(need) if need in NEEDS else len(NEEDS) for need in needs), reverse=True))
