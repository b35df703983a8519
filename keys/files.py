"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

# No link that somebody put there is followed, and no file that is already there is opened.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def write_atomically(path: Path, write: Callable[[BinaryIO], object], *, mode: int | None = None) -> None:
    """Write a file under a random name beside `path`, and give it that name when it is whole and on the disk.

    A reader sees the old file or the new one, and a failure of any kind leaves the old one. A symbolic link at `path`
    is replaced, not followed.

    Args:
        write: called with the open binary file.
        mode: permissions such as `0o600`; None takes what the process gives to new files.

    Raises:
        OSError: the disk does not let us. Whatever `write` raises.
    """
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    with os.fdopen(os.open(part, _NEW, 0o666 if mode is None else mode), "wb") as file:
        try:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes the new name last; a system that cannot open folders has no need of it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
