"""The numbers of many keys, kept as ranges: a set of a million integers is large and slow to join."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Set


class KeyRanges(Set[int]):
    """A set of key numbers that is made of few ranges.

    Parameters
    ----------
    keys
        Ranges `[start, stop)`, in any order; they may meet.

    Examples
    --------
    >>> done = KeyRanges([(0, 4), (8, 10)])
    >>> done.add(4, 6)
    >>> done.ranges(), len(done), 5 in done, list(done.gaps(12))
    ([(0, 6), (8, 10)], 8, True, [(6, 8), (10, 12)])
    """

    def __init__(self, keys: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._count = 0
        for start, stop in keys:
            self.add(start, stop)

    @classmethod
    def _from_iterable(cls, numbers: Iterable[int]) -> KeyRanges:  # type: ignore[override]  # what Set's operators use
        return cls((number, number + 1) for number in numbers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.ranges()!r})"

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.covers(number, number + 1)

    def __iter__(self) -> Iterator[int]:
        for start, stop in self.ranges():
            yield from range(start, stop)

    def __len__(self) -> int:
        return self._count

    def ranges(self) -> list[tuple[int, int]]:
        """List the ranges `[start, stop)`, in order; no two of them meet."""
        return list(zip(self._starts, self._stops, strict=True))

    def add(self, start: int, stop: int) -> None:
        """Add the keys `[start, stop)`."""
        if start >= stop:
            return
        first, last = bisect_left(self._stops, start), bisect_right(self._starts, stop)
        if first < last:  # ranges that meet the new one become one with it
            start, stop = min(start, self._starts[first]), max(stop, self._stops[last - 1])
        self._count += stop - start - sum(map(int.__sub__, self._stops[first:last], self._starts[first:last]))
        self._starts[first:last], self._stops[first:last] = [start], [stop]

    def covers(self, start: int, stop: int) -> bool:
        """Whether all of the keys `[start, stop)` are there."""
        place = bisect_right(self._starts, start) - 1
        return start >= stop or (place >= 0 and stop <= self._stops[place])

    def meets(self, start: int, stop: int) -> bool:
        """Whether any of the keys `[start, stop)` is there."""
        place = bisect_right(self._stops, start)
        return start < stop and place < len(self._starts) and self._starts[place] < stop

    def below(self, total: int) -> int:
        """Count the keys with numbers below `total`."""
        return self._count - sum(max(stop - max(start, total), 0) for start, stop in self._from(total))

    def gaps(self, total: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges `[start, stop)` of keys below `total` that are not there, in order."""
        free = 0
        for start, stop in self.ranges():
            if start >= total:
                break
            if free < start:
                yield free, start
            free = stop
        if free < total:
            yield free, total

    def _from(self, number: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges that have keys from `number` on."""
        for place in range(bisect_right(self._stops, number), len(self._starts)):
            yield self._starts[place], self._stops[place]
