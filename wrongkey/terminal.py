"""What commands print: results on standard output, the log on standard error, every name made printable."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, TextIO

from wrongkey.errors import BadInput
from wrongkey.printable import printable

_logged = True


@contextmanager
def silent(quiet: bool) -> Iterator[None]:
    """Print no log inside the block, in any thread, where it is to be `quiet`."""
    global _logged
    before, _logged = _logged, _logged and not quiet
    try:
        yield
    finally:
        _logged = before


def logged() -> bool:
    """Whether the log is printed."""
    return _logged


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


def answer(document: object) -> None:
    """Print the result of finished work as one JSON document in ASCII, in which no name can obey."""
    conclude(*json.dumps(_jsonable(document), indent=2, allow_nan=False).splitlines())


def note(line: object) -> None:
    """Print a line of the log, above a progress bar. Raises BrokenPipeError where its reader has gone."""
    if _logged:
        with to_reader(), _above_bars():
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


def _above_bars() -> AbstractContextManager[None]:
    """Take progress bars away and draw them again; nothing where none was ever drawn."""
    tqdm = sys.modules.get("tqdm")
    return nullcontext() if tqdm is None else tqdm.tqdm.external_write_mode(file=sys.stderr)


def _jsonable(value: Any) -> Any:
    """The value as JSON has it: no number for one that is not finite, text for all that JSON does not know."""
    if isinstance(value, Mapping):
        return {str(name): _jsonable(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(part) for part in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return str(value)


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
