"""Every case of a run judged: an attack in one case against one asset, beside random keys.

For an attack that is after a key, two questions are asked for each asset: does it succeed for more keys than random
keys do (a share), and are its measured values better than theirs (a tendency)? The p-values of all questions of the run
are corrected together. An attack that returns a model instead of a key is judged by the interval of its error over
speakers.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wrongkey.evaluation.run_folder.successes import UNLOCKED, decrypted, numbers, recovered, unlocked
from wrongkey.reports.attacks.attacked_task import AttackedTask
from wrongkey.reports.attacks.decisions import (
    ALPHA,
    ALWAYS,
    ENOUGH_TRIALS,
    LEAST_SHARE,
    Array,
    breaks,
    larger,
    more_hits,
    more_than,
    share_interval,
    significant,
)
from wrongkey.reports.attacks.rows import GUESSING, AttackRun, Outcome
from wrongkey.reports.attacks.threats import Word
from wrongkey.reports.effective_error import effective_interval
from wrongkey.reports.rounding import decibels, rounded
from wrongkey.reports.statistics.multiplicity import holm

NO_INTERVAL = "no interval over speakers was measured: the same wrongkey attack command into a new folder measures one"
NO_BASELINE = "no baseline of random keys was measured"
NEARER = 0.25  # of the way from random keys to plain: how much better an error must be to weaken a scheme
KEYED = ("key", "speech", "use")


@dataclass(frozen=True)
class Graded:
    """A measured value that may be better than that of random keys.

    better: turns the values so that larger is better for the attack.  nothing: what a trial without a key scores then.
    material: by how much the median must be better to weaken a scheme.
    """

    column: str
    name: str
    better: Callable[[Array], Array]
    nothing: float
    material: float
    form: str
    unit: str = ""


GRADED: dict[str, tuple[Graded, ...]] = {
    "key": (Graded("key_error", "key error", np.negative, -(2**0.5), 0.2, ".2g"),),
    "speech": (
        # Silence has 0 dB and needs no attack: values below that are all the same.
        Graded("snr", "SNR", lambda values: np.maximum(values, 0.0), 0.0, 3.0, ".1f", " dB"),
        Graded("stoi", "STOI", lambda values: values, 0.0, 0.1, ".2f"),
    ),
    "use": (Graded("error", "error", np.negative, -1e9, 1.0, ".1f", " %"),),
}


@dataclass(frozen=True)
class Effect:
    """A measured value beside that of random keys, medians of both.

    p: of the hypothesis that it is no better.  p_holm: the same, corrected for all hypotheses of the run.
    material: whether it is better by enough to matter.
    """

    column: str
    name: str
    p: float
    median: float
    null: float
    material: bool
    form: str
    unit: str
    p_holm: float = float("nan")

    @property
    def words(self) -> str:
        """The value beside that of random keys, in words."""
        ours, theirs = map(self._written, (self.median, self.null))
        return f"median {self.name} {ours} (random keys {theirs})"

    def _written(self, value: float) -> str:
        return (
            decibels(value, self.form, self.unit) if self.column == "snr" else f"{rounded(value, self.form)}{self.unit}"
        )


@dataclass(frozen=True)
class Judged:
    """A case against one asset, and the word for it.

    hits of outcome.n trials, null_hits of null_n random keys.  p: NaN where nothing was tested.  hint: undecided, but
    something was seen.
    """

    outcome: Outcome
    asset: str
    word: Word = Word.UNDECIDED
    reason: str = ""
    hits: int | None = None
    null_hits: int = 0
    null_n: int = 0
    p: float = float("nan")
    p_holm: float = float("nan")
    effects: tuple[Effect, ...] = ()
    hint: bool = False

    @property
    def trials(self) -> int:
        """Trials that ended."""
        return self.outcome.n

    @property
    def broke_down(self) -> bool:
        """Whether every trial failed with an exception, so that nothing is known."""
        return self.outcome.n == 0

    @property
    def share(self) -> float:
        """Hits per trial; NaN where no keys are counted."""
        return self.hits / self.trials if self.hits is not None and self.trials else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the share; NaN where no keys are counted."""
        return (float("nan"),) * 2 if self.hits is None else share_interval(self.hits, self.trials)


def judge(run: AttackRun) -> list[Judged]:
    """All cases of a run against all the assets that they are after, in the order of the outcomes."""
    cases = []
    for outcome in run.outcomes:
        if outcome.attack == GUESSING:  # the sweep's incorrect keys are not trials of an attack
            continue
        if outcome.wants_key:
            assets = KEYED if run.task else KEYED[:2]
            cases += [_tested(run, outcome, asset) for asset in assets]
        elif run.task is not None and (outcome.scored or not outcome.n):
            cases.append(_modelled(run.task, Judged(outcome, outcome.asset)))
    return _corrected(cases)


def _tested(run: AttackRun, outcome: Outcome, asset: str) -> Judged:
    """The case with its p-values; without them where no trial ended, or the task's error decides nothing."""
    case = Judged(outcome, asset)
    if not outcome.n:
        return replace(case, reason=_breakdown(outcome))
    null = run.null
    if asset == "use":
        assert run.task is not None
        if doubt := run.task.doubt(UNLOCKED):
            return replace(case, reason=doubt)
        null = null[null["error"].notna()]
    hits, null_hits = (int(_succeeded(rows, asset, run.task).sum()) for rows in (outcome.ended, null))
    case = replace(case, hits=hits, null_hits=null_hits, null_n=len(null))
    if not len(null):
        return replace(case, p=more_than(ALWAYS, hits, outcome.n))
    p = float(more_hits(hits, outcome.n, null_hits, len(null)))
    return replace(case, p=p, effects=_effects(outcome.ended, null, asset, run.task))


def _breakdown(outcome: Outcome) -> str:
    """Why nothing is known of a case of which every trial failed."""
    return f"broke down in {outcome.failed} of {outcome.failed} trials ({outcome.rows['failed'].iloc[0]}): repair it"


def _succeeded(rows: pd.DataFrame, asset: str, task: AttackedTask | None) -> NDArray[np.bool_]:
    """Per trial: whether the asset ("key", "speech" or "use") is lost."""
    if asset == "use" and task is not None:
        return unlocked(task.effective(numbers(rows, "error")), task.plain)
    return recovered(rows) if asset == "key" else decrypted(rows)


def _effects(rows: pd.DataFrame, null: pd.DataFrame, asset: str, task: AttackedTask | None) -> tuple[Effect, ...]:
    """How the asset's measured values compare with those of random keys.

    The test is against all random keys; whether a gain is material is measured on the victims of the case alone,
    because the speech of some victims is decrypted more easily than that of others by any key.
    """
    found = []
    alike = np.ones(len(null), dtype=bool)
    if asset == "speech" and "victim" in null and "victim" in rows:
        same = np.asarray(null["victim"].isin(rows["victim"]))
        alike = same if same.any() else alike
    for value in GRADED[asset]:
        ours, theirs = (numbers(table, value.column) for table in (rows, null))
        if asset == "use" and task is not None:
            ours, theirs = task.effective(ours), task.effective(theirs)
        ours, theirs = value.better(ours), value.better(theirs)
        if np.isnan(theirs).all() or np.isnan(ours).all():
            continue
        ours, theirs = (np.where(np.isnan(table), value.nothing, table) for table in (ours, theirs))
        beside = theirs[alike]
        gain = float(np.median(ours) - np.median(beside))
        least = value.material
        if asset == "use" and task is not None:
            least = max(least, NEARER * (-float(np.median(beside)) - task.plain))
        effect = Effect(
            value.column,
            value.name,
            p=float(larger(ours, theirs)),
            median=abs(float(np.median(ours))),
            null=abs(float(np.median(beside))),
            material=gain >= least,
            form=value.form,
            unit=value.unit,
        )
        found.append(effect)
    return tuple(found)


def _corrected(cases: list[Judged]) -> list[Judged]:
    """The words, once the p-values of all cases are known."""
    raw = [[case.p, *(effect.p for effect in case.effects)] if np.isfinite(case.p) else [] for case in cases]
    adjusted = iter(holm(np.concatenate([*raw, []])).tolist())
    corrected = [[next(adjusted) for _ in own] for own in raw]
    return [_decided(case, own) if own else case for case, own in zip(cases, corrected, strict=True)]


def _decided(case: Judged, adjusted: list[float]) -> Judged:
    """The word for a case with its corrected p-values: that of the share, then those of its effects."""
    n, measured = case.trials, case.null_n > 0
    effects = tuple(replace(one, p_holm=p) for one, p in zip(case.effects, adjusted[1:], strict=True))
    case = replace(case, p_holm=adjusted[0], effects=effects)
    low = case.interval[0]
    if measured and breaks(case.p_holm, low, n):
        return replace(case, word=Word.BROKEN)
    if not measured and n >= ENOUGH_TRIALS and case.p_holm <= ALPHA:  # more than half of the keys
        return replace(case, word=Word.BROKEN, reason=NO_BASELINE)
    if measured and significant(case.p_holm, n):
        few = f"perhaps fewer than {100 * LEAST_SHARE:.0f} % of keys fall"
        return replace(case, word=Word.WEAKENED, reason=few)
    for effect in effects:
        if effect.material and significant(effect.p_holm, n):
            return replace(case, word=Word.WEAKENED, reason=effect.words)
    hint = bool(case.hits) and (case.null_hits == 0 or case.p <= ALPHA)
    if not measured:
        remedy = "the same wrongkey attack command into a new folder measures one"
        return replace(case, reason=f"{NO_BASELINE}: {remedy}", hint=hint)
    if hint:
        few = "some keys fall, too few to distinguish from chance: more --trials decide"
        return replace(case, reason=few, hint=True)
    if n < ENOUGH_TRIALS:
        few = "1 trial is too few" if n == 1 else f"{n} trials are too few"
        return replace(case, reason=f"{few}; at least {ENOUGH_TRIALS} are needed")
    return replace(case, word=Word.NOT_SHOWN)


def _modelled(task: AttackedTask, case: Judged) -> Judged:
    """The word for an attack that returns a model: its error beside plain and chance, by its interval over speakers.

    Intervals have no p-values: these words stand outside Holm's correction, each at 95 %.
    """
    outcome = case.outcome
    if not outcome.n:
        return replace(case, reason=_breakdown(outcome))
    if doubt := task.doubt(task.margin):
        return replace(case, reason=doubt)
    error, low, high = model_error(outcome, task)
    if not np.isfinite([error, low, high]).all():
        return replace(case, reason=NO_INTERVAL, hint=True)
    if error <= task.plain + task.margin and high < task.half_way:
        return replace(case, word=Word.BROKEN)
    if high < task.chance - task.margin:
        return replace(case, word=Word.WEAKENED)
    if low >= task.half_way:
        return replace(case, word=Word.NOT_SHOWN)
    wide = f"the interval reaches from {low:.0f} to {high:.0f} %"
    return replace(case, reason=f"{wide}: more speakers decide", hint=True)


def model_error(outcome: Outcome, task: AttackedTask) -> tuple[float, float, float]:
    """Median error of an attack's models and its interval over speakers; of an EER the effective one."""
    error, low, high = (outcome.median(name) for name in ("error", "error_low", "error_high"))
    if task.two_sided:
        error, low, high = (float(end) for end in effective_interval(error, low, high))
    return error, low, high
