"""A run in a few facts, for the end of a command and for ``wrongkey ls``: as sentences, and as JSON."""

from __future__ import annotations

from typing import Any

from wrongkey.progress import duration
from wrongkey.reports.runs import Run
from wrongkey.reports.statistics.key_statistics import KeyStatistics, summarise


def facts(run: Run) -> dict[str, Any]:
    """What a sweep's run folder shows, by name, as ``--json`` prints it. Scores are in the metric's unit."""
    found = summarise(run)
    return {
        "folder": str(run.folder),
        "kind": "sweep",
        "state": run.state,
        "date": run.manifest.get("ended") or run.manifest.get("started"),
        "model": run.model,
        "corpus": run.corpus,
        "recordings": run.recordings,
        "task": run.task,
        "scheme": run.scheme,
        "blocks": run.blocks,
        "block_size": run.block_size,
        "variant": run.variant,
        "keys": run.keys_done,
        "metric": found.metric.name,
        "plain": None if found.plain is None else found.plain.value,
        "median": found.median,
        "best_wrong_key": {
            "score": found.worst.score.value,
            "low": found.worst.score.low,
            "high": found.worst.score.high,
            "seed": found.worst.key_seed,
            "index": found.worst.key_index,
        },
        "within": [
            {"distance": guess.distance, "keys": guess.hits, "of": guess.tried, "guesses": guess.expected}
            for guess in found.guesses
        ],
        "seconds": run.manifest.get("seconds"),
        "self_checks_passed": sum(check.passed for check in run.self_checks),
        "self_checks": len(run.self_checks),
        "cautions": run.cautions,
    }


def sentences(run: Run) -> list[str]:
    """A sweep's result in two lines: how incorrect keys do, and how many are as good as the correct one."""
    found = summarise(run)
    metric = found.metric
    plural = "s" if found.n != 1 else ""
    first = f"{found.n:,} {run.key_words}{plural}, {run.setting}: "
    first += f"{'median ' if found.n > 1 else ''}{metric.label} {metric.words(found.median)}"
    if found.plain is not None:
        first += f", plain {metric.words(found.plain.value)}"
    if found.n > 1:
        first += f", best wrong key {metric.words(found.worst.score.value)} (index {found.worst.key_index})"
    return [f"{first}.", f"{_closeness(found)} {duration(run.manifest.get('seconds') or 0.0)} of computing."]


def result(run: Run) -> str:
    """The same in a few words."""
    found = summarise(run)
    metric = found.metric
    plain = "" if found.plain is None else f", plain {metric.words(found.plain.value)}"
    best = f"best wrong key {metric.words(found.worst.score.value)}"
    return f"median {metric.label} {metric.words(found.median)}{plain}, {best}"


def _closeness(found: KeyStatistics) -> str:
    if not found.guesses:
        return "The plain model was not measured."
    nearest = found.guesses[0]
    distance = found.metric.distance_words(nearest.distance)
    return f"{nearest.hits:,} of {nearest.tried:,} keys came within {distance} of the plain model."
