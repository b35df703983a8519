"""Files as they are written and named: whole or not at all, private where asked, in letters that print."""

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PRIVATE = 0o600
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def write_atomically(
    path: Path, write: Callable[[Path], object], *, mode: int | None = None, overwrite: bool = True
) -> None:
    """Calls `write` with a temporary file beside `path`, then renames that file: a reader sees all of it or nothing.

    The temporary file has a random name and is new: nobody can have put a link in its place. It has its `mode`
    (octal permissions; None: what the umask leaves) from its first byte on, and is removed on any error. A link at
    `path` is replaced, and what it points to stays as it was. Raises OSError, FileExistsError where `path` exists
    and may not be overwritten, and whatever `write` raises.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, NEW, 0o666 if mode is None else PRIVATE)
    claimed = False
    try:
        write(temporary)
        if not stat.S_ISREG(temporary.lstat().st_mode):
            raise OSError(None, "somebody replaced the file while it was written")
        if mode is not None:
            temporary.chmod(mode)
        os.fsync(descriptor)
        if not overwrite:
            os.close(os.open(path, NEW, PRIVATE))  # the name is taken before the file is moved there
            claimed = True
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        if claimed:
            path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a new name last; a system that cannot open folders has no need of it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def user_path(text: str) -> Path:
    """A path as a user writes it: `~` is the home folder, and a user who does not exist is a file's name."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def printable(path: object) -> str:
    """A path or name in characters that any terminal prints: others as escapes (`\\udce9` is the byte e9)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))
