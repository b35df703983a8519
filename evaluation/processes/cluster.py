"""A Dask cluster that computes for one caller.

A scheduler hands the calls to its workers. A call whose worker dies goes to another one; workers may join at any time.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from wrongkey.errors import BadInput, in_one_line

ANSWERS_WITHIN = 10.0  # seconds that a scheduler may take to answer; one that restarts is waited for as long
LOOKS_EVERY = 2.0  # seconds, whether somebody still waits for a long call
COMPUTED = frozenset({"executing", "long-running"})  # states of a call that somebody waits for
LOGS = ("distributed", "distributed.client", "tornado.application")


class Cluster(Executor):
    """The workers of a Dask scheduler as an executor."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._dask = client.get_executor(pure=False)  # every call is computed, also one with equal arguments
        self._size = 0

    @property
    def size(self) -> int:
        """Worker processes at present; at the last count where the scheduler does not answer."""
        with suppress(OSError, RuntimeError, AttributeError):  # of a lost connection: the calls in flight report it
            self._size = len(self._client.nthreads())
        return self._size

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in one of the workers."""
        future: Future[Any] = self._dask.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel what was submitted and is not computed yet; the workers are not ours to end."""
        if self._client.status == "running":  # of a lost scheduler there is nothing to cancel
            self._dask.shutdown(wait=wait)


def check_backend(backend: str, scheduler: str | None) -> None:
    """Raise BadInput for a backend that is unknown, not installed or without its scheduler's address."""
    if backend not in ("loky", "dask"):
        raise BadInput(f"The backend {backend!r} is unknown: choose loky or dask.")
    if backend == "loky" and scheduler is not None:
        raise BadInput("--scheduler is for a cluster: add --backend dask.")
    if backend == "dask" and scheduler is None:
        raise BadInput("--backend dask needs the scheduler's address: --scheduler tcp://host:8786.")
    if scheduler is not None and not re.fullmatch(r"((tcp|tls|wss?|ucx)://)?[^/\s]+:\d{1,5}", scheduler):
        raise BadInput(f"--scheduler must be an address such as tcp://host:8786, not {scheduler!r}.")
    if backend == "dask" and find_spec("distributed") is None:
        raise BadInput("--backend dask needs Dask: pip install 'wrongkey[cluster]'.")


@contextmanager
def cluster(scheduler: str) -> Iterator[Cluster]:
    """The cluster of a scheduler; what it still computes is cancelled at the end of the block, however that ends."""
    from dask.distributed import Client  # sets up its log

    with _quietly():
        try:
            client = Client(scheduler, timeout=ANSWERS_WITHIN)  # type: ignore[no-untyped-call,unused-ignore]
        except OSError:
            raise BadInput(f"No Dask scheduler answers at {scheduler}: start one with 'dask scheduler'.") from None
        except Exception as error:  # an address whose protocol Dask is not set up for
            raise BadInput(
                f"Dask cannot use the address {scheduler} ({in_one_line(error)}): set up TLS in Dask's configuration, "
                "or give a tcp:// address."
            ) from None
        with client:
            workers = Cluster(client)
            try:
                yield workers
            finally:
                workers.shutdown(wait=False)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Dask's log, which shows a lost connection as tracebacks; its warnings are shown."""
    loggers = [logging.getLogger(name) for name in LOGS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def cluster_size(scheduler: str) -> int:
    """Worker processes of a scheduler, at least 1: those that are still queued join later. Raises BadInput."""
    with cluster(scheduler) as workers:
        return max(workers.size, 1)


def threads_of_worker() -> int:
    """Threads of the Dask worker in whose process this is called."""
    from dask.distributed import get_worker

    return int(get_worker().state.nthreads)


def folder_of_worker() -> str:
    """The folder for temporary files of the Dask worker in whose process this is called; Dask removes it."""
    from dask.distributed import get_worker

    return str(get_worker().local_directory)


@contextmanager
def ended_with_its_caller(end: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` in another thread when nobody waits any more for the block, which a Dask worker computes.

    Dask cancels the calls of a caller that was stopped, but does not interrupt them. In any other process the block
    just runs. Raises RuntimeError at the end of a block that nobody waited for.
    """
    wanted = _wanted()
    if wanted is None:
        yield
        return
    over, unwanted = threading.Event(), threading.Event()

    def look() -> None:
        while not over.wait(LOOKS_EVERY):
            if not wanted():
                unwanted.set()
                end()
                return

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
        if unwanted.is_set():
            raise RuntimeError("the caller was stopped")


def _wanted() -> Callable[[], bool] | None:
    """Whether somebody waits for what this thread of a Dask worker computes; None in any other process."""
    if "distributed.worker" not in sys.modules:
        return None
    from dask.distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        return None
    tasks, key = worker.state.tasks, worker.get_current_task()
    return lambda: key in tasks and tasks[key].state in COMPUTED
