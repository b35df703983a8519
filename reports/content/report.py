"""`report.json`: everything that a report says about some runs, as data."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from wrongkey import __version__
from wrongkey.evaluation.run_folder.private import without_paths
from wrongkey.reports.analyses import Analysis
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.board import board as board_of
from wrongkey.reports.content.analyses import analyses as analysed
from wrongkey.reports.content.attacks import READING
from wrongkey.reports.content.attacks import attacks as attacked
from wrongkey.reports.content.cite import bibtex
from wrongkey.reports.content.facts import facts_line, made, run_facts
from wrongkey.reports.content.gather import Gathered, gather
from wrongkey.reports.content.schema import FORMAT, Board, Figure, Listen, Report, Table
from wrongkey.reports.content.sections import reading, sections
from wrongkey.reports.content.strength import lead, strength
from wrongkey.reports.runs import Run
from wrongkey.reports.strength.runs import StrengthRun
from wrongkey.reports.verdicts import EVIDENCE, UNKNOWN_EVIDENCE, cautions, check_rows, verdicts

Figures = Mapping[str, Sequence[Figure]]  # by the anchor of their section
NAMED = 2  # runs that a caution names; of more it says how many
CHECKED = (
    "A difference of scores is in the unit of the score; every other difference is between the model’s answers "
    "(embeddings, class scores, or what a recogniser decodes), relative to the largest entry of the plain model’s "
    "answers; of texts it is the share that differs."
)


def report_content(
    runs: Sequence[Run],
    attacks: Sequence[AttackRun] = (),
    analyses: Sequence[Analysis] = (),
    *,
    strengths: Sequence[StrengthRun] = (),
    figures: Figures | None = None,
    listen: Listen | None = None,
    downloads: Iterable[str] = (),
) -> dict[str, Any]:
    """Everything that a report says, as JSON can hold it (docs/report-json.md).

    Parameters
    ----------
    runs : sequence of Run
        Sweeps, of `load_runs`.
    attacks : sequence of AttackRun
        Of `find_attacks`.
    analyses : sequence of Analysis
        Of `find_analyses`.
    strengths : sequence of StrengthRun
        Of `find_strength`.
    figures : mapping of str to sequence of Figure, optional
        The figures of each section, by its anchor; none by default.
    listen : Listen, optional
        What can be heard.
    downloads : iterable of str
        Names of files that lie beside the report.

    Returns
    -------
    dict
        The same for the same runs: no date of today, no path.
    """
    return content_of(gather(runs, attacks, analyses, strengths), figures=figures, listen=listen, downloads=downloads)


def content_of(
    found: Gathered,
    *,
    figures: Figures | None = None,
    listen: Listen | None = None,
    downloads: Iterable[str] = (),
) -> dict[str, Any]:
    """`report_content` of what is already summarised."""
    drawn = figures or {}
    board = _board(found)
    report = Report(
        format=FORMAT,
        wrongkey=__version__,
        made=made(found),
        title="Does the key protect the speech?",
        headline=board.headline if board else _headline(found),
        verdict=board.verdict if board else "unclear",
        cautions=_cautions(found, board),
        facts=facts_line(found),
        criteria=board.criteria if board else "",
        board=board,
        listen=listen,
        sections=sections(found, drawn),
        analyses=analysed(found.analyses, drawn),
        attacks=attacked(found, drawn.get("attacks", ())),
        strength=strength(found.strengths, drawn.get("strength", ())),
        checks=_checks(found),
        failed_checks=[f"{row.text} FAILED: {'; '.join(row.failed)}" for row in check_rows(found.main) if row.failed],
        reading=[*reading(found), *([["Attacks", READING]] if found.attacks else [])],
        runs=run_facts(found),
        downloads=list(downloads),
        bibtex=bibtex(),
    )
    return without_paths(_plain(report.model_dump()))


def _board(found: Gathered) -> Board | None:
    board = board_of(found.main, found.attacks, found.analyses, found.verdicts, found.strengths)
    return Board.model_validate(_plain(board.to_dict())) if board.rows else None


def _headline(found: Gathered) -> str:
    """Without a board: what attacks achieved, or else what guessing did, or how strong keys are."""
    if found.verdicts:
        return " ".join(f"{one.label}: {one.sentence}" for one in found.verdicts)
    sentences = [sentence for verdict in verdicts(found.main) for sentence, _ in verdict.lines]
    if sentences or not found.strengths:
        return sentences[0] if sentences else "What encrypted speech shows."
    return f"Effective strength of keys. {lead(found.strengths)}"


def _cautions(found: Gathered, board: Board | None) -> list[str]:
    """What a reader must know first, each sentence once, with the runs that it is about where it is not all."""
    about: dict[str, list[str]] = {}
    for result in found.main:
        for sentence in cautions(result):
            about.setdefault(sentence, []).append(result.label)
    beside: list[AttackRun | Analysis | StrengthRun] = [*found.attacks, *found.analyses, *found.strengths]
    for one in beside:
        for sentence in one.cautions:
            about.setdefault(sentence, []).append(one.label)
    every = len(found.main) + len(beside)
    first = list(dict.fromkeys([*(board.cautions if board else ()), *_doubts(found, judged=board is not None)]))
    return first + [
        sentence if len(labels) == every else f"{sentence} ({_which(labels, every)})"
        for sentence, labels in about.items()
        if sentence not in first
    ]


def _which(labels: Sequence[str], every: int) -> str:
    """The runs that a sentence is about: by name where they are few."""
    return "; ".join(labels) if len(labels) <= NAMED else f"{len(labels)} of {every} runs"


def _doubts(found: Gathered, judged: bool) -> list[str]:
    """Why the numbers may be no evidence; where a board judged sweeps and attacks, it has said so of their speech."""
    measured: list[Run | AttackRun] = [*found.runs, *found.attacks]
    said = {one.recordings for one in measured} if judged else set()
    kinds = [one.recordings for one in (*measured, *found.analyses)]
    return [EVIDENCE.get(kind, UNKNOWN_EVIDENCE) for kind in kinds if kind not in said | {"real"}]


def _checks(found: Gathered) -> Table | None:
    rows = [
        [
            row.text + (f" FAILED: {'; '.join(row.failed)}" if row.failed else ""),
            f"{row.runs - len(row.failed)} of {row.runs} run{'' if row.runs == 1 else 's'}",
            f"{row.value:.3g}",
            f"{row.limit:.3g}",
        ]
        for row in check_rows(found.main)
    ]
    columns = ["Check", "Passed", "Largest difference", "Limit"]
    return Table(caption="Self-checks", columns=columns, rows=rows, note=CHECKED) if found.runs else None


def _plain(value: Any) -> Any:
    """Only what JSON can hold: tuples are lists, numbers those of Python, and what is not a number is null."""
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
