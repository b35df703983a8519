"""A row of the board from a cell: its run folder, and the record beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, cast

import numpy as np

from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.evaluation.run_folder.board_cell import Cell as Record
from wrongkey.evaluation.run_folder.schema import read_json
from wrongkey.evaluation.run_folder.strength import strength_content
from wrongkey.evaluation.run_folder.successes import numbers, unlocked
from wrongkey.evaluation.run_folder.vocabulary import OF_A_MODEL
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.labels import scheme_label
from wrongkey.printable import printable
from wrongkey.reports.analyses import Analysis, find_analyses
from wrongkey.reports.attacks.attacked_task import AttackedTask
from wrongkey.reports.attacks.guessing import Guess
from wrongkey.reports.attacks.rows import GUESSING, AttackRun, Outcome, load_attacks
from wrongkey.reports.attacks.threats import Word
from wrongkey.reports.attacks.verdicts import AttackVerdict, verdict
from wrongkey.reports.board.cells import Cell as Shown
from wrongkey.reports.board.leaks import leak_sentence, rows_about
from wrongkey.reports.board.states import State
from wrongkey.reports.board.verdict_board import board
from wrongkey.reports.runs import load_run
from wrongkey.reports.scheme_board.belonging import check_run
from wrongkey.reports.scheme_board.schema import BestKey, Break, Cell, Measured, Row, Tried, weakest
from wrongkey.reports.scheme_board.schema import State as ShownState
from wrongkey.reports.scheme_board.words import (
    NO_ATTACK,
    NOT_RUN,
    UNFINISHED,
    cost_words,
    does_not_apply,
    not_run,
    percent_words,
)
from wrongkey.reports.statistics.key_statistics import KeyStatistics, summarise
from wrongkey.reports.strength.runs import StrengthRun, load_strength, strength_alone
from wrongkey.reports.strength.words import bits_words, effective_words

STATES: Mapping[State, ShownState] = {
    State.BROKEN: "broken",
    State.WEAKENED: "weakened",
    State.UNCLEAR: "undecided",
    State.HELD: "not shown to break",
    State.NOT_TRIED: "not run",
    State.NOT_APPLICABLE: "does not apply",
}
ADVERSARY = {one.name: one for one in ADVERSARIES}


def row_of(path: Path, folder: Path) -> Row:
    """The row of a cell.

    Parameters
    ----------
    path : Path
        Its record, `cells/NAME.json`.
    folder : Path
        Its run folder, which need not exist.

    Raises
    ------
    BadInput
        For broken files, and for the run folder of another scheme or block size.
    """
    record = Record.model_validate(read_json(path, cast(Any, Record)))
    check_run(path, record, folder)
    run = load_attacks(folder)
    judged = verdict(run) if run else None
    swept = (folder / "manifest.json").exists() and not strength_alone(folder)
    sweep = summarise(load_run(folder)) if swept else None
    strength = load_strength(folder)
    leaks = find_analyses([folder]) if folder.is_dir() else []
    cells = list(_cells(record, run, judged, sweep, leaks, strength))
    setting: dict[str, Any] = run.setting if run else {}
    return Row(
        scheme=printable(record.scheme),
        label=printable(scheme_label(record.scheme)),
        source=record.source,
        block=record.block,
        model=record.model and printable(record.model),
        corpus=printable(setting["corpus"]) if setting.get("corpus") else None,
        recordings=str(setting.get("recordings") or "unknown"),
        speech=_speech(run),
        weakest=weakest(cells),
        nominal_bits=_nominal(record),
        effective_bits=_effective(record, strength),
        best_key=_best(record, sweep),
        cells=cells,
        leaks=_leaks(record, leaks),
        linkability=_linkability(record, leaks),
        cost=record.cost,
        cost_words=cost_words(record.cost, _step(record, "cost")),
        strength=_kept(folder),
        attacks=list(_tried(run, judged)) if run and judged else [],
        obstacles=[[printable(name), printable(why)] for name, why in (run.obstacles if run else {}).items()],
        notes=[printable(note) for note in _notes(record, run, sweep)],
        versions=record.versions,
    )


def _cells(
    record: Record,
    run: AttackRun | None,
    judged: AttackVerdict | None,
    sweep: KeyStatistics | None,
    leaks: Sequence[Analysis],
    strength: StrengthRun | None,
) -> Iterator[Cell]:
    """What each adversary achieves, as the verdict board judges it."""
    step = record.parts.get("attacks")
    shown = board(
        [sweep] if sweep else [],
        [run] if run else [],
        leaks,
        [judged] if judged else [],
        [strength] if strength else [],
    ).rows
    if not shown:
        words = _step(record, "attacks") or NOT_RUN
        state: ShownState = "does not apply" if step and step.state == "does not apply" else "not run"
        for adversary in ADVERSARIES:
            yield Cell(adversary=adversary.name, state=state, words=words, sentence=words)
        return
    for cell in shown[0].cells:
        yield _cell(cell, run, record)


def _cell(shown: Shown, run: AttackRun | None, record: Record) -> Cell:
    state = STATES[shown.state]
    why = record.why_no_model if record.model is None and ADVERSARY[shown.adversary].has & OF_A_MODEL else ""
    if why and shown.state in (State.UNCLEAR, State.HELD):  # speech alone does not tell what a model gives away
        return Cell(
            adversary=shown.adversary,
            state="not run",
            words=printable(not_run(why)),
            sentence=printable(f"{why} Of speech alone: {shown.sentence}"),
        )
    case = _break(shown, run)
    if shown.state in (State.NOT_TRIED, State.NOT_APPLICABLE):
        words = not_run(why) if shown.state is State.NOT_TRIED else does_not_apply(shown.sentence)
    else:
        parts = ", ".join(filter(None, (shown.price, shown.sure, _claims_words(case))))
        attack = f"{state} ({case.attack})" if case and shown.state in (State.BROKEN, State.WEAKENED) else state
        words = ". ".join(filter(None, (f"{attack}: {parts}" if parts else attack, shown.caution.rstrip("."))))
        if shown.also:
            words += f". Also {shown.also}"
        if why and shown.state is State.WEAKENED:
            words += f". {why.rstrip('.')}"
    return Cell(
        adversary=shown.adversary,
        state=state,
        words=printable(words),
        sentence=printable(" ".join(filter(None, (shown.sentence, shown.also and f"Also {shown.also}.")))),
        case=case,
        also=printable(shown.also),
    )


def _break(shown: Shown, run: AttackRun | None) -> Break | None:
    found = shown.found
    if found is None or run is None:
        return None
    if found.guess:
        return _guess(found.guess, found.asset)
    if found.case is None:
        return (
            Break(attack=NO_ATTACK, given="a typical wrong key", asset=found.asset) if found.word is Word.OPEN else None
        )
    case, outcome = found.case, found.case.outcome
    claimed = _claims(outcome, run.task)
    return Break(
        attack=printable(outcome.attack),
        given=printable(outcome.given_words),
        asset=case.asset,
        seconds=_seconds(outcome),
        known_blocks=_finite(outcome.median("given_known_blocks")),
        queries=_finite(outcome.median("queries")) or None,
        cpu_seconds=_finite(outcome.median("seconds")),
        successes=case.hits,
        trials=case.trials,
        share_low=_finite(case.interval[0]),
        share_high=_finite(case.interval[1]),
        claimed=claimed[0] if claimed else None,
        claimed_wrong=claimed[1] if claimed else None,
    )


def _guess(guess: Guess, asset: str) -> Break:
    """Of guessing, the trials are the keys that were tried, and the successes those near plain."""
    near = guess.near
    low, high = (None, None) if near.coarse else near.interval
    return Break(
        attack=GUESSING,
        given=printable(guess.price or guess.sure or GUESSING),
        asset=asset,
        queries=_finite(guess.guesses),
        successes=None if near.coarse else near.hits,
        trials=near.tried,
        share_low=low,
        share_high=high,
    )


def _tried(run: AttackRun, judged: AttackVerdict) -> Iterator[Tried]:
    """Every case of every attack, against what it is after: of a key, whether it is recovered or decrypts speech."""
    seen: set[tuple[str, str]] = set()
    for case in judged.cases:
        outcome = case.outcome
        if (outcome.attack, outcome.given) in seen:
            continue
        seen.add((outcome.attack, outcome.given))
        same = [one for one in judged.cases if one.outcome is outcome]
        worst = min(same, key=lambda one: list(Word).index(one.word))
        claimed = _claims(outcome, run.task)
        yield Tried(
            attack=printable(outcome.attack),
            given=printable(outcome.given_words),
            asset=worst.asset,
            verdict=worst.word.value,
            needs=list(outcome.needs),
            seconds=_seconds(outcome),
            successes=worst.hits,
            trials=outcome.n,
            failed=outcome.failed,
            share_low=_finite(worst.interval[0]),
            share_high=_finite(worst.interval[1]),
            claimed=claimed[0] if claimed else None,
            claimed_wrong=claimed[1] if claimed else None,
            snr=_finite(outcome.median("snr")),
            error=_finite(outcome.median("error")),
            cpu_seconds=_finite(outcome.median("seconds")),
        )


def _claims(outcome: Outcome, task: AttackedTask | None) -> tuple[int, int] | None:
    """Trials in which the attack claims success, and those of them without one; None where it makes no claims.

    A claim that the model works with the key is right where its error is that of the authorised user, or less.
    """
    if not outcome.wants_key or "believed" not in outcome.ended:
        return None
    believed = outcome.ended["believed"]
    if believed.isna().all():
        return None
    claims = np.asarray(believed.fillna(False), dtype=bool)
    right = outcome.recovered
    if outcome.claims == "use" and task is not None:
        right = right | unlocked(task.effective(numbers(outcome.ended, "error")), task.correct)
    return int(claims.sum()), int((claims & ~right).sum())


def _claims_words(case: Break | None) -> str:
    if case is None or case.claimed_wrong is None:
        return ""
    return f"{case.claimed_wrong} of {case.claimed} claims wrong" if case.claimed_wrong else "no false claim"


def _seconds(outcome: Outcome) -> float | None:
    """Seconds of ciphertext at the median; None of an attack that has none."""
    return _finite(outcome.median("had_seconds")) or _finite(outcome.median("given_seconds"))


def _speech(run: AttackRun | None) -> dict[str, str]:
    identity = run.suite.get("identity", {}) if run else {}
    named = {"victims": "speech of the victims", "background": "speech of others"}
    return {short: str(identity[name]) for short, name in named.items() if identity.get(name)}


def _step(record: Record, part: str) -> str:
    """Why a part is not there: "not run", or that it does not apply and why; empty where it is done."""
    step = record.parts.get(part)
    if step is None or step.state == "not run":
        return f"{NOT_RUN}: it failed ({step.why.rstrip('.')})" if step and step.why else NOT_RUN
    return does_not_apply(step.why) if step.state == "does not apply" else ""


def _nominal(record: Record) -> Measured:
    if record.nominal_bits is None:
        return Measured(words="does not apply: the keys cannot be counted")
    return Measured(words=bits_words(record.nominal_bits), value=record.nominal_bits)


def _effective(record: Record, strength: StrengthRun | None) -> Measured:
    if strength is None:
        return Measured(words=_step(record, "strength") or NOT_RUN)
    nearest = strength.nearest
    if nearest is None:
        why = next((one.why_not for one in strength.found.estimates if one.why_not), "no bits are given")
        return Measured(words=f"none given: {printable(why)}")
    return Measured(
        words=f"{effective_words(nearest)} to within {strength.metric.distance_words(nearest.within)}",
        value=nearest.bits,
        low=nearest.bits_low,
        high=nearest.bits_high,
    )


def _best(record: Record, sweep: KeyStatistics | None) -> BestKey:
    if record.model is None:
        return BestKey(words=does_not_apply(record.why_no_model))
    if sweep is None:
        return BestKey(words=_step(record, "attacks") or NOT_RUN)
    metric, best, plain = sweep.metric, sweep.worst.score.value, sweep.plain
    words = f"{metric.words(best)} of {sweep.n:,}"
    if plain is not None:
        words += f" (plain {metric.words(plain.value)})"
    return BestKey(
        words=f"{words} {metric.label}",
        metric=metric.name,
        value=best,
        plain=None if plain is None else plain.value,
        keys=sweep.n,
    )


def _leaks(record: Record, leaks: Sequence[Analysis]) -> str:
    told = leak_sentence(leaks, record.scheme, record.block, Blocks.SAMPLES)
    return printable(told or _step(record, "leaks") or "nothing that was measured tells anything")


def _linkability(record: Record, leaks: Sequence[Analysis]) -> Measured:
    """EER of the analysis of leaks under one key for all."""
    for analysis in leaks:
        rows = rows_about(analysis, record.scheme, record.block, Blocks.SAMPLES)
        values = rows[(rows["condition"] == "one key") & (rows["metric"] == "linkability")]["value"]
        if len(values) and isfinite(value := float(values.median())):
            return Measured(words=percent_words(value), value=value)
    return Measured(words=_step(record, "leaks") or "not measured: too few speakers")


def _kept(folder: Path) -> dict[str, Any] | None:
    """The strength without its levels."""
    content = strength_content(folder)
    return None if content is None else {name: value for name, value in content.items() if name != "history"}


def _notes(record: Record, run: AttackRun | None, sweep: KeyStatistics | None) -> Iterator[str]:
    if record.why_no_model:
        yield f"Speech alone was attacked. {record.why_no_model}"
    yield from record.shortened.values()
    if record.left_out:
        names = ", ".join(record.left_out)
        yield f"Not needed, since other attacks break it for everyone who could run these: {names}."
    if run:
        yield from run.cautions
    if (run or sweep) and _ended_early(record, run):  # random keys are swept before the first attack
        yield UNFINISHED
    for name, step in record.parts.items():
        if step.state == "not run" and step.why:
            yield f"{name} failed: {step.why}"


def _ended_early(record: Record, run: AttackRun | None) -> bool:
    """Whether attacks are missing. A cell has several runs of attacks, of which `suite.json` knows the last alone."""
    step = record.parts.get("attacks")
    return step is None or step.state != "done" or run is None or not run.suite.get("ended")


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None
