"""Incorrect keys, the adversary of the paper (IV-B): guess, ask the encrypted model, keep the best guess.

The guesses are those of a sweep (`wrongkey.evaluation.sweep`) in the same run folder, with whose scores the other
attacks are compared as well. The score of a guess depends on the correct key only through the product of the two, so
one sweep stands for every trial. The best guess is chosen by the victims' own trials, which flatters the guesser: it is
no verdict, and the report's section on incorrect keys says how many guesses come how near.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Need, Recovery, Setting, Threat
from wrongkey.attacks.harness.target import Target
from wrongkey.errors import BadInput
from wrongkey.evaluation.processes.watch import Report
from wrongkey.evaluation.run_folder.schema import read_manifest
from wrongkey.evaluation.run_folder.scores import read_scores
from wrongkey.evaluation.run_folder.vocabulary import error_percent
from wrongkey.evaluation.sweep import Progress, sweep
from wrongkey.keys import IncorrectKeys


class Guessing(AttackDefaults):
    """The best of n random keys by the task's score; the harness hands it the sweep that it reads."""

    name = "incorrect-keys"
    family = 1
    most_trials = 1
    any_key = True
    needs: frozenset[Need] = frozenset({"answers"})
    threat = Threat("Draws keys at random, asks the encrypted model, and keeps the key that works best.", needs)

    def __init__(self, target: Target, folder: Path, keys: int) -> None:
        self.target, self.folder, self.keys = target, folder, keys

    def inapplicable(self, setting: Setting) -> str | None:
        """None: keys can always be guessed."""
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """One case: as many guesses as were asked for, or as there are keys."""
        return [Case(queries=min(self.keys, self.guesses.total or self.keys))]

    @property
    def guesses(self) -> IncorrectKeys:
        """The keys that are guessed."""
        target = self.target
        return IncorrectKeys(target.scheme, target.setting.size, target.config.seed, target.sweep_key)

    def sweep(
        self,
        workers: int | None,
        scheduler: str | None,
        timeout: float | None,
        command: str | None,
        progress: Progress | None,
        report: Report | None,
    ) -> None:
        """Ask the model under `keys` incorrect keys, or finish asking."""
        config = self.target.sweep_config(self.target.victims_corpus, "victims.txt", self.keys)
        sweep(
            config,
            self.folder,
            workers=workers,
            backend="dask" if scheduler else "loky",
            scheduler=scheduler,
            timeout=timeout,
            command=command,
            progress=progress,
            report=report,
        )

    def run(self, evidence: Evidence) -> Recovery:
        """The guess with the least error; no success is claimed, since nothing tells guessers how near they are."""
        errors = incorrect_errors(self.folder, self.target.experiment.task.metric)
        best = errors.index[int(np.argmin(errors.to_numpy()))]
        return Recovery(
            self.guesses.batch(int(best), 1)[0],
            success_claimed=False,
            objective=float(errors.min()),
            queries=len(errors),
            measured={"median error": float(errors.median()), "best error": float(errors.min())},
        )


def incorrect_errors(folder: Path, metric: str) -> pd.Series:
    """The task's error in percent of every incorrect key of a run folder, by the key's index.

    Raises BadInput where the metric was not measured for some keys.
    """
    rows, _ = read_scores(folder, read_manifest(folder))
    rows = rows[rows["condition"] == "incorrect"]
    scores = rows[rows["metric"] == metric].set_index("key_index")["value"].sort_index()
    if len(scores) < rows["key_index"].nunique():
        raise BadInput(
            f"{folder} lacks {metric.upper()} for keys that an earlier wrongkey asked: attack again into a new folder."
        )
    return error_percent(metric, scores)
