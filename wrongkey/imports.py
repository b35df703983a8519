"""Many modules imported at once, without the garbage collector in between."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Let the garbage collector wait while a command imports what it needs, and leave that alone ever after.

    PyTorch and its like make a million objects that stay. The collector would look through them again and again as they
    become more, which takes a fifth of the time, and once more with every full collection later. Where the collector
    was off before, nothing changes.

    Examples
    --------
    >>> import gc
    >>> with importing():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
