"""What an analysis is: it looks at speech, models or a sweep, and returns a table and what follows from it.

The command line and `wrongkey.attacks.analyses.folder.analyse` treat every analysis in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

Progress = Callable[[int, int], None]  # is told how many steps are done, and how many there are


@dataclass(frozen=True)
class Findings:
    """What an analysis found.

    Attributes
    ----------
    table : DataFrame
        Its rows.
    about : mapping
        What was asked and what follows from the rows, as JSON can hold it; `sentences` are for the user.
    beside : mapping of str to DataFrame
        Further tables by name, which lie in files of their own.
    """

    table: pd.DataFrame
    about: Mapping[str, Any]
    beside: Mapping[str, pd.DataFrame] = field(default_factory=dict)


class Analysis(Protocol):
    """An analysis with its options, usually a frozen dataclass."""

    @property
    def name(self) -> str:
        """The name of its files: `analyses/NAME.parquet` and `analyses/NAME.json`."""

    def run(self, out: Path, progress: Progress | None = None) -> Findings:
        """Analyse.

        Parameters
        ----------
        out : Path
            The run folder. An analysis of a sweep reads the sweep there; one that makes sounds or pictures writes
            them into its folder `media`. An analysis that does neither may be run without it.
        progress : callable, optional
            Called with the steps done and the steps in all: keys, utterances, or schemes and block sizes.

        Raises
        ------
        BadInput
            Where there is nothing to analyse, or the options make no sense.
        """
