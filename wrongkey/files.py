"""How files are written and named: whole or not at all, and private where asked."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from wrongkey.errors import BadInput

PRIVATE = 0o600
# A new file only: no link that is already there is followed, and no existing file is opened.
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)

PART = re.compile(r"\.[0-9a-f]{16}\.part")  # the random name of a file that is being written


@contextmanager
def atomic_write(path: Path, *, mode: int | None = None, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a new file that takes the name `path` once it is complete and on the disk.

    A reader sees the old file or the new one. A failure of any kind leaves the old one and nothing else. A symbolic
    link at `path` is replaced, and its target stays as it was.

    Parameters
    ----------
    path
        The name that the file gets at the end of the `with` block; until then it has a random one in the same folder.
    mode
        Permissions, which the file has from its first byte on; by default what the umask leaves.
    overwrite
        Whether a file at `path` may be replaced.

    Yields
    ------
    BinaryIO
        The new file, open for reading and writing.

    Raises
    ------
    FileExistsError
        If `path` exists and may not be overwritten.
    OSError
        If the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder) / "answer.txt") as file:
    ...         _ = file.write(b"42")
    ...     (Path(folder) / "answer.txt").read_text()
    '42'
    """
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    claimed = False
    with os.fdopen(os.open(part, NEW, 0o666 if mode is None else PRIVATE), "w+b") as file:
        try:
            yield file
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


def is_part(path: Path) -> bool:
    """Whether a file has the name of one that `atomic_write` has not finished: a killed command leaves such files."""
    return PART.fullmatch(path.name) is not None


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text in UTF-8 with `atomic_write`."""
    with atomic_write(path) as file:
        file.write(text.encode())


@contextmanager
def explained_errors(
    path: Path, remedy: str, *, action: str = "written", also: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turn an error of the disk into one sentence.

    It reads "PATH cannot be written (No space left on device): REMEDY."

    Parameters
    ----------
    path
        The file or folder that the sentence names.
    remedy
        What the user can do, as the end of a sentence without its full stop.
    action
        What cannot be done with `path`.
    also
        Errors beside OSError by which a library says that the disk refused.

    Raises
    ------
    BadInput
        In place of such an error.
    """
    refusals: tuple[type[Exception], ...] = (OSError, *also)
    try:
        yield
    except refusals as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path} cannot be {action} ({reason}): {remedy}.") from error


def temporary_folder() -> Path:
    """Return the folder of temporary files; raises BadInput where no file can be written in any that Python tries."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise BadInput(f"{error.strerror}: make room in one, or name another folder in TMPDIR.") from error


def user_path(text: str) -> Path:
    """Return a path as a user writes it: `~` is the home folder, and `~NAME` of an unknown user is a file's name."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def file_name(text: str) -> str:
    """Turn the name of anything into the name of one file that leads into no other folder.

    Letters, digits, `_`, `-` and `.` stay; the result has at most 100 characters.
    """
    return re.sub(r"[^\w.-]+", "-", text)[-100:].strip(".-") or "unnamed"


def _sync_folder(folder: Path) -> None:
    """Make a new name last; a system that cannot open folders does not need it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
