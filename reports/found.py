"""Everything that lies in and below some folders, as a report takes it: sweeps, attacks, analyses, strengths."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.folder import find_runs
from wrongkey.reports.analyses import Analysis, find_analyses
from wrongkey.reports.attacks.rows import AttackRun, find_attacks
from wrongkey.reports.runs import Run, find_readable, load_runs
from wrongkey.reports.strength.runs import StrengthRun, find_strength, strength_alone


@dataclass(frozen=True)
class Found:
    """What was found; `left_out`: sentences, why a run that lies there cannot be shown."""

    runs: list[Run]
    attacks: list[AttackRun]
    analyses: list[Analysis]
    strengths: list[StrengthRun]
    left_out: list[str]


def find_all(paths: Sequence[Path]) -> Found:
    """The sweeps, attacks, analyses and strengths that are named by `paths` or lie below one of them.

    Raises
    ------
    BadInput
        For a run that is named itself and cannot be read, and for a folder without anything to show.
    """
    attacks, analyses, strengths = find_attacks(paths), find_analyses(paths), find_strength(paths)
    beside: list[AttackRun | Analysis | StrengthRun] = [*attacks, *analyses, *strengths]
    shown = {one.folder for one in beside}
    sweeps = [path for path in paths if not _holds_only(path, shown)]
    runs, left_out = _find_sweeps(sweeps) if sweeps or not shown else ([], [])
    return Found(runs, attacks, analyses, strengths, left_out)


def _holds_only(path: Path, shown: Iterable[Path]) -> bool:
    """Whether a folder holds something to show but no sweep."""
    return any(folder.is_relative_to(path) for folder in shown) and not _sweeps_in(path)


def _sweeps_in(path: Path) -> list[Path]:
    return [folder for folder in find_runs(path) if not strength_alone(folder)]


def _find_sweeps(paths: Iterable[Path]) -> tuple[list[Run], list[str]]:
    given: list[Path | Run] = []
    left_out: list[str] = []
    for path in paths:
        found = [] if os.path.exists(path / "manifest.json") else _sweeps_in(path)
        runs, reasons = find_readable(found)
        if found and not runs:
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            raise BadInput(f"{path} holds no run that can be shown: {reasons[0].rstrip('.')}{more}.")
        given += runs or [path]
        left_out += reasons
    return load_runs(given), list(dict.fromkeys(left_out))
