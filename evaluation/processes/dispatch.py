"""Calls to other processes: answers as they come, and one sentence for whatever prevents them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any, Protocol, cast

from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.processes.lists import Unknown, with_lists
from wrongkey.evaluation.processes.watch import Watch, some_of
from wrongkey.printable import printable

CONTINUES = "what is done is kept, and the same command continues"

# When those of some calls were begun that are being computed, of which there are so many at a time.
Begun = Callable[[Sequence[Future[Any]], int], Mapping[Future[Any], float]]


@dataclass(frozen=True)
class Refusal:
    """Why a call failed, as a sentence: not every exception can be sent from one process to another."""

    sentence: str


@dataclass(frozen=True)
class Call:
    """Arguments of a call, and what people call it: ``keys 20 … 29``."""

    name: str
    arguments: tuple[Any, ...]


class TookTooLong(BadInput):
    """Calls took longer than they may.

    Attributes
    ----------
    late, others : list of Call
        Those that took too long, and those that have no answer for another reason.
    timeout : float
        Seconds that each may take.
    """

    def __init__(self, late: Sequence[Call], others: Sequence[Call], timeout: float) -> None:
        self.late, self.others, self.timeout = list(late), list(others), timeout
        super().__init__(f"{self.what(late)}: {CONTINUES}, with more time.")

    def what(self, calls: Sequence[Call]) -> str:
        """The beginning of a sentence: some calls took too long."""
        return f"{_capital(some_of([call.name for call in calls]))} took longer than --timeout {self.timeout:g} s"


Again = Callable[[TookTooLong], tuple[Sequence[Call], Sequence[Any]]]  # calls to make, answers of those given up


class Releasing(Protocol):
    """Processes that can be rid of a call that hangs."""

    def release(
        self, late: Collection[Future[Any]], in_flight: Collection[Future[Any]]
    ) -> Collection[Future[Any]] | None:
        """End the processes that compute the late calls, which others take over.

        Returns the other calls in flight that are lost with them; None where it is not known who computes a late call,
        or no process is left.
        """


def described(error: BaseException) -> str:
    """An error in one line, without a full stop: ``RuntimeError: …``, or the sentence alone of bad input."""
    return printable(str(error).removesuffix(".") if isinstance(error, BadInput) else in_one_line(error))


def sheltered(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function answers, ``Unknown``, or a ``Refusal``."""
    try:
        return function(*arguments)
    except Unknown as lacking:
        return lacking
    except BadInput as error:
        return Refusal(str(error))
    except Exception as error:
        return Refusal(f"The work stopped ({described(error)}): {CONTINUES}.")


def accepted(answer: Any) -> Any:
    """The answer itself; raises BadInput for a refusal."""
    if isinstance(answer, Refusal):
        raise BadInput(answer.sentence)
    return answer


def check_timeout(timeout: float | None) -> None:
    """Raise BadInput unless a time-out is a positive number of seconds, or None."""
    if timeout is not None and not 0 < timeout < math.inf:
        raise BadInput(f"--timeout must be a number of seconds above 0, not {timeout:g}.")


def collect(
    executor: Executor,
    function: Callable[..., Any],
    calls: Iterable[Call],
    slots: int | Callable[[], int],
    watch: Watch,
    *,
    timeout: float | None = None,
    begun: Begun | None = None,
    again: Again | None = None,
    lists: Mapping[str, bytes] | None = None,
    ahead: int = 1,
) -> Iterator[Any]:
    """Answers of ``function(*call.arguments)``, in the order in which they are ready.

    Parameters
    ----------
    executor
        The processes; with ``again`` also `Releasing`.
    function
        Called in one of them; it must be importable there.
    calls
        Arguments and a name for each call.
    slots
        Processes of the executor, or what counts them, where they come and go.
    watch
        Told of every answer, and of what is being computed.
    timeout
        Seconds that one call may take, the start of its process included.
    begun
        Says which calls are being computed, and since when. By default they are the first ``slots`` of those that are
        not done.
    again
        Says which calls are still to be made in place of some that took longer, and what counts as the answer of those
        that are given up. What else the processes of late calls computed is computed again. By default a late call
        ends it all.
    lists
        Packed lists, which a worker is sent that answers ``Unknown``.
    ahead
        Calls that wait for each process, so that none is idle between two short ones.

    Raises
    ------
    TookTooLong
        For calls that take longer, unless ``again`` says what becomes of them and another process can take them.
    BadInput
        For a process that is killed or cannot start.
    """
    remaining = iter(calls)
    in_flight: dict[Future[Any], Call] = {}
    begun = begun or _InOrder()
    try:
        while True:
            places = slots if isinstance(slots, int) else slots()
            for call in islice(remaining, max((1 + ahead) * places - len(in_flight), 0)):
                in_flight[executor.submit(sheltered, function, *call.arguments)] = call
            if not in_flight:
                return
            watch.busy, left = _busy(in_flight, begun, places, timeout)
            for call, answer in _arrived(in_flight, left):
                if isinstance(answer, Unknown):
                    asked = (with_lists, lists or {}, function, *call.arguments)
                    in_flight[executor.submit(sheltered, *asked)] = call
                    continue
                watch.heard()
                yield answer
            if timeout is not None and (late := _late(in_flight, begun, places, timeout)):
                lost = None if again is None else cast(Releasing, executor).release(late, list(in_flight))
                waiting = list(remaining)
                late_calls = [in_flight.pop(future) for future in late]
                error = TookTooLong(late_calls, [*in_flight.values(), *waiting], timeout)
                if again is None or lost is None:
                    raise error
                more, answers = again(error)
                remaining = iter([*(in_flight.pop(future) for future in lost), *waiting, *more])
                yield from answers
    except BrokenExecutor as error:
        raise BadInput(_why_broken(error, watch.doing)) from None


class _InOrder:
    """The first calls of those that have no answer are computed, since they first were among these: loky's order."""

    def __init__(self) -> None:
        self._since: dict[Future[Any], float] = {}

    def __call__(self, futures: Sequence[Future[Any]], places: int) -> Mapping[Future[Any], float]:
        now = monotonic()
        self._since = {future: self._since.get(future, now) for future in futures[:places]}
        return self._since


def _busy(
    in_flight: Mapping[Future[Any], Call], begun: Begun, places: int, timeout: float | None
) -> tuple[list[str], float | None]:
    """Names of the calls that are computed, and the seconds after which the first of them is late."""
    since = begun(list(in_flight), places)
    names = [in_flight[future].name for future in since]
    return names, None if timeout is None else max(min(since.values()) + timeout - monotonic(), 0)


def _late(in_flight: Mapping[Future[Any], Call], begun: Begun, places: int, timeout: float) -> list[Future[Any]]:
    """The calls that take too long."""
    now = monotonic()
    return [one for one, since in begun(list(in_flight), places).items() if not one.done() and now - since >= timeout]


def _arrived(in_flight: dict[Future[Any], Call], left: float | None) -> Iterator[tuple[Call, Any]]:
    """The next calls that are done, and their answers, those that failed last: what there is is kept.

    No reference to a future remains: Dask would keep its answer, and compute it again where the worker dies that has
    it.
    """
    done, _ = wait(in_flight, left, FIRST_COMPLETED)
    for future in sorted(done, key=_failed):
        call = in_flight.pop(future)
        yield call, _answer(future, call)


def _failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None or isinstance(future.result(), Refusal)


def _answer(future: Future[Any], call: Call) -> Any:
    try:
        return accepted(future.result())
    except (BadInput, BrokenExecutor):
        raise
    except CancelledError:  # by Dask: nothing here cancels a call that it still waits for
        raise BadInput(f"The connection to the scheduler was lost at {call.name}: {CONTINUES}.") from None
    except (Exception, SystemExit) as error:  # of the way there or back, or a model that calls sys.exit()
        name = _capital(call.name)
        raise BadInput(f"{name} got no answer from a worker ({described(error)}): {CONTINUES}.") from None


def _why_broken(error: BrokenExecutor, doing: str) -> str:
    """What happened to a process, from loky's message."""
    ended = re.search(r"exit codes of the workers are \{([^}]*)\}", str(error))
    how = ended[1] if ended else ""
    if "SIGKILL" in how or "SIGTERM" in how:
        return f"A worker was killed ({how}) at {doing}, perhaps for lack of memory: {CONTINUES}; try fewer --workers."
    if "SIG" in how:
        return f"A worker crashed ({how}) at {doing}: {CONTINUES}; PYTHONFAULTHANDLER=1 in the environment shows where."
    if "UNKNOWN(255)" in how:
        return (
            f"A worker ended at {doing} with exit code 255, as it does where the process that workers are forked from "
            f"was killed, perhaps for lack of memory: {CONTINUES}; try fewer --workers."
        )
    if ended:
        return f"A worker ended by itself ({how or 'no exit code'}) at {doing}: {CONTINUES}."
    lines = str(error.__cause__ or error).strip(' \n"').splitlines()
    return f"A worker could not take its work ({lines[-1] if lines else error}): {CONTINUES}."


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
