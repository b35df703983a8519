"""A folder for a report that is being made, which a run that was killed does not leave behind for ever."""

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from wrongkey.files import is_part

PREFIX = ".report-"
LOCK = "wrongkey.lock"  # held as long as its report is being made
OLD = 60.0  # seconds: a younger folder may not have its lock yet, and a younger file may be written still


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """Make an empty folder in `place`, which is deleted at the end, and delete those that killed runs left there.

    Yields
    ------
    Path
        The folder.
    """
    remove_leftovers(place)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place) as name, FileLock(Path(name) / LOCK):
        (Path(name) / "files").mkdir()
        yield Path(name) / "files"


def remove_leftovers(place: Path) -> None:
    """Delete the folders of this kind in `place` that no run holds any more, and files that nobody finished."""
    for part in filter(is_part, place.glob(".*.part")):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime >= OLD:
                part.unlink()
    for folder in place.glob(f"{PREFIX}*"):
        lock = folder / LOCK
        ours = re.fullmatch(rf"{re.escape(PREFIX)}\w{{8}}", folder.name) and not folder.is_symlink() and lock.is_file()
        if not ours or time.time() - folder.stat().st_mtime < OLD:
            continue
        try:
            with FileLock(lock, timeout=0):
                pass
        except (Timeout, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
