"""A call that hangs in a Dask worker, which imports no torch."""

import time
from pathlib import Path

from wrongkey.evaluation.processes.cluster import tell_begun

HANGING = 1  # the number of the call that does


def hangs_once(marker: str, number: int) -> int:
    """The number, where the first worker that meets the bad one hangs; the file ``marker`` is there from then on."""
    tell_begun()
    met = Path(marker)
    if number == HANGING and not met.exists():
        met.touch()
        time.sleep(3600)
    return number
