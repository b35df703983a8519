"""Shards of keys that take longer than ``--timeout``: another worker gets them, and single keys alone are given up."""

from __future__ import annotations

from wrongkey.evaluation.processes.dispatch import Call, TookTooLong
from wrongkey.evaluation.processes.failures import Failure
from wrongkey.evaluation.processes.watch import Watch

HOPELESS = 3  # shards that took too long while none was ever done, after which nothing is expected of the rest


class Late:
    """What becomes of shards that took too long.

    A shard is given to another worker once, which mends a worker that hangs by itself; then its halves are, which finds
    the keys under which the model hangs. What has not been late yet comes first.

    Parameters
    ----------
    watch
        Told of every shard that was late.
    worked
        Whether any shard was ever done in time.
    """

    def __init__(self, watch: Watch, worked: bool) -> None:
        self.watch, self.worked = watch, worked
        self._suspected: set[tuple[int, int]] = set()

    def again(self, error: TookTooLong) -> tuple[list[tuple[int, int]], list[Failure]]:
        """Return the shards that are still to be computed, and the keys that are given up.

        Raises
        ------
        TookTooLong
            The same one, where no shard was ever done in time.
        """
        late = [_keys(call) for call in error.late]
        self.watch.late += len(late)
        if not self.worked and self.watch.late >= HOPELESS:
            raise error
        self.watch.say(f"{error.what} and will be given to another worker")
        shards, failures = [_keys(call) for call in error.others], []
        for start, stop in late:
            middle = (start + stop) // 2
            if (start, stop) not in self._suspected:
                self._suspected.add((start, stop))
                shards.append((start, stop))
            elif stop - start > 1:
                self._suspected |= {(start, middle), (middle, stop)}
                shards += [(start, middle), (middle, stop)]
            else:
                failures.append(Failure(start, f"number {start:,}", f"no answer within --timeout {error.timeout:g} s"))
        return shards, failures


def _keys(call: Call) -> tuple[int, int]:
    start, stop = call.arguments[-2:]
    return start, stop
