"""Runs the cells of a board, a part after another; the same call again goes on where it was stopped.

Every part is a run as its own command makes it: trials, keys and levels that are done are not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from wrongkey.attacks.analyses.folder import analyse
from wrongkey.attacks.analyses.leaks.analysis import Leaks
from wrongkey.attacks.board.cells import PlannedCell
from wrongkey.attacks.board.costs import cost_of
from wrongkey.attacks.board.entries import explained_scheme
from wrongkey.attacks.board.folder import BoardFolder
from wrongkey.attacks.board.protocol import Protocol
from wrongkey.attacks.board.schedule import Schedule
from wrongkey.attacks.board.settled import needed, settling
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.planned import planned
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.attacks.harness.suite import Stages, run_attacks
from wrongkey.attacks.harness.target import Target
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, Recordings, open_corpus
from wrongkey.evaluation.processes.watch import Report
from wrongkey.evaluation.run_folder.board_cell import Cell
from wrongkey.evaluation.run_folder.board_protocol import Side
from wrongkey.evaluation.run_folder.vocabulary import BOARD_PARTS
from wrongkey.evaluation.strength.config import StrengthConfig
from wrongkey.evaluation.strength.run import strength
from wrongkey.evaluation.sweep import Progress
from wrongkey.keys.volume import TOLERANCE, countable

SAID = "; the others go on, and the same command tries it again"


@dataclass(frozen=True)
class How:
    """How a board is run.

    Attributes
    ----------
    workers : int or None
        Processes; one per core where None, or as many as the cluster has workers.
    backend, scheduler : str
        `loky` (this machine) or `dask` with the address of a scheduler, for attacks and the strength of keys.
    timeout : float or None
        Seconds that a trial, or a shard of keys, may take.
    command : str or None
        The command line, for the record.
    progress, stages, report : callable or None
        As for `run_attacks`.
    """

    workers: int | None = None
    backend: str = "loky"
    scheduler: str | None = None
    timeout: float | None = None
    command: str | None = None
    progress: Progress | None = None
    stages: Stages | None = None
    report: Report | None = None

    def say(self, line: str) -> None:
        """Report a line, if there is a report."""
        if self.report:
            self.report(line)

    def show(self, stage: str, done: int, trials: int) -> None:
        """Show how far an attack is, if anybody looks."""
        if self.stages:
            self.stages(stage, done, trials)


@dataclass(frozen=True)
class Speech:
    """The speech of a board: the corpus as the user names it, and the lists of who speaks in it.

    Nothing is written before `claim`.

    Raises
    ------
    BadInput
        Where it cannot be read, or lacks a speaker whom the protocol names.
    """

    protocol: Protocol
    spec: str
    folder: BoardFolder
    victims: Corpus = field(init=False)
    background: Corpus = field(init=False)

    def __post_init__(self) -> None:
        sides = self.protocol.content.corpus
        for name, side in (("victims", sides.victims), ("background", sides.background)):
            object.__setattr__(self, name, self._of(side))

    def claim(self) -> None:
        """Keep the digests of the speech in the folder, or compare them with those that are there.

        Raises
        ------
        BadInput
            Where the folder is of other speech.
        """
        digests = {"victims": self.victims.digest(), "background": self.background.digest()}
        self.folder.claim_speech(self.spec, digests)

    @cached_property
    def lists(self) -> tuple[Path, Path]:
        """The files that list utterances of victims and of background speakers."""
        named = {"victims": self.victims, "background": self.background}
        first, second = (self.folder.write_list(name, [one.id for one in of.utterances]) for name, of in named.items())
        return first, second

    def spec_of(self, side: Side) -> str:
        """The corpus of a side as the command line names it."""
        return f"{self.spec.rstrip('/')}/{side.part}" if side.part else self.spec

    def _of(self, side: Side) -> Corpus:
        corpus = open_corpus(self.spec_of(side), cast(Recordings | None, self.protocol.content.corpus.recordings))
        if missing := [name for name in side.speakers if name not in corpus.speakers]:
            raise BadInput(
                f"{self.spec_of(side)} has no speaker {missing[0]}, whom the protocol {self.protocol.name} names: give "
                f"{self.protocol.content.corpus.name} with --corpus."
            )
        return corpus.select(speakers=side.speakers)


def attack_config(protocol: Protocol, speech: Speech, cell: PlannedCell) -> AttackConfig:
    """What the attacks of a cell are asked for."""
    content = protocol.content
    victims, background = speech.lists
    return AttackConfig(
        corpus=speech.spec_of(content.corpus.victims),
        model=cell.model,
        scheme=cell.entry.spec,
        block=cell.block,
        trials=max([content.attacks.trials, *content.attacks.trials_of.values()]),
        seed=content.seed,
        only=str(victims),
        background=speech.spec_of(content.corpus.background),
        background_only=str(background),
        per_speaker=content.scoring.per_speaker,
        same_gender=content.scoring.same_gender,
        channels=content.corpus.channels,
        recordings=content.corpus.recordings,
        device="cpu",
        seconds=tuple(content.attacks.seconds),
        media="none",
    )


def run_cell(
    protocol: Protocol, speech: Speech, folder: BoardFolder, cell: PlannedCell, parts: Collection[str], how: How
) -> list[BadInput]:
    """Run the parts of a cell that are missing.

    Returns
    -------
    list of BadInput
        Why parts failed, which keeps no other part from running; `cells/NAME.json` has the sentences as well.

    Raises
    ------
    BadInput
        For a cell that was made with other code of the scheme.
    """
    record = folder.cell(cell, protocol)
    if record is None:
        record = _begun(protocol, cell)
        folder.write_cell(cell.name, Cell.FORMAT, record)
    missing = [part for part in BOARD_PARTS if part in parts and _lacks(protocol, folder, cell, record, part)]
    failed = []
    for part in missing:
        how.say(f"{cell.name}: {part} …")
        try:
            with explained_scheme(cell.entry.spec):
                RUN[part](protocol, speech, folder, cell, how, record)
        except BadInput as error:
            failed.append(error)
            how.say(f"{cell.name}: {part} failed ({str(error).rstrip('.')}){SAID}")
            record["parts"][part] = {"state": "not run", "why": str(error)}
        else:
            record["parts"][part] = {"state": "done", "why": ""}
        folder.write_cell(cell.name, Cell.FORMAT, record)
    if not missing:
        how.say(f"{cell.name}: done before")
    return failed


def _lacks(protocol: Protocol, folder: BoardFolder, cell: PlannedCell, record: Mapping[str, Any], part: str) -> bool:
    """Whether a part is to be run: not yet done, or attacks of which the process of a trial died."""
    state = record["parts"][part]["state"]
    if part != "attacks" or state != "done":
        return bool(state == "not run")
    return Schedule(protocol.content.attacks).asks_again(AttackFolder(folder.run_folder(cell)))


def _begun(protocol: Protocol, cell: PlannedCell) -> dict[str, Any]:
    """What is recorded of a cell before anything was run."""
    states = {part: {"state": "not run", "why": ""} for part in BOARD_PARTS}
    states |= {part: {"state": "does not apply", "why": why} for part, why in cell.obstacles.items()}
    return {
        "protocol": protocol.named,
        "scheme": cell.entry.spec,
        "source": dict(cell.entry.source),
        "block": cell.block,
        "model": cell.model,
        "why_no_model": cell.why_no_model,
        **nominal(cell),
        "parts": states,
        "cost": None,
        "shortened": {},
        "left_out": [],
        "versions": [],
    }


def nominal(cell: PlannedCell) -> dict[str, float | None]:
    """Nominal bits of the key, and the tolerance at which a continuum is counted."""
    scheme = cell.entry.scheme
    with explained_scheme(cell.entry.spec):
        space = countable(scheme, scheme.span * cell.block)
    return {
        "nominal_bits": None if space is None else space.bits(TOLERANCE),
        "tolerance": TOLERANCE if space is not None and space.copies else None,
    }


def _attacks(
    protocol: Protocol, speech: Speech, folder: BoardFolder, cell: PlannedCell, how: How, record: dict[str, Any]
) -> None:
    """The attacks that every cell has, and then those of `where_needed` that this one still needs."""
    asked, out = protocol.content.attacks, folder.run_folder(cell)
    later = set(asked.where_needed)
    record["shortened"] = {}
    first = [name for name in asked.names if name not in later]
    failed = _run(protocol, first, speech, folder, cell, how, record)
    settled = settling(AttackFolder(out), first, asked.fewest, asked.trials_of)
    record["left_out"] = [] if not later else _not_needed(protocol, speech, cell, out, settled)
    still = [name for name in asked.names if name in later and name not in record["left_out"]]
    failed += _run(protocol, still, speech, folder, cell, how, record)
    if failed:
        raise failed[0]


def _not_needed(
    protocol: Protocol, speech: Speech, cell: PlannedCell, out: Path, settled: Iterable[frozenset[str]]
) -> list[str]:
    """Attacks of `where_needed` that apply, have no rows yet, and can change nobody's state."""
    asked, target = protocol.content.attacks, Target(attack_config(protocol, speech, cell), out)
    attacks = [open_attack(name) for name in asked.names if name in set(asked.where_needed)]
    spared = [one for one in attacks if not needed(one, settled) and planned(one, target).reason is None]
    return [one.name for one in spared if AttackFolder(out).rows(one.name).empty]


def _run(
    protocol: Protocol,
    names: Sequence[str],
    speech: Speech,
    folder: BoardFolder,
    cell: PlannedCell,
    how: How,
    record: dict[str, Any],
) -> list[BadInput]:
    """The trials that `Schedule` asks for; the errors that ended some of them are returned."""
    if not names:
        return []
    try:
        run_attacks(
            attack_config(protocol, speech, cell),
            names,
            folder.run_folder(cell),
            schedule=Schedule(protocol.content.attacks, record["shortened"]),
            keys=protocol.content.scoring.random_keys,
            baseline=protocol.content.scoring.baseline,
            workers=how.workers,
            backend=how.backend,
            scheduler=how.scheduler,
            timeout=how.timeout,
            command=how.command,
            progress=how.progress,
            stages=lambda stage, done, total: how.show(f"{cell.name}: {stage}", done, total),
            report=lambda line: how.say(f"{cell.name}: {line}"),
        )
    except BadInput as error:  # of some trials: it keeps no other attack from its own
        return [error]
    return []


def _strength(
    protocol: Protocol, speech: Speech, folder: BoardFolder, cell: PlannedCell, how: How, record: dict[str, Any]
) -> None:
    asked = protocol.content.strength
    assert asked is not None
    target = Target(attack_config(protocol, speech, cell), folder.run_folder(cell))
    config = target.sweep_config(target.victims_corpus, "victims.txt", protocol.content.scoring.random_keys)
    strength(
        config,
        StrengthConfig(**{**asked.model_dump(), "within": tuple(asked.within)}),
        folder.run_folder(cell),
        workers=how.workers,
        backend=how.backend,
        scheduler=how.scheduler,
        timeout=how.timeout,
        command=how.command,
        report=lambda line: how.say(f"{cell.name}: {line}"),
    )


def _leaks(
    protocol: Protocol, speech: Speech, folder: BoardFolder, cell: PlannedCell, how: How, record: dict[str, Any]
) -> None:
    asked = protocol.content.leaks
    assert asked is not None
    analysis = Leaks(
        corpus=speech.victims,
        corpus_spec=speech.spec_of(protocol.content.corpus.victims),
        schemes=[cell.entry.spec],
        block_sizes=[cell.block],
        utterances=asked.utterances,
        seed=protocol.content.seed,
        channels=protocol.content.corpus.channels,
        blocks=("samples",),
    )
    analyse(analysis, folder.run_folder(cell), command=how.command)


def _cost(
    protocol: Protocol, speech: Speech, folder: BoardFolder, cell: PlannedCell, how: How, record: dict[str, Any]
) -> None:
    target = Target(attack_config(protocol, speech, cell), folder.run_folder(cell))
    record["cost"] = cost_of(target, protocol.content.cost.repeats)


RUN: Mapping[str, Callable[[Protocol, Speech, BoardFolder, PlannedCell, How, dict[str, Any]], None]] = {
    "attacks": _attacks,
    "strength": _strength,
    "leaks": _leaks,
    "cost": _cost,
}
