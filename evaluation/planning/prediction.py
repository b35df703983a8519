"""From what was measured to what a whole sweep takes: arithmetic alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wrongkey.evaluation.planning.calibration import Calibration
from wrongkey.evaluation.planning.cost import Cost
from wrongkey.evaluation.processes.pool import FORKED
from wrongkey.evaluation.sweep import keys_per_shard


@dataclass(frozen=True)
class Prediction:
    """What a sweep takes.

    Attributes
    ----------
    keys : int
        Incorrect keys that are asked.
    workers, shards : int
        Processes, and score files.
    time : dict of str to Cost
        Seconds by the parts of the sweep; that of `keys` is divided among the processes.
    memory : dict of str to int or None
        Largest resident bytes: of the sweep's own process, of each other one, of the one that the others are forked
        from (0 where there is none), and of all together, whose shared pages count in each; None where the system does
        not tell.
    disk : int
        Bytes that are written.
    """

    keys: int
    workers: int
    shards: int
    time: dict[str, Cost]
    memory: dict[str, int | None]
    disk: int

    @property
    def total(self) -> Cost:
        """Cost of the whole."""
        return sum(self.time.values(), Cost())

    def to_json(self) -> dict[str, Any]:
        """Return the prediction as a document."""
        return {
            "keys": self.keys,
            "workers": self.workers,
            "shards": self.shards,
            "seconds": self.total.clock,
            "cpu_seconds": self.total.cpu,
            "parts": {name: {"seconds": one.clock, "cpu_seconds": one.cpu} for name, one in self.time.items()},
            "memory_bytes": self.memory,
            "disk_bytes": self.disk,
        }


def predict(measured: Calibration, missing: int, workers: int, early: bool = True, forked: bool = FORKED) -> Prediction:
    """Say what a sweep takes.

    Parameters
    ----------
    measured
        What its parts cost.
    missing
        Incorrect keys that the run folder lacks, at least 1.
    workers
        Processes, at least 1; a single one is the sweep's own. Each is reckoned to be as fast as one alone.
    early
        Whether the others are started while this one imports: not where their number follows from what keys cost.
    forked
        Whether they need not import, since one process has done so for all of them, at that time.
    """
    size = keys_per_shard(measured.key.clock, measured.memory.key, measured.total, workers)
    shards = -(-missing // size)
    in_turn = -(-shards // workers)  # shards of the busiest process
    keys, shard = measured.key, measured.shard
    others = workers if workers > 1 else 0  # that prepare what the sweep's own process has prepared
    asking = Cost(
        min(in_turn * size, missing) * keys.clock + in_turn * shard.clock + bool(others) * measured.again.clock,
        missing * keys.cpu + shards * shard.cpu + others * measured.again.cpu,
    )
    waits = 1 if early or forked else 2  # for itself, and then for its first worker
    unused = 0 if early or workers == 1 else 1  # the process that was started before their number was known
    importing = 2 if forked else 1 + workers + unused
    started = Cost(waits * measured.start.clock, importing * measured.start.cpu)
    time = {
        "start": started,
        "prepare": measured.prepare,
        "check": measured.begin,
        "keys": asking,
        "finish": measured.end,
    }
    return Prediction(
        missing, workers, shards, time, _memory(measured, size, workers), _disk(measured, shards, missing)
    )


def _memory(measured: Calibration, size: int, workers: int) -> dict[str, int | None]:
    """Resident bytes: what was measured, and what all of the speech and a whole shard add to it.

    Queries in a file count once, in the total, although each process that maps them has their pages.
    """
    memory = measured.memory
    if memory.main is None or memory.other is None:
        return {"main": None, "worker": None, "source": None, "total": None}
    speech = round(memory.in_each) if memory.mapped else memory.speech
    file = memory.speech if memory.mapped or (memory.shared and workers > 1) else 0
    shard = size * memory.key
    main = memory.main + speech - memory.speech_here  # it held them before it began a file
    compared = round(min(memory.float32, memory.in_each)) - memory.float32_here  # and given up again
    if workers == 1:  # it asks by itself; the other process has answered the self-checks
        main += max(shard - memory.keys_here * memory.key, compared, 0)
        worker = memory.other
    else:
        main += max(compared, 0)
        worker = memory.other + (0 if file else speech) + shard
    total = main + workers * worker + memory.source + file
    return {"main": main, "worker": worker, "source": memory.source, "total": total}


def _disk(measured: Calibration, shards: int, keys: int) -> int:
    return round(measured.disk.fixed + shards * measured.disk.shard + keys * measured.disk.key)
