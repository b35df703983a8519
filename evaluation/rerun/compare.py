"""Whether the scores of a run that was made again are those that it had: bit for bit, or within a tolerance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wrongkey.evaluation.hardware import TOLERANCE
from wrongkey.evaluation.rerun.difference import Difference
from wrongkey.evaluation.rerun.manifest import changes
from wrongkey.evaluation.rerun.outputs import differing_outputs
from wrongkey.evaluation.run_folder.schema import read_manifest
from wrongkey.evaluation.run_folder.scores import read_scores
from wrongkey.evaluation.run_folder.vocabulary import PRIMARY_METRIC

ROW = ["condition", "key_index", "metric"]  # what a score is of
NUMBERS = {  # what a score holds, and how it is called beside the metric
    "value": "",
    "ci_low": ", lower bound",
    "ci_high": ", upper bound",
    "n": ", count",
}


@dataclass(frozen=True)
class Compared:
    """Two runs of one experiment beside each other.

    Attributes
    ----------
    keys, scores : int
        How many were compared.
    metric : str
        The one that decides where the runs need not be equal bit for bit.
    allowed : float
        By how much it may differ there, in its unit.
    tolerance : float
        Of the self-checks, from which `allowed` follows.
    changed : list of str
        What rounding depends on and was another; where it is empty, only equal bits will do.
    differing : list of Difference
        Scores that are not equal bit for bit, the metric first and the largest difference first.
    outputs : list of Difference or None
        Trials or utterances that differ the most; None where no outputs were kept.
    """

    keys: int
    scores: int
    metric: str
    allowed: float
    tolerance: float
    changed: list[str]
    differing: list[Difference]
    outputs: list[Difference] | None

    @property
    def exact(self) -> bool:
        """Whether all scores, and all outputs that were kept, are equal bit for bit."""
        return not self.differing and not self.outputs

    @property
    def largest(self) -> float:
        """The largest difference of the metric that decides, in its unit."""
        return max((one.size for one in self.differing if one.of == self.metric), default=0.0)

    @property
    def equal(self) -> bool:
        """Whether the runs agree: bit for bit, or where rounding may differ, within the tolerance."""
        return self.exact or (bool(self.changed) and self.largest <= self.allowed)

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a document."""
        return {
            "equal": self.equal,
            "exact": self.exact,
            "keys": self.keys,
            "scores": self.scores,
            "metric": self.metric,
            "largest_difference": self.largest,
            "allowed_difference": self.allowed,
            "tolerance": self.tolerance,
            "changed": self.changed,
            "scores_differing": len(self.differing),
            "differing": [one.to_json() for one in self.differing[:100]],
            "outputs": None if self.outputs is None else [one.to_json() for one in self.outputs],
        }


def compare_runs(there: Path, here: Path) -> Compared:
    """Compare a run with the one that was made again from its manifest.

    Parameters
    ----------
    there, here
        The run folders.

    Raises
    ------
    BadInput
        For a folder that is damaged.
    """
    before, now = read_manifest(there), read_manifest(here)
    old, new = read_scores(there, before)[0], read_scores(here, now)[0]
    config = before["config"]
    metric = config.get("metric") or PRIMARY_METRIC[config["task"]]
    tolerance = TOLERANCE[config.get("precision", "float32")]
    kept = (there / "outputs").is_dir() and (here / "outputs").is_dir()
    return Compared(
        keys=old.loc[old["condition"] == "incorrect", "key_index"].nunique(),
        scores=len(old),
        metric=metric,
        allowed=100 * max(tolerance, _one_of_all(before)),
        tolerance=tolerance,
        changed=changes(before, now),
        differing=sorted(_differing(old, new), key=lambda one: (one.of != metric, -one.size)),
        outputs=differing_outputs(there, here) if kept else None,
    )


def _one_of_all(manifest: Mapping[str, Any]) -> float:
    """The share that one trial is of its kind, or one utterance of all: what a score that hardly changes may move."""
    trials = manifest.get("trials") or {}
    counts = [trials.get("target"), trials.get("nontarget"), (manifest.get("corpus") or {}).get("utterances")]
    kind = [count for count in counts[:2] if count] or [count for count in counts[2:] if count]
    return 1 / min(kind) if kind else 0.0


def _differing(old: pd.DataFrame, new: pd.DataFrame) -> Iterator[Difference]:
    """Scores of the old run that the new one has not, or has otherwise; it may have further ones."""
    both = old[[*ROW, *NUMBERS]].merge(new[[*ROW, *NUMBERS]], on=ROW, how="left", suffixes=("_there", "_here"))
    there, here = (
        both[[f"{name}_{side}" for name in NUMBERS]].to_numpy(dtype=np.float64) for side in ("there", "here")
    )
    unequal = ~((there == here) | (np.isnan(there) & np.isnan(here)))
    for row in np.flatnonzero(unequal.any(axis=1)):
        number = int(np.argmax(unequal[row]))  # the first that differs; of a score that is missing, its value
        condition, key, metric = both.loc[row, ROW]
        found = None if np.isnan(here[row, number]) else float(here[row, number])
        what = f"{metric}{list(NUMBERS.values())[number]}"
        yield Difference(str(condition), int(key), what, float(there[row, number]), found)
