"""The verdict on a scheme: a word and a sentence for every asset and adversary (docs/threat-model.md).

A cell holds the result of the strongest case that its adversary could run; the cheapest, where several are equally
strong. What needs no attack comes first: incorrect keys that work as well as the correct one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES, Adversary
from wrongkey.evaluation.run_folder.vocabulary import OF_A_MODEL
from wrongkey.printable import brief, printable
from wrongkey.reports.attacks.cases import KEYED, Judged, judge, model_error
from wrongkey.reports.attacks.decisions import ENOUGH_TRIALS
from wrongkey.reports.attacks.guessing import GUESSING_NEEDS, Guess, guessed
from wrongkey.reports.attacks.rows import GUESSING, AttackRun
from wrongkey.reports.attacks.threats import ASSETS, SEVERITY, Word, price, worst
from wrongkey.reports.attacks.without_attack import opened, percent
from wrongkey.reports.rounding import decibels, two_digits

VERBS = {"key": "finds", "speech": "decrypts the speech under", "use": "unlocks the model under"}
MANY = frozenset({"ciphertext of many", "plain enrolment", "labelled ciphertext"})  # needs of attacks on identities
NULL_VERBS = {"key": "are found", "speech": "decrypt", "use": "unlock it"}


@dataclass(frozen=True)
class Cell:
    """The verdict on one asset and one adversary. case, guess: what it rests on; at most one of them is not None."""

    asset: str
    adversary: str
    word: Word
    sentence: str
    case: Judged | None = None
    guess: Guess | None = None


@dataclass(frozen=True, repr=False)
class AttackVerdict:
    """One run's verdict: `sentence` sums up the cells, which are sorted by asset and then by adversary."""

    label: str
    sentence: str
    cells: tuple[Cell, ...]
    cases: tuple[Judged, ...]

    def cell(self, asset: str, adversary: str) -> Cell:
        """The cell of an asset and an adversary, by their names."""
        return next(cell for cell in self.cells if (cell.asset, cell.adversary) == (asset, adversary))

    def __repr__(self) -> str:
        return f"AttackVerdict({brief(self.label, 60)!r}: {brief(self.sentence, 100)})"

    def _repr_html_(self) -> str:
        heads = "".join(f'<th scope="col">{one.name}</th>' for one in ADVERSARIES)
        rows = [f"<tr><td></td>{heads}</tr>"]
        for asset, name in ASSETS.items():
            words = (self.cell(asset, one.name).word for one in ADVERSARIES)
            rows.append(f'<tr><th scope="row">{name}</th>{"".join(f"<td>{word}</td>" for word in words)}</tr>')
        caption = escape(printable(f"{self.label}: {self.sentence}"))
        return f"<table><caption>{caption}</caption>{''.join(rows)}</table>"

    def worst(self, asset: str) -> Cell:
        """The cell of the weakest adversary for whom the asset's verdict is the worst."""
        return min((cell for cell in self.cells if cell.asset == asset), key=lambda cell: SEVERITY.index(cell.word))


def verdict(run: AttackRun) -> AttackVerdict:
    """All cells of a run, and the sentence that sums them up."""
    cases = judge(run)
    cells: list[Cell] = []
    for adversary in ADVERSARIES:
        own: dict[str, Cell] = {}
        for asset in ASSETS:
            own[asset] = _cell(run, cases, asset, adversary)
        if not _beyond(run, "identity", adversary):
            own["identity"] = _through_speech(own["identity"], own["speech"])
        cells += own.values()
    cells.sort(key=lambda cell: list(ASSETS).index(cell.asset))
    found = AttackVerdict(run.label, "", tuple(cells), tuple(cases))
    return AttackVerdict(run.label, _summary(found) + unfinished(run), found.cells, found.cases)


def unfinished(run: AttackRun) -> str:
    """A warning for a run that was stopped; empty for a complete one."""
    return "" if run.suite.get("ended") else " These attacks are unfinished."


def best_cases(cases: Iterable[Judged]) -> Iterator[list[Judged]]:
    """The cases of the tables: of each kind of case the strongest, judged against each asset."""
    kinds: dict[tuple[str, str, str], dict[str, list[Judged]]] = {}
    for case in cases:
        kinds.setdefault(case.outcome.kind, {}).setdefault(case.outcome.given, []).append(case)
    for given in kinds.values():
        yield min(given.values(), key=lambda judged: min(map(_strength, judged)))


def _cell(run: AttackRun, cases: Sequence[Judged], asset: str, adversary: Adversary) -> Cell:
    """The worst of three: what is open without an attack, the strongest case, and guessing."""

    def say(word: Word, sentence: str, case: Judged | None = None) -> Cell:
        return Cell(asset, adversary.name, word, sentence, case)

    if reason := _beyond(run, asset, adversary):
        return say(Word.NOT_APPLICABLE, reason)
    if asset == "use" and run.task and (doubt := run.task.unusable):
        return say(Word.UNDECIDED, f"{doubt[:1].upper()}{doubt[1:]}.")
    found = [say(*free)] if (free := opened(run, asset)) else []
    own = [case for case in cases if case.asset == asset and adversary.can(case.outcome.needs)]
    if own:
        found.append(_by_attacks(run, own, say))
    if asset == "use" and run.task and adversary.can(GUESSING_NEEDS) and (guess := guessed(run.task)):
        found.append(Cell(asset, adversary.name, guess.word, guess.sentence, guess=guess))
    if not found:
        return say(*_untried(run, asset, adversary))
    return next(cell for cell in found if cell.word is worst(cell.word for cell in found))


def _beyond(run: AttackRun, asset: str, adversary: Adversary) -> str:
    """Why there is nothing to protect, or nothing that this adversary could take; empty where there is."""
    if asset == "use" and run.task is None:
        return "No model was attacked: name one with --model."
    if asset == "identity" and run.setting.get("task") == "asc":
        return "The task is to classify sounds: there is no speaker."
    if asset in ("speech", "identity") and "ciphertext" not in adversary.has:
        return "This adversary has no ciphertext; with the key they would decrypt whatever they obtain."
    return ""


def _by_attacks(run: AttackRun, own: Sequence[Judged], say: Callable[[Word, str, Judged], Cell]) -> Cell:
    """The result of the strongest of an adversary's cases, and which of their attacks give none."""
    strongest = min(own, key=_strength)
    word, sentence = strongest.word, case_sentence(run, strongest)
    if word is Word.NOT_SHOWN and (few := _few(own)):
        sentence += f" Too few trials to decide: {few}."
    if word not in (Word.BROKEN, Word.WEAKENED) and (down := _broke_down(own)):
        word = Word.UNDECIDED
        if not strongest.broke_down:
            sentence += f" {down}"
    return say(word, sentence, strongest)


def _broke_down(cases: Sequence[Judged]) -> str:
    """The attacks of which nothing is known, because all their trials (or those of a variant) failed."""
    kinds: dict[tuple[str, str, str], list[Judged]] = {}
    for case in cases:
        kinds.setdefault(case.outcome.kind, []).append(case)
    lost = (own[-1] for own in kinds.values() if all(case.broke_down for case in own))
    return " ".join(f"{case.outcome.attack} ({case.outcome.given_words}) {case.reason}." for case in lost)


def _strength(case: Judged) -> tuple[object, ...]:
    """Sort key: the strongest case first; of equally strong ones the cheapest.

    Cheap is what needs little, then what has no special variant, small quantities, few CPU seconds. All that break are
    equally strong.
    """
    word = SEVERITY.index(case.word) if case.word is not Word.UNDECIDED or case.hint else len(SEVERITY)
    outcome = case.outcome
    gain = case.share if outcome.wants_key else -outcome.median("error")
    gain = 0.0 if case.word is Word.BROKEN or not np.isfinite(gain) else gain
    return word, -gain, price(outcome.needs), outcome.kind[1] != "", outcome.quantities, outcome.median("seconds")


def _few(cases: Sequence[Judged]) -> str:
    """Attacks of which every case had too few trials."""
    trials: dict[str, int] = {}
    for case in cases:
        trials[case.outcome.attack] = max(trials.get(case.outcome.attack, 0), case.trials)
    few = {case.outcome.attack for case in cases if case.word is Word.UNDECIDED and case.hits is not None}
    return ", ".join(f"{name} ({n})" for name, n in trials.items() if n < ENOUGH_TRIALS and name in few)


def _untried(run: AttackRun, asset: str, adversary: Adversary) -> tuple[Word, str]:
    """Why this adversary has no case: no attack applies, or none was run."""
    known = {name: list(needs) for name, needs in (run.suite.get("known") or {}).items()}
    known |= {name: list(run.about(name).get("needs", ())) for name in run.suite.get("attacks", {})}
    able = []
    for name, needs in known.items():
        attacks_asset = asset in _assets(run, name, needs) and name not in (GUESSING, *run.null_names)
        if attacks_asset and any(adversary.can(one) for one in (needs, *_needs_of_cases(run, name))):
            able.append(name)
    if not able:
        return Word.NOT_TRIED, f"No attack on {ASSETS[asset]} is known that needs no more than this adversary has."
    if not run.setting.get("model"):
        able = [name for name in able if not OF_A_MODEL & set(known[name])]
        if not able:
            return Word.NOT_APPLICABLE, "Speech alone was attacked: name a model with --model."
    obstacles = run.obstacles
    left = [name for name in able if name not in obstacles]
    if left:
        return Word.NOT_TRIED, f"`wrongkey attack {','.join(left)} …` with the flags of this run tries it."
    reasons = dict.fromkeys(f"{name}: {obstacles[name]}" for name in able)
    return Word.NOT_APPLICABLE, " ".join(reasons)


def _needs_of_cases(run: AttackRun, attack: str) -> list[list[str]]:
    """The needs of those cases that need less than their attack."""
    return [case["needs"] for case in run.about(attack).get("cases", {}).values()]


def _assets(run: AttackRun, attack: str, needs: Sequence[str]) -> tuple[str, ...]:
    """What an attack is after, whether it ran or not; by its needs, where the suite does not say."""
    asset = run.about(attack).get("asset")
    if asset is None:
        asset = "identity" if MANY & set(needs) else "key"
    return KEYED if asset == "key" else (asset,)


def _through_speech(cell: Cell, speech: Cell) -> Cell:
    """The cell on who speaks: decrypted speech tells that too, where no attack on it alone does as well."""
    lost = speech.word in (Word.OPEN, Word.BROKEN) and SEVERITY.index(speech.word) < SEVERITY.index(cell.word)
    if not lost:
        return cell
    sentence = f"The decrypted speech tells who speaks: {speech.sentence}"
    return Cell(cell.asset, cell.adversary, speech.word, sentence, speech.case)


def case_sentence(run: AttackRun, case: Judged) -> str:
    """A case in a sentence.

    Such as "polyphase (5 s of ciphertext) finds 14 of 30 keys, 47 % of keys [30, 64 %]; random keys are found 0 of 100
    times; median SNR 43 dB; 0.3 s of CPU a key."
    """
    outcome = case.outcome
    if case.broke_down:
        return f"{outcome.attack} ({outcome.given_words}) {case.reason}."
    parts = [f"{outcome.attack} ({outcome.given_words})"]
    if case.hits is not None:
        low, high = case.interval
        parts[0] += (
            f" {VERBS[case.asset]} {case.hits} of {case.trials} keys, {100 * case.share:.0f} % of keys "
            f"[{percent(low, high)}]"
        )
        if case.null_n:
            parts.append(f"random keys {NULL_VERBS[case.asset]} {case.null_hits} of {case.null_n} times")
    elif not outcome.wants_key and outcome.n and run.task and np.isfinite(outcome.median("error")):
        error, low, high = model_error(outcome, run.task)
        interval = f" [{low:.1f}, {high:.1f} %]" if np.isfinite([low, high]).all() else ""
        parts[0] += f" reaches {run.task.name} {error:.1f} %{interval} without a key (plain {run.task.plain:.1f} %)"
    if outcome.failed and outcome.n:
        parts.append(f"{outcome.failed} of {len(outcome.rows)} trials failed")
    if case.asset in ("key", "speech") and np.isfinite(outcome.median("snr")):
        snr = decibels(outcome.median("snr"), unit=" dB")
        parts.append("decrypted speech is exact" if snr == "exact" else f"median SNR {snr}")
    if case.asset == "use" and outcome.wants_key and run.task and np.isfinite(outcome.median("error")):
        parts.append(f"median {run.task.name} {outcome.median('error'):.1f} % (plain {run.task.plain:.1f} %)")
    if case.reason:
        parts.append(case.reason)
    if outcome.n:
        parts.append(f"{two_digits(outcome.median('seconds'))} s of CPU a {'key' if outcome.wants_key else 'trial'}")
    return "; ".join(parts) + "."


def _summary(found: AttackVerdict) -> str:
    """The worst verdict with its evidence, and the verdicts on the other assets."""
    worst = {asset: found.worst(asset) for asset in ASSETS}
    groups: dict[Word, list[str]] = {}
    for asset, cell in worst.items():
        groups.setdefault(cell.word, []).append(ASSETS[asset])
    order = sorted(groups, key=SEVERITY.index)
    text = "; ".join(f"{word}: {', '.join(groups[word])}" for word in order) + ". "
    cell = next(worst[asset] for asset in worst if worst[asset].word is order[0])
    text = text[:1].upper() + text[1:] + f"{cell.sentence[:1].upper()}{cell.sentence[1:]}"
    if cell.case is not None:
        text += f" Adversary: {cell.adversary}."
    if not {Word.BROKEN, Word.OPEN, Word.WEAKENED} & groups.keys():
        text += " This does not prove safety."
    return text
