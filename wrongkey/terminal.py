"""What commands print: results on standard output, the log on standard error, every name made printable."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from wrongkey.errors import BadInput
from wrongkey.printable import printable


def say(*lines: object) -> None:
    """Print results, a line each. Raises BrokenPipeError where the reader of standard output has gone."""
    with to_reader():
        for line in lines:
            print(printable(line))


def conclude(*lines: object) -> None:
    """Print the last lines of finished work, which keeps its exit code even if nobody reads them."""
    try:
        say(*lines)
        flush()
    except BrokenPipeError:
        _silence(sys.stdout)


def note(line: object) -> None:
    """Print a line of the log. Raises BrokenPipeError where the reader of standard error has gone."""
    with to_reader():
        print(printable(line), file=sys.stderr, flush=True)


def complain(sentence: str) -> None:
    """Print why a command ends, and go on if nobody reads it."""
    try:
        print(f"wrongkey: {printable(sentence)}", file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)


def flush() -> None:
    """Flush standard output. Raises BrokenPipeError where its reader has gone."""
    with to_reader():
        sys.stdout.flush()


def hang_up() -> None:
    """Flush both streams or drop what is left, so that Python does not fail over it at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _silence(stream)


@contextmanager
def to_reader() -> Iterator[None]:
    """Raise BrokenPipeError where the reader of a pipe or terminal has gone, and BadInput for a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.EIO):
            raise BrokenPipeError(error.errno, error.strerror) from error
        raise BadInput(f"The output cannot be written ({error.strerror}): send it elsewhere.") from error


def prepare_streams() -> None:
    """Make the standard streams exist and print every character.

    A closed descriptor is opened on the null device; otherwise the next file to be opened would get its number, and
    receive what is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _printing(sys.stdout, 1)
    sys.stderr = _printing(sys.stderr, 2)


def _printing(stream: Any, number: int) -> TextIO:
    if stream is None:
        return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _silence(stream: TextIO) -> None:
    with suppress(OSError, ValueError):  # a stream of a notebook has no descriptor
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
