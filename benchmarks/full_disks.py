"""Disks that fail under a command: full, without inodes, read-only, or with the folder gone. Linux, and root alone.

The disk is a small one in memory. The command must end with a sentence; when the disk is well again, the same command
must end with the result of one that was left alone. A round in which the command ended before it met the fault is
"late", and does not count.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.started import Started, unclean
from benchmarks.stopped_commands import COMMANDS, Stops

PAGE = os.sysconf("SC_PAGE_SIZE")
ROUNDS = 24  # after which all amounts of room were tried, in steps of a 24th of what the command writes
STRIDE = 7  # from one round to the next: few rounds lie far apart
ROOMY = "size=256m,nr_inodes=16384"


def full(stops: Stops, name: str, folder: Path, number: int) -> str | None:
    """A disk with room for a part of what the command writes."""
    return _with_room(stops, name, folder, lambda here: f"size={_taken(here) + _part(_written(stops, name), number)}")


def no_inodes(stops: Stops, name: str, folder: Path, number: int) -> str | None:
    """A disk with room for some of the files that the command writes."""

    def room(here: Path) -> str:
        return f"nr_inodes={_inodes(here) + max(number * STRIDE % ROUNDS * _new_files(stops, name) // ROUNDS, 1)}"

    return _with_room(stops, name, folder, room)


def read_only(stops: Stops, name: str, folder: Path, number: int) -> str | None:
    """Folders that take no file more from a random moment on.

    They are made immutable: a file system cannot be remounted read-only while the command's lock is open for writing.
    """
    with disk(folder, ROOMY) as here:
        started = _begun(stops, name, here, number)
        if started.process.poll() is not None:
            return started.done() or "late"
        _immutable(here, "+")
        try:
            wrong = _stopped(started)
        finally:
            _immutable(here, "-")
        return wrong or stops.again(here, name)


def removed(stops: Stops, name: str, folder: Path, number: int) -> str | None:
    """A run folder that is deleted at a random moment."""
    started = _begun(stops, name, folder, number)
    if started.process.poll() is not None:
        return started.done() or "late"
    shutil.rmtree(folder / "run", ignore_errors=True)
    if (wrong := _stopped(started)) not in (None, "late"):
        return wrong
    if COMMANDS[name].on_a_sweep:  # the folder that was lost is what it reads
        shutil.rmtree(folder / "run", ignore_errors=True)
        stops.provide(folder, COMMANDS[name])
    return stops.again(folder, name)


Fault = Callable[[Stops, str, Path, int], str | None]
FAULTS: dict[str, Fault] = {
    "disk-full": full,
    "disk-without-inodes": no_inodes,
    "disk-read-only": read_only,
    "disk-folder-removed": removed,
}
DISKS = {f"{command}-{fault}": (command, fault) for command in COMMANDS for fault in FAULTS}


def disk_fault(fault: str, stops: Stops, folder: Path, number: int) -> str | None:
    """One round of one of `DISKS`, in an empty folder: what was wrong, "late" where the command did not meet it."""
    command, what = DISKS[fault]
    return FAULTS[what](stops, command, folder, number)


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


def _with_room(stops: Stops, name: str, folder: Path, room: Callable[[Path], str]) -> str | None:
    with disk(folder, ROOMY) as here:
        stops.provide(here, COMMANDS[name])
        if not _remount(here, room(here)):
            return "the disk cannot be made small"
        wrong = _stopped(Started(COMMANDS[name].words.split(), here))
        if not _remount(here, ROOMY):
            return "the disk cannot be made well"
        return wrong or stops.again(here, name)


def _stopped(started: Started) -> str | None:
    """What is wrong with the end of a command that should have ended with a sentence; "late" where it did its work."""
    code, said = started.finish()
    if code not in (0, 2):
        return f"exit code {code}: {said}"
    return unclean(said) or started.emptied() or (None if code else "late")


def _begun(stops: Stops, name: str, here: Path, number: int) -> Started:
    """A command, a random moment after its start."""
    moment = random.Random(f"{name}, {number}").uniform(0.3, 1) * stops.left_alone(name).seconds  # it starts until 0.3
    stops.provide(here, COMMANDS[name])
    started = Started(COMMANDS[name].words.split(), here)
    started.until(lambda: False, moment)
    return started


def _remount(place: Path, options: str) -> bool:
    asked = ["mount", "-o", f"remount,{options}", str(place)]
    return subprocess.run(asked, capture_output=True).returncode == 0


def _immutable(here: Path, sign: str) -> None:
    folders = [str(here), *(str(path) for path in here.rglob("*") if path.is_dir())]
    subprocess.run(["chattr", f"{sign}i", *folders], check=True)


def _taken(here: Path) -> int:
    """Bytes that are in use on a disk."""
    state = os.statvfs(here)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def _inodes(here: Path) -> int:
    state = os.statvfs(here)
    return state.f_files - state.f_ffree


def _part(size: int, number: int) -> int:
    """A part of so many bytes, in whole pages: another one in each round, one page at least."""
    return max(size // PAGE * (number * STRIDE % ROUNDS) // ROUNDS, 1) * PAGE


def _written(stops: Stops, name: str) -> int:
    """Bytes in whole pages that a command writes where it is left alone."""
    stops.left_alone(name)
    new = _files(stops.place / f"{name}-alone") - (_files(stops.place / "sweep-alone") if _adds(name) else set())
    return sum(-(-(stops.place / f"{name}-alone" / one).stat().st_size // PAGE) * PAGE for one in new)


def _new_files(stops: Stops, name: str) -> int:
    stops.left_alone(name)
    return len(_files(stops.place / f"{name}-alone")) - (len(_files(stops.place / "sweep-alone")) if _adds(name) else 0)


def _adds(name: str) -> bool:
    return COMMANDS[name].on_a_sweep


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
