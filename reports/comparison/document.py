"""A comparison as one JSON document, for other programs (`wrongkey compare --json`).

===============  =======================================================================================================
`format`         "wrongkey-comparison/1"
`of`             "sweeps", or "attacks" where one of the folders holds attacks alone
`verdict`        "shown", "worse" or "undecided"
`answer`         the verdict in a sentence
`a`, `b`         `folder` (its name), `label`; of sweeps `metric`, `keys`, and `mean`, `worst` and `plain` in the
                 metric's unit, of effective errors, each with `value`, `low` and `high` (95 %; null where there is
                 none)
`counts`         what the verdict rests on: `kind` ("mean", "tail", "attack" or "error"), `attack` (its name or ""),
                 `decision`, `gain` of B over A (in the metric's unit, or as a share) with its one-sided 95 % bounds
                 `low` and `high`, `p_worse`, `margin`, and all of it in a `sentence`
`locked`         of sweeps: whether fewer than one in ten of B's incorrect keys are shown to be as good as plain
`paired`,        of sweeps: whether the keys are the same, and whether speech and trials are
`same_speakers`
`description`    of sweeps, deciding nothing: `worst_gain` at as many keys as the smaller run has, `variance_ratio` of B
                 over A, `ks_statistic` and `ks_p` of Kolmogorov and Smirnov
`opened`         of attacks: those that open B
`strength`       sentences about the prediction of keys' errors; empty where it was not analysed for both
`warnings`       sentences about what else differs
===============  =======================================================================================================

A number that is not finite is null.
"""

import math
from typing import Any

from wrongkey.printable import printable
from wrongkey.reports.attacks.rows import AttackRun
from wrongkey.reports.comparison.compare import Comparison
from wrongkey.reports.comparison.compare_attacks import AttackComparison
from wrongkey.reports.comparison.sentences import ANSWERS
from wrongkey.reports.statistics.key_statistics import Estimate, KeyStatistics

FORMAT = "wrongkey-comparison/1"


def to_document(comparison: Comparison | AttackComparison) -> dict[str, Any]:
    """The comparison as the module's docstring says; all of it JSON has."""
    of_sweeps = isinstance(comparison, Comparison)
    return {
        "format": FORMAT,
        "of": "sweeps" if of_sweeps else "attacks",
        "verdict": comparison.verdict,
        "answer": ANSWERS[comparison.verdict],
        "a": _side(comparison.a),
        "b": _side(comparison.b),
        "counts": [
            {
                "kind": one.kind,
                "attack": one.attack,
                "decision": one.decision,
                "gain": _number(one.gain.value),
                "low": _number(one.gain.low),
                "high": _number(one.gain.high),
                "p_worse": _number(one.gain.p_worse),
                "margin": one.margin,
                "sentence": comparison.line(one),
            }
            for one in comparison.hypotheses
        ],
        **(_of_sweeps(comparison) if isinstance(comparison, Comparison) else {"opened": list(comparison.opened)}),
        "strength": list(comparison.strength),
        "warnings": list(comparison.warnings),
    }


def _of_sweeps(comparison: Comparison) -> dict[str, Any]:
    return {
        "locked": comparison.locked,
        "paired": comparison.paired,
        "same_speakers": comparison.same_speakers,
        "description": {
            "worst_gain": _number(comparison.worst),
            "variance_ratio": _number(comparison.variance_ratio),
            "ks_statistic": _number(comparison.ks_statistic),
            "ks_p": _number(comparison.ks_p),
        },
    }


def _side(side: KeyStatistics | AttackRun) -> dict[str, Any]:
    if isinstance(side, AttackRun):
        return {"folder": printable(side.folder.resolve().name), "label": printable(side.label)}
    return {
        "folder": side.run.name,
        "label": side.label,
        "metric": side.metric.name,
        "keys": side.n,
        "mean": _estimate(side.mean),
        "worst": _estimate(side.worst.score),
        "plain": _estimate(side.plain),
    }


def _estimate(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    return {name: _number(getattr(estimate, name)) for name in ("value", "low", "high")}


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
