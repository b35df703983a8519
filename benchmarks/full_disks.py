"""Disks that fail under a sweep: full, without inodes, read-only, or with the folder gone. Linux, and root alone.

The disk is a small one in memory. The sweep must end with a sentence or, where there was room, with its scores; when
the disk is well again, the same command must end with the scores of a sweep that was left alone.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from benchmarks.started import Started
from benchmarks.stopped_commands import COMMANDS, scores

ROOMY = "size=64m,nr_inodes=4096"
SWEEP = COMMANDS["sweep"].words.split()
REFUSED = "cannot be written"


def full(folder: Path, number: int) -> str | None:
    """A disk with room for one page more in every round, until the sweep fits."""
    with disk(folder, f"size={4 * (number % 24 + 1)}k") as here:
        return Started(SWEEP, here).refused(REFUSED, or_done=True) or _again(here)


def no_inodes(folder: Path, number: int) -> str | None:
    """A disk with room for one file more in every round."""
    with disk(folder, f"nr_inodes={number % 16 + 2}") as here:
        return Started(SWEEP, here).refused(REFUSED, or_done=True) or _again(here)


def read_only(folder: Path, number: int) -> str | None:
    """A disk that can be written no more from a random moment on."""
    with disk(folder, ROOMY) as here:
        started = _until_it_writes(here, number)
        started.until(lambda: _remount(here, "ro"))  # refused while a file is being written
        return started.refused(REFUSED, or_done=True) or _again(here)


def removed(folder: Path, number: int) -> str | None:
    """A run folder that is deleted at a random moment."""
    started = _until_it_writes(folder, number)
    shutil.rmtree(folder / "run", ignore_errors=True)
    return started.refused(REFUSED, or_done=True) or _same(folder)


DISKS: dict[str, Callable[[Path, int], str | None]] = {
    "disk-full": full,
    "disk-without-inodes": no_inodes,
    "disk-read-only": read_only,
    "disk-folder-removed": removed,
}


@contextmanager
def disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory, for as long as the block lasts."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _remount(place: Path, options: str) -> bool:
    asked = ["mount", "-o", f"remount,{options}", str(place)]
    return subprocess.run(asked, capture_output=True).returncode == 0


def _until_it_writes(here: Path, number: int) -> Started:
    """A sweep that has begun its folder, a random moment later."""
    started = Started(SWEEP, here)
    started.until((here / "run" / "scores").exists)
    started.until(lambda: False, random.Random(number).uniform(0, _left_alone()[1]))
    return started


def _again(here: Path) -> str | None:
    if not _remount(here, f"rw,{ROOMY}"):
        return "the disk cannot be made well"
    return _same(here)


def _same(here: Path) -> str | None:
    """What is wrong with the same command, and with its scores."""
    if wrong := Started(SWEEP, here).done():
        return f"again: {wrong}"
    if scores(here / "run") != _left_alone()[0]:
        return "other scores than those of the sweep that was left alone"
    left = [path.name for path in here.rglob(".*")]
    return f"files left: {', '.join(left)}" if left else None


@lru_cache(maxsize=1)
def _left_alone() -> tuple[str, float]:
    """Scores of a sweep that nothing happens to, and the seconds from its first file to its end."""
    with TemporaryDirectory() as place:
        started = Started(SWEEP, Path(place))
        started.until((Path(place) / "run" / "scores").exists)
        begin = monotonic()
        if wrong := started.done():
            raise SystemExit(f"wrongkey {' '.join(SWEEP)} fails without any fault: {wrong}")
        return scores(Path(place) / "run"), monotonic() - begin
