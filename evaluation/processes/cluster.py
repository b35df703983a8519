"""A Dask cluster that computes for one caller.

A scheduler hands the calls to its workers. A call whose worker dies goes to another one; workers may join at any time.
Dask does not tell its clients when a call was begun, and cannot interrupt one. So a worker says by an event that it
begins, and one whose call takes too long is started again by its nanny, or leaves the cluster where it has none.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from time import monotonic
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from wrongkey.errors import BadInput, in_one_line

ANSWERS_WITHIN = 10.0  # seconds that a scheduler may take to answer; one that restarts is waited for as long
RESTARTS_WITHIN = 60.0  # seconds that a worker may take to be started again
LOOKS_EVERY = 2.0  # seconds, whether somebody still waits for a long call
COMPUTED = frozenset({"executing", "long-running"})  # states of a call that somebody waits for
BEGUN = "wrongkey-begun"  # the topic of the workers' events
LOGS = ("distributed", "distributed.client", "tornado.application")


class Cluster(Executor):
    """The workers of a Dask scheduler as an executor."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._dask = client.get_executor(pure=False)  # every call is computed, also one with equal arguments
        self._workers: frozenset[str] = frozenset()
        self._keys = WeakKeyDictionary[Future[Any], str]()  # by which Dask knows the calls
        self._expected: set[str] = set()  # keys of calls without an answer
        self._begun: dict[str, tuple[str, float]] = {}  # the worker of a call that is computed, and since when
        self._heard = monotonic()  # last begin or end of a call, and when a worker came or went
        client.subscribe_topic(BEGUN, self._note)

    @property
    def size(self) -> int:
        """Worker processes at present; at the last count where the scheduler does not answer."""
        return len(self._present())

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in one of the workers."""
        key = f"{getattr(fn, '__name__', 'call')}-{uuid4()}"
        self._expected.add(key)
        future: Future[Any] = self._dask.submit(fn, *args, key=key, **kwargs)
        self._keys[future] = key
        future.add_done_callback(lambda done: self._forget(key))
        return future

    def begun(self, futures: Sequence[Future[Any]], places: int) -> Mapping[Future[Any], float]:
        """Calls that are computed, and since when; while none is, all of them, since the last sign of life."""
        present = self._present()  # a call whose worker died begins again elsewhere
        known = {future: self._begun.get(self._keys[future]) for future in futures}
        computed = {future: at[1] for future, at in known.items() if at and at[0] in present}
        return computed or dict.fromkeys(futures, self._heard)

    def release(self, late: Collection[Future[Any]], in_flight: Collection[Future[Any]]) -> list[Future[Any]] | None:
        """Start the workers of late calls again, or send them away; return the other calls that are lost with them.

        None where a late call was not begun, or no worker is left.
        """
        addresses = {at[0] for future in late if (at := self._begun.get(self._keys[future]))}
        if not addresses:
            return None
        try:
            theirs = self._client.processing()
            keys = {str(key) for address in addresses for key in theirs.get(address, ())}
            lost = [one for one in in_flight if self._keys[one] in keys and one not in late and not one.done()]
            for future in (*late, *lost):
                future.cancel()
            self._end(addresses)
        except (OSError, RuntimeError, AttributeError, LookupError, ValueError):
            return None  # the connection is lost, or a worker has just gone: the calls in flight report it
        self._heard = monotonic()
        return lost if self.size else None

    def _present(self) -> frozenset[str]:
        """The addresses of the workers; those of the last time where the scheduler does not answer."""
        with suppress(OSError, RuntimeError, AttributeError):  # of a lost connection: the calls in flight report it
            workers = frozenset(self._client.nthreads())
            if workers != self._workers:
                self._workers, self._heard = workers, monotonic()
        return self._workers

    def _end(self, addresses: Collection[str]) -> None:
        """End workers: a nanny starts its worker again, and any other one is taken out of the cluster."""
        known = self._client.scheduler_info(n_workers=-1)["workers"]
        watched = [address for address in addresses if known.get(address, {}).get("nanny")]
        others = [address for address in addresses if address in known and address not in watched]
        if watched:
            self._client.restart_workers(watched, timeout=RESTARTS_WITHIN, raise_for_error=False)
        if others:
            self._client.retire_workers(others, callback_timeout=RESTARTS_WITHIN)

    def _note(self, event: tuple[float, Any]) -> None:
        """A worker begins a call, of this caller or of another one."""
        said = event[1]
        if said["key"] in self._expected:
            self._heard = monotonic()
            self._begun[said["key"]] = (said["worker"], self._heard)

    def _forget(self, key: str) -> None:
        self._expected.discard(key)
        self._begun.pop(key, None)
        self._heard = monotonic()

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


def tell_begun() -> None:
    """Tell the caller that a Dask worker begins the call in whose thread this is called."""
    from dask.distributed import get_worker

    worker = get_worker()
    worker.log_event(BEGUN, {"key": worker.get_current_task(), "worker": worker.address})


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
