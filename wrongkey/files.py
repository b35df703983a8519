"""Files as they are written and named: whole or not at all, private where asked."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
# No link that somebody put there is followed, and no file that is already there is opened.
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], *, mode: int | None = None, overwrite: bool = True
) -> None:
    """Writes a file under a random name beside `path`, and gives it that name when it is whole and on the disk.

    `write` is called with the open binary file. A reader sees the old file or the new one, and a failure of any kind
    leaves the old one and nothing else. The file has its `mode` (octal permissions; None: what the umask leaves) from
    its first byte on. A symbolic link at `path` is replaced, and what it points to stays as it was.

    Raises OSError where the disk does not let us, FileExistsError where `path` exists and may not be overwritten, and
    whatever `write` raises.
    """
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    claimed = False
    with os.fdopen(os.open(part, NEW, 0o666 if mode is None else PRIVATE), "w+b") as file:
        try:
            write(file)
            file.flush()
            if mode is not None:
                os.chmod(file.fileno() if os.chmod in os.supports_fd else part, mode)
            os.fsync(file.fileno())
            if not overwrite:
                os.close(os.open(path, NEW, PRIVATE))  # the name is taken before the file is moved there
                claimed = True
            os.replace(part, path)
        except BaseException:
            for left in (part, path) if claimed else (part,):
                with suppress(OSError):
                    left.unlink()
            raise
    _sync_folder(path.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """The same for a text, in UTF-8."""
    write_atomically(path, lambda file: file.write(text.encode()))


def user_path(text: str) -> Path:
    """A path as a user writes it: `~` is the home folder, and a user who does not exist is a file's name."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def file_name(text: str) -> str:
    """Somebody's name of a thing as the name of one file: no part of it leads into another folder.

    Letters, digits, `_`, `-` and `.` stay; at most 100 characters.
    """
    return re.sub(r"[^\w.-]+", "-", text)[-100:].strip(".-") or "unnamed"


def _sync_folder(folder: Path) -> None:
    """Makes a new name last; a system that cannot open folders has no need of it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
