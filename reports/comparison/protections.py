"""Run folders as `gate` compares them: the keys and speakers that two runs share, and what each run shows."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wrongkey.reports.attacks.rows import load_attacks
from wrongkey.reports.comparison.attack_shares import attack_shares
from wrongkey.reports.comparison.gain_of_errors import standard_error
from wrongkey.reports.comparison.gain_of_means import KeyScores
from wrongkey.reports.comparison.gate import Protection
from wrongkey.reports.effective_error import effective_interval, is_two_sided
from wrongkey.reports.metrics import Metric
from wrongkey.reports.runs import Run
from wrongkey.reports.statistics.key_statistics import KeyStatistics

Array = NDArray[np.float64]
Keys = set[tuple[int, int]]  # seed and index


def common_keys(a: Run, b: Run, metric: Metric) -> Keys | None:
    """The keys of the smaller run where the other one has all of them too, and not twice as many; else None.

    Where one run has many more keys, leaving them out would cost more than pairing gains.
    """
    if any(getattr(a, name) != getattr(b, name) for name in ("scheme", "blocks", "block_size", "dims", "key_space")):
        return None
    of_a, of_b = (set(_keys(run, metric)) for run in (a, b))
    common = of_a & of_b
    paired = len(common) == min(len(of_a), len(of_b)) and 2 * len(common) > max(len(of_a), len(of_b))
    return common if paired else None


def share_speakers(a: Run, b: Run) -> bool:
    """Whether corpus and trials (of a task that has some) are the same; unknown ones count as different."""
    left, right = a.section("identity"), b.section("identity")
    return bool(left.get("corpus")) and all(left.get(name) == right.get(name) for name in ("corpus", "trials"))


def _keys(run: Run, metric: Metric) -> list[tuple[int, int]]:
    rows = run.rows("incorrect", metric.name)
    return list(zip(rows["key_seed"].astype(int), rows["key_index"].astype(int), strict=True))


def sign(metric: Metric) -> float:
    """The factor that turns a score of a metric into the direction of safety."""
    return 1.0 if metric.higher_is_safer else -1.0


def effective(run: Run) -> Run:
    """The run with the effective error in place of every EER; intervals keep their width."""
    scores = run.scores.copy()
    two_sided = scores["metric"].map(is_two_sided).to_numpy(dtype=bool)
    columns = ["value", "ci_low", "ci_high"]
    turned = effective_interval(*(scores.loc[two_sided, name] for name in columns))
    for name, values in zip(columns, turned, strict=True):
        scores.loc[two_sided, name] = values
    return replace(run, scores=scores)


def protection(side: KeyStatistics, other: KeyStatistics, common: Keys | None, same_speakers: bool) -> Protection:
    """What a run shows about its keys, in the direction of safety; `common`: of these keys alone."""
    run, metric, direction = side.run, side.metric, sign(side.metric)
    chosen = np.array([common is None or key in common for key in _keys(run, metric)])
    values = direction * side.values[chosen]
    errors = np.zeros(len(values))
    if not same_speakers:
        errors = _speaker_errors(run, run.rows("incorrect", metric.name)[["ci_low", "ci_high"]].to_numpy()[chosen])
    gaps, gap_errors = None, errors
    best = max(float(values.max()), float((direction * other.values).max()), direction * metric.end)
    worst = float(values.min())
    if side.plain is not None:
        gaps = values - direction * side.plain.value
        worst = min(worst, direction * side.plain.value)
        if not same_speakers:
            plain = run.rows("plain", metric.name)[["ci_low", "ci_high"]].to_numpy()
            gap_errors = np.hypot(errors, _speaker_errors(run, plain).mean())
    exhaustive = run.exhaustive and len(values) == side.n
    speakers = _speakers(run)
    error = float(np.nan_to_num(errors.mean()))
    scores = KeyScores(values, worst, best, exhaustive, error, speakers)
    attacked, others = (attack_shares(load_attacks(one.folder)) for one in (run, other.run))
    return Protection(scores, gaps, gap_errors, attacked.beside(others))


def _speakers(run: Run) -> int:
    found = run.section("corpus").get("speakers")
    return found if isinstance(found, int) else 0


def _speaker_errors(run: Run, intervals: Array) -> Array:
    """Standard errors over speakers from 95 % percentile intervals (n, 2); NaN where there are none."""
    speakers = _speakers(run)
    if speakers < 2:
        return np.full(len(intervals), np.nan)
    half = (intervals[:, 1] - intervals[:, 0]) / 2
    return np.asarray(half * standard_error(1.0, speakers))
