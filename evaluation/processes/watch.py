"""A line a minute while nothing arrives, so that a call that hangs is noticed and a slow one is seen to be working."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType

from wrongkey.printable import listed

MINUTE = 60.0
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
    answers : int
        How many have arrived.
    late : int
        How many took longer than they may and were given to another process.
    """

    def __init__(self, unit: str, report: Report | None, done: Callable[[], str]) -> None:
        self.unit, self.report, self.done = unit, report, done
        self.busy: Sequence[str] = ()
        self.answers = self.late = 0
        self._last = monotonic()
        self._over = threading.Event()

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
        last, said = self._last, 0
        while not self._over.wait(last + (said + 1) * MINUTE - monotonic()):
            if last != self._last:
                last, said = self._last, 0
                continue
            said += 1
            minutes = "a minute" if said == 1 else f"{said} minutes"
            try:
                self.report(f"no {self.unit} for {minutes}; {self.done()} done; busy with {self.doing}")
            except BrokenPipeError:  # nobody reads the log any more
                return


def some_of(names: Sequence[str]) -> str:
    """``a, b and 7 more``."""
    more = len(names) - NAMED
    shown = [*names[:NAMED], *([f"{more} more"] if more > 0 else [])]
    return listed(shown) or "nothing"
