"""Processes forked from one that has imported what they need: each starts in milliseconds, and shares memory with it.

multiprocessing's fork server, with three differences. It is one of wrongkey's own, so that a user's program keeps its.
The new processes do not run the caller's main module again. And the server ends with its caller even where the caller
is killed: neither the new processes nor forks of the caller keep it alive. Linux alone: elsewhere libraries of the
system do not survive a fork.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, popen_forkserver, reduction, spawn, util
from multiprocessing.context import ForkServerContext, ForkServerProcess, set_spawning_popen
from multiprocessing.forkserver import ForkServer
from typing import Any

import psutil

MAIN = "init_main_from_name", "init_main_from_path"


@dataclass(frozen=True)
class Source:
    """What processes are forked from: a process that has imported a module.

    Attributes
    ----------
    module : str
        Importing it must start no thread: a fork would leave it behind, perhaps with a lock.
    environment : tuple of (str, str)
        Variables of the import, beside those of the caller.
    """

    module: str
    environment: tuple[tuple[str, str], ...] = ()


class Forks(ForkServerContext):
    """A multiprocessing context whose processes come from one source.

    Parameters
    ----------
    source : Source
        What they are forked from; it is started with the first of them, unless it was before (`start`).
    environment : Mapping[str, str]
        Variables of the new processes, beside those that their caller has by then.
    """

    def __init__(self, source: Source, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._source, self._environment = source, dict(environment)

    def Process(self, *arguments: Any, **named: Any) -> ForkedProcess:  # type: ignore[override]
        """A process that is not started yet."""
        process = ForkedProcess(*arguments, **named)
        process.source = self._source
        process.environment = {**os.environ, **self._environment}
        return process


class ForkedProcess(ForkServerProcess):
    """A process that has the environment which its caller had when it was made."""

    source: Source
    environment: dict[str, str]

    @staticmethod
    def _Popen(process: Any) -> Any:
        return _Forked(process)

    def run(self) -> None:
        """Compute with the caller's environment."""
        os.environ.clear()
        os.environ.update(self.environment)
        if "numpy" in sys.modules:  # else all of them would draw the same numbers
            sys.modules["numpy"].random.seed()
        _let_server_end()
        super().run()


class _Forked(popen_forkserver.Popen):
    """As multiprocessing's, from a server of its own, and without the caller's main module."""

    _fds: list[int]

    def _launch(self, process: ForkedProcess) -> None:
        preparation = spawn.get_preparation_data(process.name)
        for name in MAIN:
            preparation.pop(name, None)
        sent = io.BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump(preparation, sent)
            reduction.dump(process, sent)
        finally:
            set_spawning_popen(None)
        try:
            self._ask(process.source, sent.getbuffer())
        except (EOFError, ConnectionError, FileNotFoundError):  # the server is dying, or its socket was removed
            _forget(process.source)
            self._ask(process.source, sent.getbuffer())

    def _ask(self, source: Source, content: memoryview) -> None:
        """Have a process made; it sees by a pipe that this one ended, and `sentinel` tells its number and exit code."""
        self.sentinel, to_child = start(source).connect_to_new_process(self._fds)
        self.finalizer = util.Finalize(self, _close, (os.dup(to_child), self.sentinel))
        with open(to_child, "wb", closefd=True) as pipe:
            pipe.write(content)
        try:
            self.pid = forkserver.read_signed(self.sentinel)
        except EOFError:
            self.finalizer()
            raise


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _let_server_end() -> None:
    """In a forked process: give back the pipe by which it would keep its server alive after its caller's end."""
    server: Any = forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None


_servers: dict[Source, Any] = {}  # multiprocessing's ForkServer, of whose attributes no stub tells
_ready: set[int] = set()  # process numbers of those that have imported
_lock = threading.RLock()


def start(source: Source) -> Any:
    """Start what processes are forked from, unless it runs; it imports while this process does something else.

    Raises OSError where it cannot be started.
    """
    with _lock:
        server = _servers.get(source)
        if server is None:
            server = ForkServer()
            server.set_forkserver_preload([source.module])
            util.Finalize(None, _end, (server,), exitpriority=0)  # after the processes, which are its children
        if not _runs(server):
            with _environment(source):
                server.ensure_running()
        _servers[source] = server
    return server


def wait_for(source: Source) -> None:
    """Wait until it has imported, for the first process that it forks; signals are handled meanwhile."""
    if start(source)._forkserver_pid not in _ready:
        first = Forks(source, {}).Process(target=int)
        first.start()
        first.join()
        _ready.add(start(source)._forkserver_pid)


def is_started(source: Source) -> bool:
    """Whether this process has started it, and it has not ended."""
    return source in _servers and _runs(_servers[source])


def size(source: Source) -> int:
    """Bytes of it that are resident, once it is started."""
    resident: int = psutil.Process(_servers[source]._forkserver_pid).memory_info().rss
    return resident


def _runs(server: Any) -> bool:
    if server._forkserver_pid is None:
        return False
    try:
        return psutil.Process(server._forkserver_pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _forget(source: Source) -> None:
    """Have another one started; processes that came from this one, if it lives, go on."""
    with _lock:
        _servers.pop(source, None)


def _end(server: Any) -> None:
    """End a server now: what it would do at its own end takes a second and is of no use."""
    if server._forkserver_pid is not None:
        with suppress(ProcessLookupError):
            os.kill(server._forkserver_pid, signal.SIGKILL)
        with suppress(ChildProcessError, FileNotFoundError):  # SIGCHLD is ignored; its socket was removed
            server._stop()


def _leave_to_caller() -> None:
    """In a fork of the caller: keep no server alive that is the caller's."""
    for server in _servers.values():
        if server._forkserver_alive_fd is not None:
            os.close(server._forkserver_alive_fd)
    _servers.clear()
    _ready.clear()


os.register_at_fork(after_in_child=_leave_to_caller)


@contextmanager
def _environment(source: Source) -> Iterator[None]:
    before = {name: os.environ.get(name) for name, _ in source.environment}
    os.environ.update(source.environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
