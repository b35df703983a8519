"""A line a minute while nothing arrives, or while a call takes far longer than others did.

So a call that hangs is noticed, and a slow one is seen to be working.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import inf
from statistics import median
from time import monotonic
from types import TracebackType

from wrongkey.printable import listed

MINUTE = 60.0
LONGER = 3  # times what others took (the median of the last ones), from which on a call may hang
COMPARED = 20
NAMED = 4  # of the calls that are being computed

Report = Callable[[str], None]


class Watch:
    """Watches for a ``unit`` (a shard, a trial) to arrive, for as long as its block lasts.

    Parameters
    ----------
    unit
        What arrives.
    report
        Called with each line, in a thread of its own; None prints nothing.
    done
        Says how much is done, ``20 of 100 keys``.

    Attributes
    ----------
    busy : sequence of str
        What is being computed.
    answers : int
        How many have arrived.
    late : int
        How many took longer than they may and were given to another process.
    """

    def __init__(self, unit: str, report: Report | None, done: Callable[[], str]) -> None:
        self.unit, self.report, self.done = unit, report, done
        self.answers = self.late = 0
        self._last = monotonic()
        self._since: Mapping[str, float] = {}
        self._took: deque[float] = deque(maxlen=COMPARED)  # seconds of what is not busy any more
        self._over = threading.Event()

    @property
    def busy(self) -> Sequence[str]:
        """What is being computed."""
        return list(self._since)

    @busy.setter
    def busy(self, names: Sequence[str]) -> None:
        now, before = monotonic(), self._since
        self._took.extend(now - since for name, since in before.items() if name not in names)
        self._since = {name: before.get(name, now) for name in names}

    @property
    def doing(self) -> str:
        """What is being computed."""
        return some_of(self.busy)

    def heard(self) -> None:
        """Something arrived."""
        self.answers += 1
        self._last = monotonic()

    def say(self, line: str) -> None:
        """Report a line."""
        if self.report is not None:
            self.report(line)

    def __enter__(self) -> Watch:
        if self.report is not None:
            threading.Thread(target=self._wait, name="watch", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _wait(self) -> None:
        assert self.report is not None
        while not self._over.wait(MINUTE):
            try:
                if line := self._line(monotonic()):
                    self.report(line)
            except BrokenPipeError:  # nobody reads the log any more
                return

    def _line(self, now: float) -> str | None:
        """What is to be said at a moment."""
        if silent := int((now - self._last) / MINUTE):
            return f"no {self.unit} for {_minutes(silent)}; {self.done()} done; busy with {self.doing}"
        took, busy = list(self._took), self._since  # another thread goes on changing them
        long = max(MINUTE, LONGER * median(took)) if took else inf  # nothing to compare with
        if slow := {name: since for name, since in busy.items() if now - since > long}:
            oldest = min(slow.values())
            return f"busy with {some_of(list(slow))} for {_minutes(int((now - oldest) / MINUTE))}; {self.done()} done"
        return None


def _minutes(count: int) -> str:
    return "a minute" if count == 1 else f"{count} minutes"


def some_of(names: Sequence[str]) -> str:
    """``a, b and 7 more``."""
    more = len(names) - NAMED
    shown = [*names[:NAMED], *([f"{more} more"] if more > 0 else [])]
    return listed(shown) or "nothing"
