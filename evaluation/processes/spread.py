"""Calls spread over other processes: those of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import torch

from wrongkey.evaluation.hardware import choose_workers, threads_each
from wrongkey.evaluation.processes.cluster import cluster, cluster_size, tell_begun, threads_of_worker
from wrongkey.evaluation.processes.dispatch import Call, collect
from wrongkey.evaluation.processes.late import Late
from wrongkey.evaluation.processes.pool import processes
from wrongkey.evaluation.processes.watch import Watch

Prepared = TypeVar("Prepared")

# The threads of a Dask worker share one model, whose first layer holds the kernels of the keys it is asked under.
_one_at_a_time = threading.Lock()
_held: dict[Hashable, Any] = {}  # one at most


def places(workers: int | None, device: torch.device, scheduler: str | None) -> tuple[int, int]:
    """Processes that compute here, and calls that are computed at a time: here, or by the workers of a scheduler."""
    if scheduler is None:
        here = choose_workers(workers, device)
        return here, here
    return 1, choose_workers(cluster_size(scheduler) if workers is None else workers, device)


def spread(
    function: Callable[..., Any],
    calls: Sequence[Call],
    workers: int,
    scheduler: str | None,
    watch: Watch,
    timeout: float | None = None,
    lists: Mapping[str, bytes] | None = None,
    ahead: int = 1,
    late: Late | None = None,
) -> Generator[Any, None, None]:
    """What a function answers to every call, as it is done.

    Parameters
    ----------
    function
        Called in a worker, where it must be importable.
    calls
        Its arguments.
    workers
        Calls that are computed at a time; a cluster may have more workers.
    scheduler
        That of a Dask cluster; None for processes of this machine.
    watch, timeout
        As for `wrongkey.evaluation.processes.dispatch.collect`.
    lists
        Lists of utterances for workers that lack them (`wrongkey.evaluation.processes.lists`).
    ahead
        Calls that wait at each worker of a cluster. A call that waits behind a long one is not always given to a worker
        that has nothing to do.
    late
        Says what becomes of a call that takes longer than ``timeout``; by default it ends all of them.

    Raises
    ------
    BadInput
        For a cluster that cannot be reached, a worker that dies, and a call that takes longer than ``timeout``, unless
        ``late`` gives it to another worker.
    """
    again = late.again if late else None
    if scheduler is None:
        with processes(workers, threads_each(workers)) as pool:
            yield from collect(pool, function, calls, workers, watch, timeout=timeout, again=again)
        return
    with cluster(scheduler) as machines:
        yield from collect(
            machines,
            function,
            calls,
            lambda: max(machines.size, workers),
            watch,
            timeout=timeout,
            begun=machines.begun,
            again=again,
            lists=lists,
            ahead=ahead,
        )


def alone(threads: int | None, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a worker with so many threads of PyTorch; None takes those of the Dask worker.

    The threads of the worker itself take turns. A Dask worker tells its caller whose turn it is.
    """
    with _one_at_a_time:
        if threads is None:
            tell_begun()
        torch.set_num_threads(threads or threads_of_worker())
        return function(*arguments)


def held(asked: Hashable, prepare: Callable[[], Prepared]) -> Prepared:
    """What a worker prepares once; what it held before goes first, since two corpora may not fit into the memory."""
    if asked not in _held:
        _held.clear()
        _held[asked] = prepare()
    found: Prepared = _held[asked]
    return found
