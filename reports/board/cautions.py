"""What a reader must know beside the board, each sentence once."""

from collections.abc import Iterator, Sequence

from wrongkey.printable import listed, printable
from wrongkey.reports.attacks.decisions import ENOUGH_TRIALS
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.board.cells import Cell
from wrongkey.reports.board.joining import UNKNOWN, Evidence
from wrongkey.reports.board.states import State
from wrongkey.reports.verdicts import EVIDENCE, UNKNOWN_EVIDENCE, fails

Rows = Sequence[tuple[Evidence, Sequence[Cell]]]
RAW = "Attacks on raw speech do not count for"
MOST_NAMED = 3  # runs that a sentence names; of more it gives the number


def cautions(rows: Rows, alone: Sequence[AttackRun]) -> tuple[str, ...]:
    """All cautions of a board's rows and cells. alone: attacks on speech that do not count for some model."""
    found = [
        *_recordings(rows), *_few_trials(rows), *_not_tried(rows), *_raw_waveforms(rows, alone), *_distrust(rows),
        *_failing_models(rows), *_unfinished(rows), *_old_files(rows),
    ]  # fmt: skip
    return tuple(dict.fromkeys(found))


def _recordings(rows: Rows) -> Iterator[str]:
    kinds = {one.run.recordings for row, _ in rows for one in row.sweeps}
    kinds |= {run.recordings for row, _ in rows for run in row.attacks}
    some = "Some runs: " if len(kinds) > 1 else ""
    for kind in sorted(kinds - {"real"}):
        sentence = EVIDENCE.get(kind, UNKNOWN_EVIDENCE)
        yield f"{some}{sentence[:1].lower() if some else sentence[:1]}{sentence[1:]}"


def _few_trials(rows: Rows) -> Iterator[str]:
    few: dict[str, int] = {}
    for _, cells in rows:
        for cell in cells:
            case = cell.found.case if cell.found else None
            if case and case.outcome.wants_key and case.trials < ENOUGH_TRIALS:
                name = case.outcome.attack
                few[name] = min(case.trials, few.get(name, case.trials))
    if few:
        named = ", ".join(f"{printable(name)} {trials}" for name, trials in few.items())
        yield f"Few trials: some cells rest on fewer than {ENOUGH_TRIALS} ({named})."


def _not_tried(rows: Rows) -> Iterator[str]:
    states = [cell.state for _, cells in rows for cell in cells]
    if untried := states.count(State.NOT_TRIED):
        yield f"{untried} of {len(states)} cells {'was' if untried == 1 else 'were'} not tried."


def _raw_waveforms(rows: Rows, alone: Sequence[AttackRun]) -> Iterator[str]:
    """Attacks on speech alone that do not count for a model with the same scheme and block size."""
    if not alone:
        return
    attacked = {(run.scheme, run.block_size) for run in alone}
    places = [row.place for row, _ in rows if row.place.model]
    beside = [place for place in places if (place.scheme, place.block_size) in attacked]
    own = sorted({place.model for place in beside if place.front_end != UNKNOWN})
    unknown = sorted({place.model for place in beside if place.front_end == UNKNOWN})
    said = [f"{listed(own)}, which filter{_s(own)} speech first or read{_s(own)} another rate"] if own else []
    said += [f"{listed(unknown)}, of which nobody recorded whether speech is filtered first"] if unknown else []
    yield f"{RAW} {' and '.join(said)}."


def _s(names: Sequence[str]) -> str:
    return "s" if len(names) == 1 else ""


def _distrust(rows: Rows) -> Iterator[str]:
    failed = {
        one.label
        for row, _ in rows
        for one in row.sweeps
        if not one.coincides or any(not check.passed for check in one.run.self_checks)
    }
    if failed:
        yield f"Self-checks failed, so do not trust {_named(failed)}."


def _failing_models(rows: Rows) -> Iterator[str]:
    names = {one.run.model for row, _ in rows for one in row.sweeps if fails(one)}
    if names:
        fail = "models fail" if len(names) > 1 else "model fails"
        yield f"The plain {fail}, so that there is nothing to protect: {_named(names)}."


def _unfinished(rows: Rows) -> Iterator[str]:
    names = {one.label for row, _ in rows for one in row.sweeps if not one.run.finished}
    names |= {
        f"attacks on {printable(run.label)}" for row, _ in rows for run in row.attacks if not run.suite.get("ended")
    }
    if names:
        yield f"Unfinished: {_named(names)}."


def _old_files(rows: Rows) -> Iterator[str]:
    """What reading the files found; what the sweeps noted of themselves stands beside their scores."""
    for row, _ in rows:
        for one in row.sweeps:
            yield from one.run.cautions[len(one.run.manifest.get("cautions") or []) :]
        for run in row.attacks:
            yield from run.cautions
        for analysis in row.analyses:
            yield from analysis.cautions


def _named(names: set[str]) -> str:
    if len(names) > MOST_NAMED:
        return f"{len(names)} of the runs"
    return listed([f"“{name}”" for name in sorted(names)])
