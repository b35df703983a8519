"""Processes forked from one that has imported what they need: each starts in milliseconds, and shares its memory.

multiprocessing's fork server, with three differences. It is one of wrongkey's own, so that a user's program keeps its.
The new processes do not run the caller's main module again. And the server ends with its caller even where the caller
is killed, since the new processes do not keep it alive.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, popen_forkserver, reduction, spawn, util
from multiprocessing.context import ForkServerContext, ForkServerProcess, set_spawning_popen
from multiprocessing.forkserver import ForkServer
from typing import Any

import psutil

POSSIBLE = sys.platform == "linux"  # elsewhere libraries of the system do not survive a fork
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
        """Compute as a process that was started anew would."""
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
        self.pid, self.sentinel, to_child = _forked(process.source, self._fds)
        ours = os.dup(to_child)  # the new process sees by it that this one has ended
        self.finalizer = util.Finalize(self, _close, (ours, self.sentinel))
        with open(to_child, "wb", closefd=True) as pipe:
            pipe.write(sent.getbuffer())


def _forked(source: Source, descriptors: list[int]) -> tuple[int, int, int]:
    """A new process: its number, where its exit code arrives, and where it is sent its work.

    Raises EOFError or OSError where the server dies a second time.
    """
    try:
        return _forked_once(source, descriptors)
    except (EOFError, OSError):  # the server is ending: somebody killed it
        _end(_servers[os.getpid(), source])
        return _forked_once(source, descriptors)


def _forked_once(source: Source, descriptors: list[int]) -> tuple[int, int, int]:
    sentinel, to_child = start(source).connect_to_new_process(descriptors)
    try:
        return forkserver.read_signed(sentinel), sentinel, to_child
    except EOFError:
        _close(sentinel, to_child)
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


_servers: dict[tuple[int, Source], Any] = {}  # multiprocessing's ForkServer, of whose attributes no stub tells


def start(source: Source) -> Any:
    """Start what processes are forked from, unless it runs; it imports while this process does something else."""
    key = os.getpid(), source
    if key not in _servers:
        _servers[key] = ForkServer()
        _servers[key].set_forkserver_preload([source.module])
        util.Finalize(None, _end, (_servers[key],), exitpriority=0)  # after the processes, which are its children
    with _environment(source):
        _servers[key].ensure_running()
    return _servers[key]


def is_started(source: Source) -> bool:
    """Whether this process has started it."""
    return (os.getpid(), source) in _servers


def size(source: Source) -> int:
    """Bytes of it that are resident."""
    resident: int = psutil.Process(start(source)._forkserver_pid).memory_info().rss
    return resident


def _end(server: Any) -> None:
    """End a server now: what it would do at its own end takes a second and is of no use."""
    if server._forkserver_pid is not None:
        with suppress(ProcessLookupError):
            os.kill(server._forkserver_pid, signal.SIGKILL)
        server._stop()


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
