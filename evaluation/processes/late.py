"""Calls that take longer than ``--timeout``: another worker gets them, and what is late again is given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wrongkey.evaluation.processes.dispatch import Call, TookTooLong
from wrongkey.evaluation.processes.watch import Watch

HOPELESS = 3  # calls that took too long while none was ever done, after which nothing is expected of the rest


class Hopeless(TookTooLong):
    """Several calls took too long, and none was done in time."""


class Late:
    """What becomes of calls that took too long.

    A call is given to another worker once, which mends a worker that hangs by itself; then its parts are, which finds
    the keys under which a model hangs. What has not been late yet comes first.

    Parameters
    ----------
    watch
        Told of every call that was late, and of every answer.
    worked
        Whether any call was ever done in time before.
    given_up
        The answer of a call that was late again, which is also told why it has none. None where all answers are needed.
    parts
        Calls that ask the same piece by piece, if a call can be divided.
    """

    def __init__(
        self,
        watch: Watch,
        worked: bool,
        given_up: Callable[[Call, str], Any] | None = None,
        parts: Callable[[Call], Sequence[Call]] = lambda call: (),
    ) -> None:
        self.watch, self.worked, self.given_up, self.parts = watch, worked, given_up, parts
        self._suspected: set[str] = set()

    def again(self, error: TookTooLong) -> tuple[list[Call], list[Any]]:
        """Return the calls that are still to be made in place of the late ones, and the answers of those given up.

        Raises
        ------
        Hopeless
            Where no call was ever done in time.
        TookTooLong
            The same one, where an answer is needed that does not come.
        """
        self.watch.late += len(error.late)
        if not (self.worked or self.watch.answers) and self.watch.late >= HOPELESS:
            raise Hopeless(error.late, error.others, error.timeout)
        calls, lost = list[Call](), list[Call]()
        for call in error.late:
            following = self.parts(call) if call.name in self._suspected else [call]
            self._suspected |= {one.name for one in following}
            calls += following
            lost += [] if following else [call]
        if lost and self.given_up is None:
            raise error
        if len(lost) < len(error.late):
            others = [call for call in error.late if call not in lost]
            self.watch.say(f"{error.what(others)} and will be given to another worker")
        if lost:
            self.watch.say(f"{error.what(lost)} again and will be left out")
        reason = f"no answer within --timeout {error.timeout:g} s"
        return calls, [self.given_up(call, reason) for call in lost if self.given_up is not None]
