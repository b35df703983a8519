"""Some of many, evenly spaced. Knows no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

Item = TypeVar("Item")


def evenly_spaced(items: Sequence[Item], count: int, begin: Literal["first", "middle"] = "middle") -> list[Item]:
    """Some of the items, evenly spaced, in their order.

    Parameters
    ----------
    items : sequence
        What is chosen from.
    count : int
        How many are wanted; all are taken where there are fewer.
    begin : {"middle", "first"}
        Of each of `count` equal parts, whether the middle item is taken or the first.

    Examples
    --------
    >>> evenly_spaced(range(10), 2)
    [2, 7]
    >>> evenly_spaced(range(10), 2, begin="first")
    [0, 5]
    """
    count = min(count, len(items))
    offset = 1 if begin == "middle" else 0
    return [items[(2 * part + offset) * len(items) // (2 * count)] for part in range(count)]
