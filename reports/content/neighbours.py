"""The parts of a report that lie in other rooms, and are left out where an installation does not have them."""

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import pandas as pd

from wrongkey.reports.analyses import Analysis
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.statistics.key_statistics import KeyStatistics


def board_of(results: Sequence[KeyStatistics], attacks: Sequence[AttackRun], analyses: Sequence[Analysis]) -> Any:
    """The verdict board; None where it cannot be made."""
    module = _module("wrongkey.reports.board")
    return module.board(results, attacks, analyses) if module else None


def survival_of(result: KeyStatistics) -> Any:
    """The survival curve of guesses; None where it cannot be made."""
    module = _module("wrongkey.reports.statistics.survival")
    return module.survival(result) if module else None


def survival_drawn(results: Sequence[KeyStatistics]) -> Any:
    """The figure of survival curves; None where it cannot be made."""
    module = _module("wrongkey.reports.figures.survival")
    return module.survival_figure(results) if module else None


def clips_of(folders: Sequence[Any], real: bool) -> Any:
    """What can be heard; None where it cannot be found."""
    module = _module("wrongkey.reports.listen")
    return module.find_clips(folders, real=real) if module else None


def latex_table(table: pd.DataFrame, caption: str, label: str) -> str:
    """A table for LaTeX; without caption where only the plain writer is there."""
    if module := _module("wrongkey.reports.latex"):
        return str(module.to_latex(table, caption, label))
    return str(import_module("wrongkey.reports.tables").to_latex(table))


def _module(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
