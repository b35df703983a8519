"""One row of the board against one adversary: the worst that is known, and the cheapest case that shows it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wrongkey.evaluation.run_folder.adversaries import Adversary
from wrongkey.evaluation.run_folder.vocabulary import OF_A_MODEL
from wrongkey.printable import listed, printable
from wrongkey.reports.attacks.cases import Judged, model_error
from wrongkey.reports.attacks.decisions import ENOUGH_TRIALS
from wrongkey.reports.attacks.guessing import GUESSING_NEEDS, guessed
from wrongkey.reports.attacks.rows import GUESSING, AttackRun, Outcome
from wrongkey.reports.attacks.threats import ASSETS, Word, price
from wrongkey.reports.attacks.verdicts import Cell as Found
from wrongkey.reports.attacks.verdicts import unfinished
from wrongkey.reports.attacks.without_attack import open_model, percent
from wrongkey.reports.board.applies import may_apply
from wrongkey.reports.board.commands import command_for
from wrongkey.reports.board.joining import Evidence
from wrongkey.reports.board.leaks import leak_sentence
from wrongkey.reports.board.states import STATE_OF, TRIED, State
from wrongkey.reports.board.words import cpu
from wrongkey.reports.rounding import decibels

OF_GUESSERS = GUESSING_NEEDS | {"other speech"}
ASSET_ORDER = ("speech", "key", "use", "identity")
NO_MODEL = "Speech alone was attacked: there is no model whose answers this adversary could use."
FEW_REASONS = 3  # that a cell has in full
NO_ATTACK = "No attack is known that needs no more than this adversary has."
ANY_KEY = "a typical wrong key"
EAVESDROPPER = "eavesdropper"


@dataclass(frozen=True)
class Cell:
    """What is known about one row and one adversary.

    Attributes
    ----------
    adversary : str
        The column.
    state : State
        The worst over the assets.
    icon : str
        Of the state.
    price : str
        Of the cheapest case, such as "5 s of speech · 1.5 s CPU" or "about 18 guesses"; "" if nothing was achieved.
    sure : str
        Trials, interval and SNR, or keys and interval; "" if nothing was tried.
    sentence : str
        All of it in whole sentences.
    command : str or None
        What tries it, for "not tried".
    also : str
        The quickest case that needs more than the cheapest one and breaks as well; "" if there is none.
    like : str
        The first adversary whose cell rests on the same case; "" if this one is the first.
    caution : str
        What a reader must know beside it; "" if nothing.
    found : Found or None
        The verdict that the cell rests on.
    """

    adversary: str
    state: State
    price: str = ""
    sure: str = ""
    sentence: str = ""
    also: str = ""
    like: str = ""
    command: str | None = None
    caution: str = ""
    found: Found | None = None

    @property
    def icon(self) -> str:
        """A sign for the state."""
        return self.state.icon

    @property
    def broken(self) -> bool:
        """Whether the adversary gets what they want."""
        return self.state is State.BROKEN

    @property
    def case(self) -> Judged | None:
        """The case of an attack that the state rests on; None of guesses, and where nothing was tried."""
        return self.found.case if self.found and self.state in TRIED else None

    def rests_with(self, other: "Cell") -> bool:
        """Whether both rest on the same rows of the same attack."""
        return bool(self.case and other.case and self.case.outcome is other.case.outcome)

    def to_dict(self) -> dict[str, Any]:
        """The cell as JSON holds it."""
        names = ("adversary", "icon", "price", "sure", "also", "like", "sentence", "command", "caution")
        return {"state": self.state.value, **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True)
class Candidate:
    """A verdict on one asset, from one run; `run` is None where it is from a sweep alone."""

    found: Found
    run: AttackRun | None = None

    @property
    def state(self) -> State:
        """The state that the word stands for."""
        return STATE_OF[self.found.word]

    @property
    def cost(self) -> tuple[Any, ...]:
        """Sort key: what needs no attack first, then what needs least, is smallest, and takes the least time."""
        found = self.found
        asset = ASSET_ORDER.index(found.asset)
        if found.word is Word.OPEN:
            return (0, (), False, (), 0.0, asset)
        if found.guess:
            return (1, price(GUESSING_NEEDS), False, (0.0, 0.0, found.guess.guesses), 0.0, asset)
        if found.case:
            outcome = found.case.outcome
            seconds = outcome.median("seconds")
            seconds = seconds if np.isfinite(seconds) else math.inf
            return (1, price(outcome.needs), bool(outcome.kind[1]), outcome.quantities, seconds, asset)
        return (2, (), False, (), 0.0, asset)


def cell_of(row: Evidence, adversary: Adversary) -> Cell:
    """The cell of a row and an adversary. What ciphertext tells without any key is said of the eavesdropper."""
    cell = _judged(row, adversary)
    if adversary.name != EAVESDROPPER:
        return cell
    place = row.place
    told = leak_sentence(row.analyses, place.scheme, place.block_size, place.blocks)
    return replace(cell, sentence=f"{cell.sentence} {told}".rstrip())


def _judged(row: Evidence, adversary: Adversary) -> Cell:
    found = list(candidates(row, adversary))
    tried = [one for one in found if one.state in TRIED]
    left = untried(row, adversary)
    if not tried:
        return _without_evidence(row, adversary, found, left)
    state = min((one.state for one in tried), key=lambda state: state.rank)
    worst = [one for one in tried if one.state is state]
    best = min(worst, key=lambda one: one.cost)
    if state in (State.HELD, State.UNCLEAR) and not any(one.found.case for one in tried):
        more = [name for name in left if not row.known.get(name, frozenset()) <= OF_GUESSERS]
        if more or (not row.known and adversary.has - OF_GUESSERS):  # guesses in vain say nothing about attacks
            return _not_tried(row, adversary, left, _sentence([best], state))
    cell = Cell(adversary.name, state, sentence=_sentence(worst, state, best), found=best.found)
    cautions = [_few(best.found.case), unfinished(best.run).strip() if best.run else ""]
    if state is not State.BROKEN and left:
        cautions.append(f"Not tried: {', '.join(left)}.")
    also = _also(row, adversary, best)
    return replace(cell, price=_price(best), sure=_sure(best), also=also, caution=" ".join(filter(None, cautions)))


def candidates(row: Evidence, adversary: Adversary) -> Iterator[Candidate]:
    """The verdicts of all runs of a row on an adversary, each on one asset.

    What keys do that nobody had to find counts for those who get answers of the model, by the sweep that decides.
    """
    answered = adversary.can(GUESSING_NEEDS)
    for run, judged in zip(row.attacks, row.verdicts, strict=True):
        for found in judged.cells:
            of_keys = found.asset == "use" and found.case is None and STATE_OF[found.word] in TRIED
            if found.adversary != adversary.name or (of_keys and not (answered and row.decides(run))):
                continue
            if _of_the_row(row, run) or STATE_OF[found.word] in TRIED:
                yield Candidate(found, run)
    if not answered:
        return
    for task in row.tasks:
        if free := open_model(task):
            yield Candidate(Found("use", adversary.name, *free))
        if guess := guessed(task):
            yield Candidate(Found("use", adversary.name, guess.word, guess.sentence, guess=guess))


def untried(row: Evidence, adversary: Adversary) -> list[str]:
    """Attacks that this adversary could run on the row, and that no run of it tried or found inapplicable."""
    done = {GUESSING}
    for run in row.attacks:
        done |= {str(name) for name in run.rows["attack"]} | run.null_names
        done |= set(run.obstacles) if _of_the_row(row, run) else set()
    return [
        name
        for name, needs in row.known.items()
        if name not in done and _can(row, adversary, needs) and may_apply(name, row.place)
    ]


def _of_the_row(row: Evidence, run: AttackRun) -> bool:
    """Whether a run attacked the row's model; what is missing where speech alone was attacked says nothing about it."""
    return run in row.attacks_on_it


def _can(row: Evidence, adversary: Adversary, needs: Iterable[str]) -> bool:
    return adversary.can(needs) and bool(row.place.model or not OF_A_MODEL & set(needs))


def _without_evidence(row: Evidence, adversary: Adversary, found: Sequence[Candidate], left: Sequence[str]) -> Cell:
    """The cell where nothing was tried: because nobody did, or because nothing applies."""
    if not row.place.model and not adversary.has - OF_A_MODEL - OF_GUESSERS:
        return Cell(adversary.name, State.NOT_APPLICABLE, sentence=NO_MODEL)
    if left or not row.known:
        return _not_tried(row, adversary, left)
    reasons = dict.fromkeys(one.found.sentence for one in found if one.state is State.NOT_APPLICABLE)
    sentence = _obstacles(row, adversary) or " ".join(reasons) or NO_ATTACK
    return Cell(adversary.name, State.NOT_APPLICABLE, sentence=sentence)


def _obstacles(row: Evidence, adversary: Adversary) -> str:
    """Why none of the attacks applies that this adversary could run: the reasons of a few, or the names of many."""
    reasons = {
        name: why
        for run in row.attacks
        for name, why in run.obstacles.items()
        if name in row.known and _can(row, adversary, row.known[name])
    }
    if len(reasons) <= FEW_REASONS:
        return " ".join(f"{name}: {why}" for name, why in reasons.items())
    return f"Of {len(reasons)} attacks none applies: {', '.join(reasons)}."


def _not_tried(row: Evidence, adversary: Adversary, left: Sequence[str], but: str = "") -> Cell:
    names = ", ".join(left) if left else "the suite"
    return Cell(
        adversary.name,
        State.NOT_TRIED,
        sentence=" ".join(filter(None, (f"Not tried: {names}.", but))),
        command=command_for(row, left),
    )


def _sentence(worst: Sequence[Candidate], state: State, best: Candidate | None = None) -> str:
    """The assets that are in this state, and the sentence of the cheapest case."""
    best = best or worst[0]
    assets = [ASSETS[asset] for asset in ASSETS if any(one.found.asset == asset for one in worst)]
    said = best.found.sentence
    return f"{state.capitalize()}: {listed(assets)}. {said[:1].upper()}{said[1:]}"


def _few(case: Judged | None) -> str:
    """A caution for few trials."""
    if case is None or not case.outcome.wants_key or case.trials >= ENOUGH_TRIALS:
        return ""
    return f"Only {case.trials} trial{'' if case.trials == 1 else 's'}."


def _price(best: Candidate) -> str:
    found = best.found
    if found.word is Word.OPEN:
        return ANY_KEY
    if found.guess:
        return found.guess.price
    if found.case is None or STATE_OF[found.word] not in (State.BROKEN, State.WEAKENED):
        return ""
    return " · ".join(filter(None, (given(found.case.outcome), cpu(found.case.outcome.median("seconds")))))


def _also(row: Evidence, adversary: Adversary, best: Candidate) -> str:
    """The quickest case that breaks by something that the cheapest one does without."""
    if best.found.case is None or best.state is not State.BROKEN:
        return ""
    needs = set(best.found.case.outcome.needs)
    quicker = [
        case.outcome
        for judged in row.verdicts
        for case in judged.cases
        if case.word is Word.BROKEN and adversary.can(case.outcome.needs) and set(case.outcome.needs) - needs
    ]
    quicker = [one for one in quicker if one.median("seconds") < best.found.case.outcome.median("seconds")]
    if not quicker:
        return ""
    chosen = min(quicker, key=lambda one: one.median("seconds"))
    return f"{printable(chosen.attack)}: {given(chosen)} · {cpu(chosen.median('seconds'))}"


def _sure(best: Candidate) -> str:
    found = best.found
    if found.guess:
        return found.guess.sure
    case = found.case
    if case is None:
        return ""
    if case.broke_down:
        return f"broke down in {case.outcome.failed} of {case.outcome.failed} trials"
    parts = []
    if case.hits is not None:
        parts.append(f"{case.hits} of {case.trials} keys [{percent(*case.interval)}]")
    if case.asset in ("key", "speech") and np.isfinite(snr := case.outcome.median("snr")):
        parts.append(decibels(snr, unit=" dB"))
    if case.asset in ("use", "identity") and best.run and best.run.task and np.isfinite(case.outcome.median("error")):
        error, low, high = model_error(case.outcome, best.run.task)
        interval = f" [{low:.1f}, {high:.1f} %]" if np.isfinite([low, high]).all() else ""
        parts.append(f"{best.run.task.name} {error:.1f} %{interval} (plain {best.run.task.plain:.1f} %)")
    return ", ".join(parts)


def given(outcome: Outcome) -> str:
    """What a case was given, in short: "5 s of speech", "9 known blocks, clean", or the dearest thing it needs."""
    variant = outcome.kind[1]
    words = outcome.given_words.removeprefix(f"{variant}, ").replace("of ciphertext", "of speech")
    words = words.replace("all ciphertext", "all speech")
    if words == "as it is":
        words = max(outcome.needs, key=lambda need: price([need]), default="")
    queries = outcome.median("queries")
    if np.isfinite(queries) and queries and "quer" not in words and "plaintext" not in " ".join(outcome.needs):
        words += f", {queries:,.0f} queries"
    return words
