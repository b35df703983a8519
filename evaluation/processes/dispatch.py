"""Calls to other processes: answers as they come, and one sentence for whatever prevents them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any

from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.processes.lists import Unknown, with_lists
from wrongkey.evaluation.processes.watch import Watch, some_of
from wrongkey.printable import printable

CONTINUES = "what is done is kept, and the same command continues"


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
        self.what = f"{_capital(some_of([call.name for call in late]))} took longer than --timeout {timeout:g} s"
        super().__init__(f"{self.what}: {CONTINUES}, with more time.")


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
    in_order: bool = True,
    lists: Mapping[str, bytes] | None = None,
    ahead: int = 1,
) -> Iterator[Any]:
    """Answers of ``function(*call.arguments)``, in the order in which they are ready.

    Parameters
    ----------
    executor
        The processes.
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
    in_order
        Whether the first ``slots`` calls are those being computed. This is unknown for a cluster, where the time
        counts from the last answer.
    lists
        Packed lists, which a worker is sent that answers ``Unknown``.
    ahead
        Calls that wait for each process, so that none is idle between two short ones.

    Raises
    ------
    TookTooLong
        For calls that take longer.
    BadInput
        For a process that is killed or cannot start.
    """
    remaining = iter(calls)
    in_flight: dict[Future[Any], Call] = {}
    begun: dict[Future[Any], float] = {}
    try:
        while True:
            places = slots if isinstance(slots, int) else slots()
            for call in islice(remaining, max((1 + ahead) * places - len(in_flight), 0)):
                in_flight[executor.submit(sheltered, function, *call.arguments)] = call
            if not in_flight:
                return
            now = monotonic()
            computed = list(in_flight)[: places if in_order else None]
            begun = {future: begun.get(future, now) if in_order else now for future in computed}
            watch.busy = [in_flight[future].name for future in computed]
            left = timeout and max(min(begun.values()) + timeout - now, 0)
            for call, answer in _arrived(in_flight, left):
                if isinstance(answer, Unknown):
                    asked = (with_lists, lists or {}, function, *call.arguments)
                    in_flight[executor.submit(sheltered, *asked)] = call
                    continue
                watch.heard()
                yield answer
            late = [f for f in begun if not f.done() and monotonic() - begun[f] >= (timeout or math.inf)]
            if late:
                names = [in_flight.pop(future) for future in late]
                raise TookTooLong(names, [*in_flight.values(), *remaining], timeout or math.inf)
    except BrokenExecutor as error:
        raise BadInput(_why_broken(error, watch.doing)) from None


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
    return future.cancelled() or future.exception() is not None


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
    if ended:
        return f"A worker ended by itself ({how or 'no exit code'}) at {doing}: {CONTINUES}."
    lines = str(error.__cause__ or error).strip(' \n"').splitlines()
    return f"A worker could not take its work ({lines[-1] if lines else error}): {CONTINUES}."


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
