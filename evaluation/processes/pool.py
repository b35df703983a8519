"""Processes on this machine that compute for one caller.

They are started when first needed, kept for the caller's next sweep, and end with it, however it ends.

The module imports little: a process that is started anew reads it before anything else, and is bound to its caller from
then on.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from multiprocessing import resource_tracker
from multiprocessing.util import Finalize
from queue import Empty
from typing import Any

from joblib import cpu_count
from joblib.externals.loky import process_executor
from threadpoolctl import threadpool_limits

from wrongkey.plugins import OURS, SAFE_PATH, leave_environment, workers_import_nothing_here
from wrongkey.stops import held_back

FORKED = sys.platform == "linux"
if FORKED:
    from wrongkey.evaluation.processes import forks

WATCH_SECONDS = 2.0
IDLE_SECONDS = 300.0  # after which processes without work end by themselves
NEEDED = "wrongkey.evaluation.processes.elsewhere"  # imports all that the first question to a sweep's processes needs
SOURCE = "wrongkey.evaluation.processes.source"  # imports the same in the process that others are forked from
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15  # prctl(2)
NO_WARNING = "ignore:resource_tracker:UserWarning"  # action, beginning of the message, category
TITLE = b"wrongkey-worker"  # in the system's list of processes; longer ones are cut there
THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS",
)  # fmt: skip

_idle: dict[tuple[Any, ...], Pool] = {}  # one at most
_lock = threading.Lock()


class Pool(Executor):
    """loky's processes, which ignore the signals of the terminal; the caller handles them.

    On Linux they are forked from one that has imported what they need; with ``anew`` they are not.
    """

    def __init__(self, count: int, threads: int, anew: bool = False) -> None:
        self.count, self.threads = count, threads
        self._forked = FORKED and not anew
        self._loky = self._begun()

    def _begun(self) -> process_executor.ProcessPoolExecutor:
        """New processes, which are started when they are first needed."""
        environment = _settings() | {name: os.environ.get(name) or str(self.threads) for name in THREADS}
        self._forked = self._forked and _started_source()
        own: dict[str, Any]
        if self._forked:
            own = {
                "context": forks.Forks(_source(), environment),
                "initializer": _bind_forked,
                "initargs": (self.threads,),
            }
        else:
            own = {"env": environment, "initializer": _bind_to, "initargs": (os.getpid(), _in_main_thread())}
        with _held_back():
            resource_tracker.ensure_running()  # it lets the signals in again, once
            return process_executor.ProcessPoolExecutor(self.count, timeout=IDLE_SECONDS, **own)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in one of the processes."""
        if self._forked and len(self._loky._processes or ()) < self.count:
            with _held_back():
                forks.start(_source())  # again, where it was killed
            with _allowed():
                forks.wait_for(_source())
        with _held_back(), _allowed():  # processes are started here, and inherit what is held back
            return self._loky.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes when they have computed what was submitted."""
        self._loky.shutdown(wait=wait)

    def release(self, late: Collection[Future[Any]], in_flight: Collection[Future[Any]]) -> list[Future[Any]]:
        """Replace all processes, since loky cannot end one alone; return the other calls that are lost with them."""
        lost = [future for future in in_flight if not future.done() and future not in late]
        self.kill()
        self._loky = self._begun()
        return lost

    def kill(self) -> None:
        """End the processes now, whatever they are doing, and the processes that they started."""
        with suppress(Empty):  # loky 3.5 would look for calls that its killing has removed, and print a traceback
            while True:
                self._loky._work_ids.get_nowait()
        self._loky.shutdown(kill_workers=True)


def _settings() -> dict[str, str]:
    """Variables of all new processes.

    loky shows where a process crashed unless told about it; a crash is a sentence here, and PYTHONFAULTHANDLER=1 brings
    the stacks back.
    """
    return {name: os.environ.get(name) or value for name, value in (("PYTHONFAULTHANDLER", ""), (SAFE_PATH, OURS))}


def _source() -> forks.Source:
    """What processes are forked from. Some libraries start threads when they are imported; limited to one, none."""
    return forks.Source(SOURCE, tuple((_settings() | dict.fromkeys(THREADS, "1")).items()))


def _started_source() -> bool:
    """Start what processes are forked from, unless it runs; whether that can be done: its socket may have no place."""
    try:
        with _held_back():
            resource_tracker.ensure_running()
        with _held_back():
            forks.start(_source())
    except OSError:
        return False
    return True


def source_size() -> int:
    """Bytes that are resident of what processes are forked from; 0 where that does not run."""
    return forks.size(_source()) if FORKED and forks.is_started(_source()) else 0


@contextmanager
def processes(count: int, threads: int, keep: bool = True, purpose: str = "") -> Iterator[Pool]:
    """``count`` processes of ``threads`` threads each: those of the last time, or new ones.

    Those of another ``purpose`` are not taken. They are kept when the block ends normally, unless ``keep`` is False,
    and killed when an exception leaves it (Ctrl-C included).
    """
    key = _key(count, threads, purpose)
    pool = _taken(key) or Pool(count, threads)
    try:
        yield pool
    except BaseException:
        pool.kill()
        raise
    if not keep:
        pool.kill()
        return
    _keep(key, pool)


def start(count: int, threads: int) -> None:
    """Start the processes that `processes` is going to be asked for, or what they are forked from.

    They import what a sweep needs while this process does something else.
    """
    if is_ready(count, threads):
        return
    if FORKED and _started_source():
        return
    pool = Pool(count, threads)
    for _ in range(count):
        pool.submit(import_module, NEEDED)
    _keep(_key(count, threads), pool)


@contextmanager
def started(workers: int | None) -> Iterator[None]:
    """`start` the processes of a sweep with ``workers``, or one where that is None.

    Those that nobody took are killed where an exception leaves the block, which would wait for them otherwise.
    """
    count = max(workers or 1, 1)  # the sweep says what is wrong with a number below 1
    threads = max(int(cpu_count()) // count, 1)
    start(count, threads)
    try:
        yield
    except BaseException:
        with _lock:
            unused = _idle.pop(_key(count, threads), None)
        if unused is not None:
            unused.kill()
        raise


def is_ready(count: int, threads: int) -> bool:
    """Whether `processes` would take processes that were started before, or new ones that need not import."""
    with _lock:
        return _key(count, threads) in _idle or (FORKED and forks.is_started(_source()))


def _key(count: int, threads: int, purpose: str = "") -> tuple[Any, ...]:
    return count, threads, purpose, os.getpid(), _in_main_thread(), _here(), tuple(sys.path)


def _keep(key: tuple[Any, ...], pool: Pool) -> None:
    """Keep a pool for the next call of `processes`, and end those that waited for it before."""
    _end_with(os.getpid())
    with _lock:
        replaced = list(_idle.values())
        _idle.clear()
        _idle[key] = pool
    for other in replaced:
        other.shutdown(wait=False)


@cache
def _end_with(process: int) -> None:
    """End what waits for work when this process ends: multiprocessing waits for it before loky tells it to end."""
    Finalize(None, _end_idle, exitpriority=100)


def _end_idle() -> None:
    with _lock:
        idle = list(_idle.values())
        _idle.clear()
    for pool in idle:
        pool.kill()


def _taken(key: tuple[Any, ...]) -> Pool | None:
    with _lock:
        pool = _idle.pop(key, None)
    try:
        if pool is not None:
            pool.submit(int).result()  # raises where one of its processes was killed while it waited
    except BrokenExecutor:
        return None
    except BaseException:  # Ctrl-C: nobody else knows the pool
        if pool is not None:
            pool.kill()
        raise
    return pool


def _here() -> str:
    """The working directory, from which paths are read and factories imported; nothing where it was deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _held_back() -> Iterator[None]:
    """Signals wait until the block is left; in the processes that it starts, those of the terminal are never delivered.

    Ctrl-C and a closed terminal reach every process: one that is still importing would print a traceback, and so would
    one whose start was interrupted in its caller. The new processes do not look for modules in the working directory.
    """
    with held_back(), _not_inherited(), workers_import_nothing_here(), _quiet_trackers():
        yield


@contextmanager
def _not_inherited() -> Iterator[None]:
    """Signals of the terminal are blocked in this thread, and in the processes that it starts."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _quiet_trackers() -> Iterator[None]:
    """The resource trackers of Python and loky, where they start inside the block, remove leaked locks in silence.

    Ctrl-C kills processes that have others of their own, as those of attacks do: their locks are left to the tracker.
    """
    sys.warnoptions.append(NO_WARNING)
    try:
        yield
    finally:
        sys.warnoptions.remove(NO_WARNING)


@contextmanager
def _allowed() -> Iterator[None]:
    """A daemonic process, as the worker of a Dask nanny is, may start processes inside the block.

    multiprocessing forbids it, since they would be left behind. Ours end with the process that started them.
    """
    settings: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    daemonic = settings.pop("daemon", None)
    try:
        yield
    finally:
        if daemonic is not None:
            settings["daemon"] = daemonic


def _bind_to(caller: int, thread_lasts: bool) -> None:
    """End this new process when the process ``caller`` ends; called first.

    Linux ends it even while it imports or computes in C, but does so when the *thread* that started it ends, so this is
    used only where that is the main thread. Elsewhere a thread polls whenever Python lets it run.
    """
    _settle()
    atexit.register(gc.freeze)  # collecting what ends with it would take half a second, for which its caller waits
    if thread_lasts and sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(caller,), daemon=True).start()


def _bind_forked(threads: int) -> None:
    """The same for a process that was forked from a server: the server ends with the caller, and has one thread."""
    _settle()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch_caller, daemon=True).start()
    import_module(NEEDED)  # is there, unless the server found it in none of its places
    threadpool_limits(_threads("OPENBLAS_NUM_THREADS", threads), user_api="blas")  # the import was limited to one
    sys.modules["torch"].set_num_threads(_threads("OMP_NUM_THREADS", threads))


def _threads(name: str, otherwise: int) -> int:
    """The first number of a variable that may list one for each level of nested threads, or hold anything."""
    first = os.environ[name].partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else otherwise


def _settle() -> None:
    leave_environment()
    if sys.platform == "linux":
        _prctl(PR_SET_NAME, TITLE)
    # loky would take what a worker prepared for a leak and replace the worker, or collect garbage once a second.
    process_executor._MEMORY_LEAK_CHECK_DELAY = math.inf


def _prctl(option: int, value: int | bytes) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _watch(caller: int) -> None:
    while os.getppid() == caller:  # false at once where the caller ended before this process came here
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def _watch_caller() -> None:
    caller = multiprocessing.parent_process()
    if caller is not None:
        caller.join()
    os._exit(1)
