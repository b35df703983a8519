"""Memory that this process has freed and the C library keeps, given back to the system. Imports no torch.

glibc gives back only what lies above everything that is in use. oneDNN keeps a small object for every shape that it has
met, between the large tensors of a pass: a recogniser whose utterances have 53 lengths grew by up to 0.93 GB, though
it held some 20 MB of tensors at once (docs/performance.md).
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from pathlib import Path
from typing import Any

STATM, PAGE = Path("/proc/self/statm"), mmap.PAGESIZE
MOST_KEPT = 2**27  # bytes by which a process may grow before it is asked what of that was freed


def give_back() -> None:
    """Give all of it back, where the C library is glibc."""
    if trim := _malloc_trim():
        trim(0)


class Freed:
    """Gives back what was freed whenever the process has grown by `most` bytes since."""

    def __init__(self, most: float = MOST_KEPT) -> None:
        self._most = most
        self._least = float("inf")

    def bound(self) -> bool:
        """Give back what was freed if the process has grown; whether it had."""
        if _malloc_trim() is None:
            return False
        now = _own_bytes()
        grown = now > self._least + self._most
        if grown:
            give_back()
            self._least = _own_bytes()
        self._least = min(now, self._least)
        return grown


@cache
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def _own_bytes() -> int:
    """Resident bytes that are no file's, such as mapped speech (proc(5), statm)."""
    _, resident, shared, *_ = STATM.read_text().split()
    return (int(resident) - int(shared)) * PAGE
