"""Temporary folders that hold speech: their user alone can read them, and nothing is left of them.

A folder goes with the process that made it, or, where that was killed, with the next sweep or attack: a lock, which
ends with its owner, says which folders are in use.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from wrongkey.files import temporary_folder
from wrongkey.stops import held_back

PREFIX = "wrongkey-speech-"
LOCK, READING = "lock", "reading"
UNLOCKED_SECONDS = 60.0  # after which a folder without a locked file is of no process that is about to lock it


def made(folder: Path | None = None) -> tuple[Path, FileLock]:
    """A new folder, or one of `passed_on`, and the lock that says that it is in use: `removed` takes both.

    Raises OSError.
    """
    folder = folder or Path(tempfile.mkdtemp(prefix=PREFIX, dir=temporary_folder()))
    return folder, _locked(folder, LOCK, timeout=0)


def removed(folder: Path, lock: FileLock, owner: int) -> None:
    """Remove a folder, unless this process is a fork of its `owner`, which has no right to it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release(force=True)
        with suppress(OSError):  # Windows keeps a file that is open, and so the folder
            folder.rmdir()


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder for as long as the block lasts; raises OSError."""
    with ExitStack() as end:
        with held_back():
            folder, lock = made()
            end.callback(removed, folder, lock, os.getpid())
        yield folder


@contextmanager
def passed_on(name: str) -> Iterator[Path]:
    """The folder of that name or path, for one process of this machine at a time; raises OSError."""
    folder = temporary_folder() / name
    lock = _locked(folder, READING)
    try:
        yield folder
    finally:
        lock.release()


def remove_abandoned() -> None:
    """Remove the folders of processes that were killed, a minute ago or earlier."""
    for folder in temporary_folder().glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout):
            if not _is_own(folder) or time.time() - folder.stat().st_mtime < UNLOCKED_SECONDS:
                continue
            lock = FileLock(folder / LOCK)
            with FileLock(folder / READING, timeout=0):
                lock.acquire(timeout=0)
                removed(folder, lock, os.getpid())


def _locked(folder: Path, name: str, timeout: float = -1) -> FileLock:
    """Make a folder that this user alone can read, and lock a file in it; raises Timeout as FileLock does.

    The folder may go with the process that made it, at any moment until this one has the lock.
    """
    while True:
        lock = FileLock(folder / name)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            _check_own(folder)
            lock.acquire(timeout)
            _check_own(folder)
            folder.chmod(0o700)  # FileLock makes a folder that is not there, for all to read
        except (FileNotFoundError, FileExistsError):
            lock.release()
            if not folder.parent.is_dir():
                raise
        except BaseException:
            lock.release()
            raise
        else:
            return lock


def _check_own(folder: Path) -> None:
    if not _is_own(folder):
        raise PermissionError("it belongs to another user")


def _is_own(folder: Path) -> bool:
    return not folder.is_symlink() and folder.stat().st_uid == getattr(os, "getuid", int)()
