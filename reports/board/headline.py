"""The board in a sentence: the weakest adversary who breaks every row, some or none, and at what price."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.evaluation.run_folder.vocabulary import NEEDS
from wrongkey.printable import listed
from wrongkey.reports.attacks.rows import Outcome
from wrongkey.reports.board.cells import Cell
from wrongkey.reports.board.joining import Place
from wrongkey.reports.board.states import TRIED, State
from wrongkey.reports.board.words import joined
from wrongkey.reports.statistics.key_statistics import count_words

WHO = {
    "unauthorised user": "an unauthorised user",
    "eavesdropper": "an eavesdropper",
    "provider": "the provider",
    "provider of a public model": "the provider of a public model",
    "someone in the room": "someone in the room",
    "borrowed device": "someone with a borrowed device",
    "insider with names": "an insider with names",
}
DOES = {
    "ciphertext of many": "records many people’s encrypted speech",
    "other speech": "has plain speech of other people",
    "answers": "may ask the encrypted model",
    "encrypted model": "holds the encrypted model",
    "public model": "has the plain model",
    "plain enrolment": "has plain speech of the victims",
    "labelled ciphertext": "has encrypted speech with its speakers’ names",
    "known plaintext": "knows some of the plain speech",
    "chosen plaintext": "can have any speech encrypted",
}
GETS = {
    "speech": "gets the speech back",
    "key": "finds the key",
    "use": "uses the model as if they had the key",
    "identity": "learns who speaks",
}
NO_PROOF = "That nothing was broken by what was tried is no proof of safety."

Judged = Sequence[tuple[Place, Sequence[Cell]]]


@dataclass(frozen=True)
class Headline:
    """The verdict ("no" where some row is broken, "partly" where one is weakened), the bold answer, and the rest."""

    verdict: str
    answer: str
    rest: str


def headline(rows: Judged) -> Headline:
    """Sum the rows up: each a place with its cells, in the order of the adversaries."""
    if not rows:
        return Headline("unclear", "Unclear:", "there is no sweep of a model with a key, and no attack.")
    broken = [place for place, cells in rows if any(cell.broken for cell in cells)]
    if broken:
        led = _by_an_attack(rows) or _by_guessing_alone(rows)
        return Headline("no", led[0], " ".join(filter(None, (*led[1:], *_others(rows, broken)))))
    worst = [min((cell.state for cell in cells), key=lambda state: state.rank) for _, cells in rows]
    if State.WEAKENED in worst:
        places = [place for (place, _), state in zip(rows, worst, strict=True) if state is State.WEAKENED]
        cell = next(cell for name in WHO for cell in _column(rows, name) if cell.state is State.WEAKENED)
        rest = f"the weakest adversary who gains something is {WHO[cell.adversary]} ({cell.price}). {NO_PROOF}"
        return Headline("partly", f"Weakened {where(places)}:", rest)
    if all(state is State.HELD for state in worst):
        places = [place for place, _ in rows]
        return Headline("yes", f"Not shown to break {where(places)}:", f"no adversary who was tried did. {NO_PROOF}")
    if not any(cell.state in TRIED for _, cells in rows for cell in cells):
        return Headline("unclear", "Unclear:", "nothing was tried.")
    return Headline("unclear", "Unclear:", f"what was tried does not decide; the cells say what would. {NO_PROOF}")


def where(places: Iterable[Place]) -> str:
    """Schemes and block sizes in words: "at M = 10, for ROM and Flipping alike", "for ROM at M = 3 and 5"."""
    sizes = _sizes(places)
    if len(sizes) > 1 and len({tuple(own) for own in sizes.values()}) == 1:
        return f"at M = {listed(next(iter(sizes.values())))}, for {listed(list(sizes))} alike"
    return joined([f"for {scheme} at M = {listed(own)}" for scheme, own in sizes.items()])


def _sizes(places: Iterable[Place]) -> dict[str, list[str]]:
    """Block sizes of each scheme, in the order of the board."""
    found: dict[str, list[str]] = {}
    for place in places:
        own = found.setdefault(place.scheme_name, [])
        if place.size not in own:
            own.append(place.size)
    return found


def _column(rows: Judged, adversary: str) -> list[Cell]:
    return [cell for _, cells in rows for cell in cells if cell.adversary == adversary]


def _select(rows: Judged, adversary: str, wanted: Callable[[Cell], bool]) -> list[tuple[Place, Cell]]:
    """The rows whose cell of this adversary is wanted."""
    return [(place, cell) for place, cells in rows for cell in cells if cell.adversary == adversary and wanted(cell)]


def _by_an_attack(rows: Judged) -> tuple[str, ...] | None:
    """The weakest adversary who breaks something by an attack; then what is broken by guessing; None without an attack.

    Said of several rows, it is what breaks each of them: all that their cases need, the most speech and the most time.
    """
    for adversary in ADVERSARIES:
        found = _select(rows, adversary.name, lambda cell: cell.broken and bool(cell.found and cell.found.case))
        if not found:
            continue
        cells = [cell for _, cell in found]
        cases = [cell.found.case for cell in cells if cell.found and cell.found.case]
        outcomes = [case.outcome for case in cases]
        assets = {case.asset for case in cases}
        gets = GETS[assets.pop()] if len(assets) == 1 else "breaks each of them"
        needs = frozenset(need for outcome in outcomes for need in outcome.needs)
        if gets == GETS["speech"] and "ciphertext" in needs:
            gets = "gets it back"
        lead = f"{WHO[adversary.name]} who {_does(needs, outcomes)} {gets}{_within(outcomes)}."
        answer = f"No {where(place for place, _ in found)}:"
        return answer, lead, _how_many(len(found), len(rows)), _guessing(rows)
    return None


def _does(needs: frozenset[str], outcomes: Sequence[Outcome]) -> str:
    """What an adversary with these needs does, in order: "records 5 s of one speaker’s encrypted speech, and …"."""
    clauses = [_recorded(outcomes) if need == "ciphertext" else DOES[need] for need in NEEDS if need in needs]
    if needs == {"ciphertext"}:
        return f"{clauses[0]}, and knows nothing else,"
    return joined(clauses) + ("," if len(clauses) > 1 else "")


def _recorded(outcomes: Sequence[Outcome]) -> str:
    seconds = max(outcome.quantities[0] for outcome in outcomes)
    much = "" if seconds == 0 else "all of " if np.isinf(seconds) else f"{seconds:g} s of "
    return f"records {much}one speaker’s encrypted speech"


def _within(outcomes: Sequence[Outcome]) -> str:
    seconds = max(outcome.median("seconds") for outcome in outcomes)
    if not np.isfinite(seconds):
        return ""
    number = float(f"{seconds:.2g}") if seconds >= 0.01 else 0.01
    return f" in about {number:g} CPU second{'' if number == 1 else 's'}"


def _how_many(broken: int, rows: int) -> str:
    if rows == 1:
        return ""
    return "That breaks every row." if broken == rows else f"That breaks {broken} of {rows} rows."


def _guessing(rows: Judged) -> str:
    """What is broken by guesses, each with their number."""
    found = _cheap(rows)
    if not found:
        return ""
    parts = [f"{scheme} at M = {listed(list(own))} ({_numbers(own)})" for scheme, own in found.items()]
    return f"Guessing is cheap against {listed(parts)}."


def _by_guessing_alone(rows: Judged) -> tuple[str, ...]:
    """What is broken by guesses, where no attack breaks anything."""
    found = _cheap(rows)
    broken = [place for place, cells in rows if any(cell.broken for cell in cells)]
    answer = f"No {where(broken)}:"
    numbers = {scheme: _numbers(own) for scheme, own in found.items()}
    said = next(iter(numbers.values())) if len(numbers) == 1 else ", ".join(f"{k}: {v}" for k, v in numbers.items())
    lead = "an unauthorised user who may ask the encrypted model guesses a key that works as well as the correct one"
    return answer, f"{lead} ({said}).", _how_many(len(broken), len(rows))


def _cheap(rows: Judged) -> dict[str, dict[str, float]]:
    """Guesses that break, by scheme and block size: the fewest of several rows; 1 where a typical wrong key does."""
    found: dict[str, dict[str, float]] = {}
    for place, cells in rows:
        for cell in cells:
            if cell.broken and cell.found and not cell.found.case:
                own = found.setdefault(place.scheme_name, {})
                guesses = cell.found.guess.guesses if cell.found.guess else 1.0
                own[place.size] = min(guesses, own.get(place.size, guesses))
    return found


def _numbers(guesses: dict[str, float]) -> str:
    """Such as "about 18 and 53 guesses", "any key works"."""
    words = [count_words(round(number, 1)) for number in guesses.values()]
    if all(number == 1 for number in guesses.values()):
        return "a typical wrong key works"
    return f"about {listed(words)} guesses"


def _others(rows: Judged, broken: Sequence[Place]) -> Iterable[str]:
    """The rows that nobody broke, of schemes and block sizes that are not broken in another row."""
    fallen = {(place.scheme_name, place.size) for place in broken}
    names = {
        State.WEAKENED: "Weakened",
        State.UNCLEAR: "Unclear",
        State.HELD: "Held here, which is no proof of safety",
        State.NOT_TRIED: "Not tried",
    }
    for state, name in names.items():
        places = [
            place
            for place, cells in rows
            if (place.scheme_name, place.size) not in fallen
            and min((cell.state for cell in cells), key=lambda one: one.rank) is state
        ]
        if places:
            parts = [f"{scheme} at M = {listed(own)}" for scheme, own in _sizes(places).items()]
            yield f"{name}: {joined(parts)}."
