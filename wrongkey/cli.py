"""The command line: one parser, one file per command, one place that turns a user's mistake into a sentence.

Exit codes: 0 done; 1 the answer to the question is negative (``compare``, ``doctor``); 2 bad input; 130 stopped.
Commands import the rooms when they run, so that ``wrongkey --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from keys.errors import BadInput
from wrongkey import __version__

COMMANDS = (
    "demo", "sweep", "attack", "analyse", "report", "compare", "reproduce", "keys", "crypt", "models", "corpora",
    "doctor", "ls",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the returned number is the exit code."""
    sys.path.insert(0, os.getcwd())  # a user's package.module:factory lies beside the work, as with python -m
    try:
        options = _parse(sys.argv[1:] if arguments is None else list(arguments))
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except BadInput as error:
        print(f"wrongkey: {error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"wrongkey: memory ran out ({error}): ask for less at a time", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("wrongkey: stopped; finished shards are kept, and the same command continues", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away (| head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="wrongkey", description="How much a secret key really protects speech.")
    top.add_argument("--version", action="version", version=f"wrongkey {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"wrongkey.commands.{name}").add(commands)
    return top


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Flags, over the settings of ``--config FILE.toml``, over defaults."""
    top = parser()
    options = top.parse_args(arguments)
    config = getattr(options, "config", None)
    if config is not None:
        options.parser.set_defaults(**settings_of(Path(config), options.parser))
        options = top.parse_args(arguments)
    return options


def settings_of(path: Path, command: argparse.ArgumentParser) -> dict[str, Any]:
    """The settings of a TOML file, each a flag of the command: ``--per-speaker 5`` is ``per-speaker = 5``."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): give a TOML file with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}") from error
    flags = {action.dest: action for action in command._actions if action.option_strings and action.dest != "help"}
    settings = {}
    for name, value in table.items():
        flag = flags.get(name.replace("-", "_"))
        if flag is None or flag.dest == "config":
            known = ", ".join(sorted(dest.replace("_", "-") for dest in flags if dest != "config"))
            raise BadInput(f"{path} sets {name!r}, which is no flag of this command: known are {known}")
        settings[flag.dest] = _value(path, name, value, flag)
    return settings


def _value(path: Path, name: str, value: Any, flag: argparse.Action) -> Any:
    wanted: type = bool if flag.nargs == 0 else flag.type if isinstance(flag.type, type) else str
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is Path and isinstance(value, str):
        value = Path(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise BadInput(f"{path} sets {name} = {value!r}, which is no {wanted.__name__}")
    if flag.choices is not None and value not in flag.choices:
        raise BadInput(f"{path} sets {name} = {value!r}: choose one of {', '.join(map(str, flag.choices))}")
    return value
