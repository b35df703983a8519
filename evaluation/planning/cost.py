"""What a piece of work costs, by the clock and of CPU; costs are added and scaled."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import TypeVar

import torch

if sys.platform != "win32":
    import resource

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and seconds of CPU of all threads of a process.

    Examples
    --------
    >>> 2 * Cost(1.0, 0.5) + Cost(1.0, 1.0)
    Cost(clock=3.0, cpu=2.0)
    """

    clock: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.clock + other.clock, self.cpu + other.cpu)

    def __sub__(self, other: Cost) -> Cost:
        """Return what is left of this cost; measurements vary, so that the difference of two may be nothing."""
        return Cost(max(self.clock - other.clock, 0.0), max(self.cpu - other.cpu, 0.0))

    def __rmul__(self, times: float) -> Cost:
        return Cost(times * self.clock, times * self.cpu)


def timed(work: Callable[[], Answer]) -> tuple[Answer, Cost]:
    """Return what the work answers, and what it cost this process."""
    clock, cpu = _now(), process_time()
    answer = work()
    return answer, Cost(_now() - clock, process_time() - cpu)


def _now() -> float:
    """Seconds by the clock, once every GPU that this process uses is done: the model need not be on the first.

    Others are left alone: to wait for one would take memory there.
    """
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        for number in range(torch.cuda.device_count()):
            if torch.cuda.memory_reserved(number):
                torch.cuda.synchronize(number)
    return perf_counter()


def peak_bytes() -> int | None:
    """Return the largest resident size that this process has had, in bytes; None on a system that does not tell."""
    if sys.platform == "win32":
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@dataclass(frozen=True)
class Process:
    """What a process has used since it began: seconds of CPU, and its largest resident size in bytes."""

    cpu: float
    peak: int | None

    @classmethod
    def here(cls) -> Process:
        """Return what the calling process has used."""
        return cls(process_time(), peak_bytes())
