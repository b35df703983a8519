"""Calls that hang, here and in a Dask worker, which imports no torch."""

import time
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from wrongkey.evaluation.processes.cluster import tell_begun

HANGING = 1  # the number of the call that does


def hangs_once(marker: str, number: int) -> int:
    """The number, where the first worker that meets the bad one hangs; the file ``marker`` is there from then on."""
    tell_begun()
    met = Path(marker)
    if number == HANGING and not met.exists():
        met.touch()
        time.sleep(3600)
    return number


class NotAtFirst(Executor):
    """An executor that computes at once, but for its first calls, which never end.

    Parameters
    ----------
    hang
        How many do.
    """

    def __init__(self, hang: int = 1) -> None:
        self.hang = hang

    def submit(self, function, /, *arguments, **settings):
        future: Future[Any] = Future()
        if self.hang > 0:
            self.hang -= 1
        else:
            future.set_result(function(*arguments, **settings))
        return future

    def release(self, late, in_flight):
        return [future for future in in_flight if not future.done() and future not in late]
