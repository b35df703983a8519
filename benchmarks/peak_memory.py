"""How much memory a piece of code needs at its peak, whatever library takes it. Linux only."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wrongkey.evaluation.freed_memory import give_back

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5), clear_refs


@dataclass
class Peak:
    """Bytes by which this process grew at most, in resident memory."""

    grown: int = 0


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure the peak of the resident memory in the block, over what is resident at its beginning.

    What earlier code has freed is given back first, so that it is not used again unseen. Memory that is asked for and
    never written is not counted.
    """
    gc.collect()
    give_back()
    REFERENCES.write_text(RESET_PEAK)
    before, peak = _kilobytes("VmRSS"), Peak()
    try:
        yield peak
    finally:
        peak.grown = 1024 * max(_kilobytes("VmHWM") - before, 0)


def _kilobytes(name: str) -> int:
    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(fields[name].split()[0])
