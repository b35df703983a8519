"""The command line: one parser, one file per command, one place that turns a user's mistake into a sentence.

Exit codes: 0 done; 1 the answer to the question is negative (``compare``, ``doctor``); 2 bad input; 3 undecided
(``compare``); as in a shell, 130, 143 and 129 stopped by Ctrl-C, SIGTERM and SIGHUP, and 141 where the reader of the
output went away before its end.
Commands import the rooms when they run, so that ``wrongkey --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tomllib
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from wrongkey import __version__
from wrongkey.errors import BadInput
from wrongkey.stops import stop_on_signals
from wrongkey.terminal import complain, flush, hang_up, prepare_streams

COMMANDS = (
    "demo", "sweep", "attack", "analyse", "report", "compare", "reproduce", "keys", "crypt", "models", "corpora",
    "doctor", "ls",
)  # fmt: skip
FILES = ("only", "background_only", "trials")  # settings that are kept as text, and are paths
READER_GONE = 141  # 128 + SIGPIPE
ENVIRONMENT = {
    "MPLBACKEND": "agg",  # figures go to files; a notebook hands down a backend that is not installed here
    # numba reads .numba_config.yaml of the working directory, and would unpickle compiled code from where that says
    "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", ""),
    "NUMBA_CACHE_LOCATOR_CLASSES": os.environ.get("NUMBA_CACHE_LOCATOR_CLASSES", ""),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the returned number is the exit code.

    Without arguments, those of this process are taken: it is wrongkey's own then, with its streams and environment.
    """
    own = arguments is None
    if own:
        prepare_streams()
        os.environ.update(ENVIRONMENT)
    with stop_on_signals(last=own):
        try:
            return _run(sys.argv[1:] if arguments is None else list(arguments))
        except BadInput as error:
            complain(str(error))
            return 2
        except MemoryError as error:
            complain(f"memory ran out ({error}): ask for less at a time")
            return 2
        except KeyboardInterrupt as error:
            complain("stopped; finished shards are kept, and the same command continues")
            return 128 + getattr(error, "number", signal.SIGINT)
        except BrokenPipeError:
            return READER_GONE
        finally:
            hang_up()


def _run(arguments: list[str]) -> int:
    options = _parse(arguments)
    try:
        code: int = options.run(options)
    except SystemExit as error:  # of a user's factory, which would otherwise end the work in silence
        raise BadInput(f"a model or corpus of yours ended the program (exit {error.code}): mend the factory") from error
    try:
        flush()
    except BrokenPipeError:
        return code or READER_GONE
    return code


class Parser(argparse.ArgumentParser):
    """A parser whose errors are sentences, and whose paths may begin with ``~``, as those of a TOML file do."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.register("type", Path, lambda text: Path(at_home(text)))

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see {self.prog} --help")


def parser() -> Parser:
    """The whole command line."""
    top = Parser(prog="wrongkey", description="How much a secret key really protects speech.")
    top.add_argument("--version", action="version", version=f"wrongkey {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"wrongkey.commands.{name}").add(commands)
    return top


def at_home(path: str) -> str:
    """A path with a leading ``~`` or ``~user`` expanded."""
    found = os.path.expanduser(path)
    if found.startswith("~"):
        raise argparse.ArgumentTypeError(f"{path} names a home folder that is not there: write the path out")
    return found


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Flags, over the settings of ``--config FILE.toml``, over defaults."""
    _refuse_empty(arguments)
    top = parser()
    options = top.parse_args(arguments)
    config = getattr(options, "config", None)
    try:
        if config is not None:
            options.parser.set_defaults(**settings_of(Path(at_home(config)), options.parser))
            options = top.parse_args(arguments)
        for name in FILES:
            if isinstance(getattr(options, name, None), str):
                setattr(options, name, at_home(getattr(options, name)))
    except argparse.ArgumentTypeError as error:
        raise BadInput(str(error)) from None
    return options


def _refuse_empty(arguments: list[str]) -> None:
    for before, argument in pairwise(["", *arguments]):
        if not argument or re.fullmatch(r"--[a-z-]+=", argument):
            flag = argument.rstrip("=") or (before if before.startswith("-") else "an argument")
            raise BadInput(f"{flag} is empty: give a value, or check the shell variable that should hold one")


def settings_of(path: Path, command: argparse.ArgumentParser) -> dict[str, Any]:
    """The settings of a TOML file, each a flag of the command: ``--per-speaker 5`` is ``per-speaker = 5``."""
    table = _table(path)
    flags = {action.dest: action for action in command._actions if action.option_strings and action.dest != "help"}
    settings = {}
    for name, value in table.items():
        flag = flags.get(name.replace("-", "_"))
        if flag is None or flag.dest == "config":
            known = ", ".join(sorted(dest.replace("_", "-") for dest in flags if dest != "config"))
            raise BadInput(f"{path} sets {name!r}, which is no flag of this command: known are {known}")
        settings[flag.dest] = _value(path, name, value, flag)
    return settings


def _table(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")  # Windows' editors put a byte order mark first
        if "\0" in text:
            raise UnicodeDecodeError("utf-8", content, 0, 1, "zero bytes")
        return tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): give a TOML file with --config") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is no UTF-8 text (UTF-16, perhaps): save it as UTF-8") from error
    except (ValueError, RecursionError) as error:  # tomllib's own error is a ValueError, as is that of a huge number
        raise BadInput(f"{path} is not TOML: {error}") from error


def _value(path: Path, name: str, value: Any, flag: argparse.Action) -> Any:
    wanted: type = bool if flag.nargs == 0 else flag.type if isinstance(flag.type, type) else str
    if wanted is float and type(value) is int:
        value = float(value)
    if isinstance(value, str) and (not value or "\0" in value):
        raise BadInput(f"{path} sets {name} = {value!r}, which is nothing: give a value, or leave it out")
    if wanted is Path and isinstance(value, str):
        value = Path(at_home(value))
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise BadInput(f"{path} sets {name} = {value!r}, which is no {wanted.__name__}")
    if flag.choices is not None and value not in flag.choices:
        raise BadInput(f"{path} sets {name} = {value!r}: choose one of {', '.join(map(str, flag.choices))}")
    return value
