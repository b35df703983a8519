"""Ctrl-C, SIGTERM (schedulers, `kill`) and SIGHUP (a terminal that closes) end a command in the same way."""

from __future__ import annotations

import _thread
import atexit
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
AGAIN_SECONDS = 0.05  # until a signal whose exception was lost comes again
CLEANING_SECONDS = 5.0  # after a signal, or the end, while others are ignored: files are being written or removed


class Stopped(KeyboardInterrupt):
    """The command was told to end by signal `number`. Like Ctrl-C, it passes every `except Exception`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


_lost: list[Stopped] = []  # one that was raised where no caller could take it, and that will come again


def stop_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """What stopped the command, where an error is that or came up because of it: None for any other error.

    A library may fail when it cleans up after an exception in the middle of its work, as matplotlib does where a
    compressor is interrupted; or when its callback was interrupted, from which no exception reaches it.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error or (_lost.pop() if _lost else None)


@contextmanager
def held_back() -> Iterator[None]:
    """Signals wait until the block is left: for libraries that would go on after an exception in their callbacks.

    Python handles signals in its main thread alone: in another one there is nothing to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    try:
        for number in handlers:
            signal.signal(number, lambda number, frame: came.append(number))
        yield
    finally:
        _set_all(handlers)
        for number in set(came):
            signal.raise_signal(number)


def _set_all(handlers: Mapping[signal.Signals, Any]) -> None:
    """Set the handlers of signals: all of them, also where a signal comes in between."""
    stop: KeyboardInterrupt | None = None
    while True:
        try:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            break
        except KeyboardInterrupt as error:
            stop = error
    if stop is not None:
        raise stop


@contextmanager
def stop_on_signals(last: bool) -> Iterator[None]:
    """Raise `Stopped` on each of `SIGNALS` except those that the process ignores (`nohup`).

    Python drops what is raised in a finalizer or in a callback of C; the signal comes again then.

    Parameters
    ----------
    last : bool
        Whether the process ends after this. Signals are then ignored for `CLEANING_SECONDS`, in which it removes its
        temporary files, and while Python itself ends. Otherwise the previous handlers are restored.
    """
    if threading.current_thread() is not threading.main_thread():  # Python sets handlers in the main thread only
        yield
        return
    first: float | None = None

    def stop(number: int, frame: Any) -> None:
        nonlocal first
        _lost.clear()
        if first is not None and monotonic() - first < CLEANING_SECONDS:
            return
        first = monotonic()
        raise Stopped(number)

    def come_again(lost: sys.UnraisableHookArgs) -> None:
        nonlocal first
        if not isinstance(lost.exc_value, Stopped):
            hook(lost)
            return
        first = None
        _lost[:] = [lost.exc_value]
        _thread.start_new_thread(_raise_soon, ())  # takes no lock, which this thread may have

    ended = 0.0

    def let_end(number: int, frame: Any) -> None:
        if monotonic() - ended > CLEANING_SECONDS:  # something hangs
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, stop)
    if last:  # called late: what is registered after it is called before it
        atexit.register(_ignore, tuple(before))
    hook, sys.unraisablehook = sys.unraisablehook, come_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        _lost.clear()
        ended = monotonic()
        _set_all(dict.fromkeys(before, let_end) if last else before)


def _ignore(numbers: Sequence[int]) -> None:
    """Python sets other handlers back to the default, which kills, before it has ended."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def _raise_soon() -> None:
    """Send the signal that was lost to the thread that handles it and may wait, unless it did stop the command."""
    sleep(AGAIN_SECONDS)
    try:
        number = _lost.pop().number
    except IndexError:
        return
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(_main_thread(), number)
    else:
        signal.raise_signal(number)


def _main_thread() -> int:
    found = threading.main_thread().ident
    assert found is not None  # it runs
    return found
