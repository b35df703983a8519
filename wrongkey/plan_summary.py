"""The plan of a sweep in sentences, and a table of its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wrongkey.progress import duration
from wrongkey.reports.rounding import two_digits

if TYPE_CHECKING:
    from wrongkey.evaluation.planning.plan import Plan
    from wrongkey.evaluation.planning.prediction import Prediction

NO_GPU = "Memory of the GPU is not predicted: a pass that does not fit there is halved."
NO_MEMORY = "Memory is not predicted, since this system does not tell how large a process is."


def sentences(plan: Plan) -> list[str]:
    """What a sweep would take; one that has nothing left to ask takes nothing."""
    measured, predicted = plan.measured, plan.prediction
    speech = f"{measured.summary}, {duration(measured.seconds)} of speech"
    if predicted is None:
        return [f"All {measured.total:,} incorrect keys are in {plan.folder} already: nothing is left to ask."]
    there = f"; {plan.there:,} are in {plan.folder} already" if plan.there else ""
    total = predicted.total
    return [
        f"{predicted.keys:,} of {measured.total:,} incorrect keys are to be asked{there}: {speech}.",
        f"The sweep would take about {duration(total.clock)} by the clock and {duration(total.cpu)} of CPU:",
        *_table(plan, predicted),
        _memory(predicted),
        *([] if measured.device == "cpu" else [NO_GPU]),
        f"Disk: about {size(predicted.disk)} in {plan.folder}, where nothing was written now.",
        f"This rests on {duration(plan.took.clock)} of calibration with {measured.measured:,} of the "
        f"{measured.utterances:,} utterances. Times by the clock change with other work on this machine.",
    ]


def size(count: int) -> str:
    """Bytes in words.

    Examples
    --------
    >>> [size(count) for count in (900, 120_400, 537_000_000, 2_500_000_000)]
    ['900 bytes', '120 kB', '537 MB', '2.5 GB']
    """
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least:
            return f"{count / least:.3g} {unit}"
    return f"{count} bytes"


def _table(plan: Plan, predicted: Prediction) -> list[str]:
    key, processes = plan.measured.key.clock, predicted.workers
    by = f" by {processes} processes" if processes > 1 else ""
    names = {
        "start": f"start and end of {1 + processes} processes",
        "prepare": "model and speech",
        "check": "self-checks, conditions without a key",
        "keys": f"{predicted.keys:,} keys of {two_digits(key)} s{by}",
        "finish": "clips",
    }
    width = max(map(len, names.values()))
    return [f"  {names[part]:{width}}  {duration(cost.clock):>10}" for part, cost in predicted.time.items()]


def _memory(predicted: Prediction) -> str:
    main, worker, source, total = (predicted.memory[name] for name in ("main", "worker", "source", "total"))
    if main is None or worker is None or total is None:
        return NO_MEMORY
    others = "one other process" if predicted.workers == 1 else f"each of {predicted.workers} others"
    parts = f"{size(main)} of the sweep's own process and {size(worker)} of {others}"
    if source:
        parts += f", and {size(source)} of the one that they are forked from"
    return f"Memory: about {size(total)} at most, {parts}."
