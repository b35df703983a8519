"""Ctrl-C, SIGTERM (schedulers, `kill`) and SIGHUP (a terminal that closes) end a command in the same way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
CLEANING_SECONDS = 5.0  # after a signal, or the end, while others are ignored: files are being written or removed


class Stopped(KeyboardInterrupt):
    """The command was told to end by signal `number`. Like Ctrl-C, it passes every `except Exception`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def stop_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """What stopped the command, where an error is that or came up while it passed: None for any other error.

    A library may fail when it cleans up after an exception in the middle of its work, as matplotlib does where a
    compressor is interrupted.
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


@contextmanager
def stop_on_signals(last: bool) -> Iterator[None]:
    """Raise `Stopped` on each of `SIGNALS` except those that the process ignores (`nohup`).

    Parameters
    ----------
    last : bool
        Whether the process ends after this. Signals are then ignored for `CLEANING_SECONDS`: its temporary files are
        being removed. Otherwise the previous handlers are restored.
    """
    if threading.current_thread() is not threading.main_thread():  # Python sets handlers in the main thread only
        yield
        return
    first: float | None = None

    def stop(number: int, frame: Any) -> None:
        nonlocal first
        if first is not None and monotonic() - first < CLEANING_SECONDS:
            return
        first = monotonic()
        raise Stopped(number)

    ended = 0.0

    def let_end(number: int, frame: Any) -> None:
        if monotonic() - ended > CLEANING_SECONDS:  # something hangs
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        ended = monotonic()
        for number, handler in before.items():
            signal.signal(number, let_end if last else handler)
