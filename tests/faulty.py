"""Toy models that fail at two of their first twenty incorrect keys, number 10 and number 13, by what they answer."""

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from functools import partial
from itertools import repeat
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.toys import Toy

LIMITS = {6: 0.045, 10: 0.497}  # of two entries of an embedding: exceeded under the bad keys alone


class Faulty(Toy):
    """A toy of its own behaviour under the bad keys."""

    def embed(self, queries: Tensor) -> Tensor:
        answers = super().embed(queries)
        bad = torch.stack([answers[:, entry] > limit for entry, limit in LIMITS.items()]).any(0)
        return self.fail(answers, bad) if bad.any() else answers

    def fail(self, answers: Tensor, bad: Tensor) -> Tensor:
        raise RuntimeError("an entry is too large")


class Silent(Faulty):
    def fail(self, answers: Tensor, bad: Tensor) -> Tensor:
        return answers.masked_fill(bad[:, None], torch.nan)


class OutOfMemory(Faulty):
    def fail(self, answers: Tensor, bad: Tensor) -> Tensor:
        raise MemoryError("no room for this key")


class Unpicklable(Faulty):
    def fail(self, answers: Tensor, bad: Tensor) -> Tensor:
        class Local(Exception):
            def __init__(self, first: str, second: str) -> None:
                super().__init__(first)
                self.lock = threading.Lock()

        raise Local("an error of its own kind", "with two arguments")


class Hanging(Faulty):
    """Waits longer than anybody."""

    def fail(self, answers: Tensor, bad: Tensor) -> Tensor:
        if in_worker():
            time.sleep(3600)
        return answers


class HangingOnce(Faulty):
    """Hangs in the first worker of a caller that meets a bad key."""

    def fail(self, answers: Tensor, bad: Tensor) -> Tensor:
        caller = multiprocessing.parent_process()
        met = has_hung((caller and caller.pid) or os.getppid())
        if in_worker() and not met.exists():
            met.touch()
            time.sleep(3600)
        return answers


class Dying(Faulty):
    """Ends its worker as the system does where memory is short."""

    def fail(self, answers: Tensor, bad: Tensor) -> Tensor:
        if in_worker():
            os.kill(os.getpid(), signal.SIGKILL)
        return answers


class Stubborn(Faulty):
    """Holds the interpreter for ever: no other thread of its process runs any more."""

    def fail(self, answers: Tensor, bad: Tensor) -> Tensor:
        if in_worker():
            sum(repeat(0))
        return answers


class Slow(Faulty):
    """Takes half a second for a bad key."""

    def fail(self, answers: Tensor, bad: Tensor) -> Tensor:
        time.sleep(0.5)
        return answers


def has_hung(caller: int) -> Path:
    """The file that is there once a worker of this process has hung: its workers may be older than any environment."""
    return Path(tempfile.gettempdir()) / f"wrongkey-test-hung-{caller}"


def in_worker() -> bool:
    return multiprocessing.current_process().name.startswith(("Loky", "Forked"))


def _made(kind: type[Toy]) -> Toy:
    torch.manual_seed(0)
    return kind(f"toy-{kind.__name__.lower()}", nn.Conv1d(1, 6, 3, stride=3), 6)


raising = partial(_made, Faulty)
silent = partial(_made, Silent)
out_of_memory = partial(_made, OutOfMemory)
unpicklable = partial(_made, Unpicklable)
hanging = partial(_made, Hanging)
hanging_once = partial(_made, HangingOnce)
dying = partial(_made, Dying)
stubborn = partial(_made, Stubborn)
slow = partial(_made, Slow)
sound = partial(_made, Toy)


def of_a_broken_front_end() -> Toy:
    def front_end(waveform: Tensor) -> Tensor:
        raise ZeroDivisionError("no frames")

    toy = _made(Toy)
    toy.front_end = front_end  # type: ignore[method-assign]
    return toy


def for_the_caller_only() -> Toy:
    """A factory that fails in every worker, as where a cluster's machines lack a file."""
    if in_worker():
        raise FileNotFoundError("weights.pt")
    return _made(Toy)


def dying_trial(*asked: object) -> None:
    """In place of the attacks' function for workers."""
    os.kill(os.getpid(), signal.SIGKILL)


def hanging_trial(*asked: object) -> None:
    time.sleep(3600)
