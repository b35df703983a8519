"""How much memory there is, and sizes as people write them. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from wrongkey.errors import BadInput

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
CGROUP, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")  # all groups, and those of this process
# Files of limit and usage, what memory.stat calls pages that can be given up, and where (cgroups(7), versions 2 and 1).
V2 = ("memory.max", "memory.current", "inactive_file", "")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "memory")


def bytes_of(size: str) -> int:
    """Bytes of a size such as ``2GB``, ``500 MB`` or ``1.5GiB``; raises BadInput for anything else.

    >>> bytes_of("2GB"), bytes_of("1.5 KiB"), bytes_of("0")
    (2000000000, 1536, 0)
    """
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMGT]?)(i?)B?", size.strip(), re.IGNORECASE | re.ASCII)
    if found is None:
        raise BadInput(f"--memory must be a size such as 500MB or 2GB, not {size!r}.")
    number, unit, binary = found.groups()
    return int(float(number) * (BINARY if binary else UNITS)[unit.upper()])


def free_memory(cgroup: Path = CGROUP, own: Path = OWN_CGROUP) -> int:
    """Bytes that processes may still take: of the machine, or of the tightest group (container, job) that limits them.

    Pages of files that were read count as free, since the system gives them up.
    """
    import psutil

    return max(min([int(psutil.virtual_memory().available), *_left(cgroup, own)]), 0)


def _left(cgroup: Path, own: Path) -> Iterator[int]:
    """What the memory groups of this process have left, from its own up to the root of what it sees."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:  # not Linux
        return
    for _, controllers, path in lines:
        if controllers in ("", "memory"):
            limit, used, cached, root = V1 if controllers else V2
            start = (cgroup / root / path.lstrip("/"),)
            for folder in (*start, *start[0].parents):
                if folder == cgroup.parent:
                    break
                with suppress(OSError, ValueError, KeyError):  # no limit: no such file, or "max"
                    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                    unused = int((folder / limit).read_text()) - int((folder / used).read_text())
                    yield unused + int(stat[cached])
