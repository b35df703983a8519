"""How much memory there is, and sizes as people write them. Imports no torch."""

from __future__ import annotations

import re
from pathlib import Path

from wrongkey.errors import BadInput

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
CGROUP = Path("/sys/fs/cgroup")  # of a container, as it sees itself


def bytes_of(size: str) -> int:
    """Bytes of a size such as ``2GB``, ``500 MB`` or ``1.5GiB``; raises BadInput for anything else.

    >>> bytes_of("2GB"), bytes_of("1.5 KiB"), bytes_of("0")
    (2000000000, 1536, 0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", size.strip(), re.IGNORECASE | re.ASCII)
    if found is None:
        raise BadInput(f"--memory must be a size such as 500MB or 2GB, not {size!r}.")
    number, unit, binary = found.groups()
    return int(float(number) * (BINARY if binary else UNITS)[unit.upper()])


def free_memory(cgroup: Path = CGROUP) -> int:
    """Bytes that processes may still take: of the machine, or of the container where that has less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit, used = ((cgroup / name).read_text() for name in ("memory.max", "memory.current"))
        return max(min(free, int(limit) - int(used)), 0)
    except (OSError, ValueError):  # no container, or one without a limit: "max"
        return free
