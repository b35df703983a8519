"""What the model's error can show about attacks: plain, chance, the finest step, and what incorrect keys give.

All in points of the task's error (EER, WER, CER, or 100 - accuracy, in percent).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from wrongkey.evaluation.run_folder.successes import UNLOCKED, Array, unlocked
from wrongkey.reports.attacks.decisions import median_interval
from wrongkey.reports.effective_error import effective_error, is_two_sided
from wrongkey.reports.metrics import METRICS

NEAR_CHANCE = 0.2  # of the way from chance to a perfect model: a plain model within that has nothing to protect
MARGIN = 0.1  # of the way from plain to chance: within it is as good as plain, where that is more than a point


@dataclass(frozen=True, eq=False)
class AttackedTask:
    """The task's error, from the sweep beside the attacks.

    name: as in text, such as "EER".  plain: of the plain model.  chance: of guessing (of a recogniser: 100).
    correct: with the correct key, which is more than plain where speech is changed before encryption.
    step: by how much one trial, word or utterance moves it; NaN where that is not known.
    incorrect: `(keys,)`, of incorrect keys.  key_space: how many keys exist, with the correct one; None where they
    are a continuum, or too many to count.  two_sided: an EER, which above 50 % need only be inverted.  distances: how
    close to plain an adversary wants to come, in points, the smallest first.
    """

    name: str
    plain: float
    correct: float
    chance: float
    step: float
    incorrect: Array
    key_space: int | None = None
    two_sided: bool = False
    distances: tuple[float, ...] = METRICS["eer"].distances

    @property
    def exhaustive(self) -> bool:
        """Whether every incorrect key was tried."""
        return self.key_space is not None and len(self.incorrect) >= self.key_space - 1

    def effective(self, errors: Array) -> Array:
        """What errors are worth to an adversary: of an EER e, min(e, 100 - e)."""
        return effective_error(errors) if self.two_sided else errors

    @property
    def effective_name(self) -> str:
        """The name for effective errors of the incorrect keys, where some of them were inverted."""
        inverted = self.two_sided and bool((self.incorrect > 50).any())
        return f"effective {self.name}" if inverted else self.name

    @property
    def margin(self) -> float:
        """Points within which an adversary's model, or a median of keys, counts as good as plain."""
        return max(UNLOCKED, MARGIN * (self.chance - self.plain))

    @property
    def half_way(self) -> float:
        """The error half way between plain and chance."""
        return (self.plain + self.chance) / 2

    @property
    def unusable(self) -> str:
        """Why the plain model leaves nothing to protect, as far as is known; empty where it does."""
        if not np.isfinite(self.plain):
            return "the plain model was not measured"
        if self.plain >= self.chance * (1 - NEAR_CHANCE):
            return f"the plain model’s {self.name} of {self.plain:.1f} % is near chance: there is nothing to protect"
        return ""

    def doubt(self, limit: float) -> str:
        """Why the error decides nothing at a limit, in points; empty where it does."""
        if self.unusable:
            return self.unusable
        if self.step > limit + 1e-9:
            return (
                f"the {self.name} moves in steps of {self.step:.2g} points, more than the limit of {limit:.2g}: "
                "more speech decides"
            )
        return ""

    @property
    def incorrect_median(self) -> tuple[float, float, float]:
        """Median effective error of incorrect keys and its exact 95 % interval; NaN where there are none."""
        if not len(self.incorrect):
            return (float("nan"),) * 3
        errors = self.effective(self.incorrect)
        middle = float(np.median(errors))
        return middle, *((middle, middle) if self.exhaustive else median_interval(errors))

    def within(self, distance: float) -> int:
        """How many of the incorrect keys come within `distance` points of plain, or do better."""
        return int(unlocked(self.effective(self.incorrect), self.plain, distance).sum())


def error_name(metric: str | None) -> str:
    """A task's error as in text.

    Examples
    --------
    >>> error_name("eer"), error_name("accuracy"), error_name(None)
    ('EER', '100 - accuracy', 'error')
    """
    if metric == "accuracy":
        return "100 - accuracy"
    return METRICS[metric].label if metric in METRICS else "error"


def task_of(metric: str | None, manifest: Mapping[str, Any], errors: pd.DataFrame) -> AttackedTask:
    """What a sweep's error can show.

    errors: of that metric, in percent: columns condition, value, n.  manifest: of the sweep; empty where there is none.
    """

    def under(condition: str) -> Array:
        return errors[errors["condition"] == condition]["value"].to_numpy(dtype=np.float64)

    classes = len(manifest.get("classes") or ()) or (manifest.get("corpus") or {}).get("classes")
    chance = {"eer": 50.0, "accuracy": 100 - 100 / classes if classes else 100.0}.get(str(metric), 100.0)
    plain, wrong = under("plain"), manifest.get("key_space")  # of incorrect keys
    return AttackedTask(
        error_name(metric),
        _median(plain),
        _median(under("correct")),
        chance,
        _step(metric, manifest.get("trials") or {}, errors),
        under("incorrect"),
        key_space=None if wrong is None else int(wrong) + 1,
        two_sided=is_two_sided(metric),
        distances=METRICS[metric].distances if metric in METRICS else METRICS["eer"].distances,
    )


def _median(errors: Array) -> float:
    return float(np.median(errors)) if len(errors) else float("nan")


def _step(metric: str | None, trials: Mapping[str, Any], errors: pd.DataFrame) -> float:
    """Points by which one trial, word or utterance moves the error; NaN where their number is not known."""
    if metric == "eer" and trials.get("target") is not None and trials.get("nontarget") is not None:
        return 100 / max(1, min(int(trials["target"]), int(trials["nontarget"])))
    asked = errors[errors["condition"] == "plain"]["n"]
    if not len(asked) or not asked.iloc[0] > 0:
        return float("nan")
    return (200 if metric == "eer" else 100) / float(asked.iloc[0])  # half of the trials are of one speaker
