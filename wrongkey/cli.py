"""The command line: one parser, one file per command, one place that turns a user's mistake into a sentence.

Exit codes: 0 done; 1 the answer to the question is negative (``compare``, ``doctor``, ``rerun``); 2 bad input; 3
undecided (``compare``, ``rerun``); as in a shell, 130, 143 and 129 stopped by Ctrl-C, SIGTERM and SIGHUP, and 141 where
the reader of the output went away before its end.
Commands import torch and whatever else is slow only when they run, so that ``wrongkey --help`` answers at once.
"""

from __future__ import annotations

import argparse
import errno
import gc
import os
import re
import shlex
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise

from wrongkey import __version__
from wrongkey.errors import BadInput
from wrongkey.examples import EXAMPLES
from wrongkey.parser import Parser, leaves
from wrongkey.progress import close_bars
from wrongkey.stops import stop_behind, stop_on_signals
from wrongkey.terminal import complain, flush, hang_up, prepare_streams, silent

COMMANDS = (
    "demo", "sweep", "strength", "attack", "board", "analyse", "report", "view", "compare", "reproduce", "rerun",
    "keys", "crypt", "recover", "models", "schemes", "corpora", "doctor", "ls", "completion",
)  # fmt: skip
READER_GONE = 141  # 128 + SIGPIPE
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # the disk, or the share of it that a user has
OUTPUT = ("--json", "--quiet", "--check")  # flags that change what is printed or read again, and no result
ENVIRONMENT = {
    "MPLBACKEND": "agg",  # figures go to files; a notebook hands down a backend that is not installed here
    # numba reads .numba_config.yaml of the working directory, and would unpickle compiled code from where that says
    "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", ""),
    "NUMBA_CACHE_LOCATOR_CLASSES": os.environ.get("NUMBA_CACHE_LOCATOR_CLASSES", ""),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Without `arguments`, those of this process are taken, and its streams and environment are prepared: the process is
    wrongkey's own.
    """
    own = arguments is None
    if own:
        prepare_streams()
        os.environ.update(ENVIRONMENT)
    with stop_on_signals(last=own):
        try:
            return _run(sys.argv[1:] if arguments is None else list(arguments))
        except (Exception, KeyboardInterrupt) as error:
            return _failed(error)
        finally:
            if own:
                gc.freeze()  # PyTorch's objects end with the process: collecting them takes half a second
            hang_up()


def _failed(error: BaseException) -> int:
    """Say in a sentence why a command ended, and return its exit code; an error that is none of these is raised."""
    if (stop := stop_behind(error)) is not None:
        complain("Stopped; finished shards are kept, and the same command continues.")
        return 128 + getattr(stop, "number", signal.SIGINT)
    if isinstance(error, BrokenPipeError):
        return READER_GONE
    if isinstance(error, MemoryError):
        complain(f"Memory ran out ({str(error) or 'of this process'}): ask for less at a time.")
    elif isinstance(error, BadInput):
        complain(str(error))
    elif isinstance(error, OSError) and error.errno in FULL:  # of temporary files: others name what they write
        place = error.filename or "A temporary file"
        complain(f"{place} cannot be written ({error.strerror}): make room there, or name another folder in TMPDIR.")
    else:
        raise error
    return 2


def _run(arguments: list[str]) -> int:
    options = _parse(arguments)
    options.command = shlex.join(["wrongkey", *(word for word in arguments if word not in OUTPUT)])
    try:
        with silent(options.quiet):
            code: int = options.run(options)
    except SystemExit as error:  # from a user's code that is asked: it would end the work in silence
        raise BadInput(
            f"A model, corpus, scheme or attack of yours ended the program (exit {error.code}): raise an exception "
            "instead."
        ) from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise BadInput(f"{error.filename}: this name is too long for a file: check the path.") from error
    finally:
        close_bars()
    try:
        flush()
    except BrokenPipeError:
        return code or READER_GONE
    return code


def parser() -> Parser:
    """The parser of the whole command line."""
    top = Parser(prog="wrongkey", description="How much a secret key really protects speech.")
    top.add_argument("--version", action="version", version=f"wrongkey {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"wrongkey.commands.{name}").add(commands)
    for command in leaves(top):
        command.add_argument("--quiet", action="store_true", help="no log and no progress, only results and errors")
        examples = "\n".join(f"  {line}" for line in EXAMPLES.get(command.prog, ()))
        command.epilog = "\n\n".join(filter(None, (command.epilog, examples and f"Examples:\n{examples}")))
    return top


def _parse(arguments: list[str]) -> argparse.Namespace:
    _refuse_empty(arguments)
    return parser().parse_args(arguments)


def _refuse_empty(arguments: list[str]) -> None:
    for before, argument in pairwise(["", *arguments]):
        if not argument or re.fullmatch(r"--[a-z-]+=", argument):
            flag = argument.rstrip("=") or (before if before.startswith("-") else "An argument")
            raise BadInput(f"{flag} is empty: give a value, or check the shell variable that should hold one.")
