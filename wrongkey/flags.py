"""Flags of the command line, made from the dataclasses that hold the settings (`wrongkey.evaluation.settings`)."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from wrongkey.evaluation.settings import Option, options_of
from wrongkey.keys.labels import FAMILY


class Groups(dict[str, "argparse._ArgumentGroup"]):
    """The groups of a command's flags by title, each made when it is first asked for."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self._parser = parser

    def __missing__(self, title: str) -> argparse._ArgumentGroup:
        """Make the group of this title."""
        self[title] = self._parser.add_argument_group(title)
        return self[title]


def add_flags(
    groups: Groups, config: type, first: str, leave_out: Collection[str] = (), optional: Collection[str] = ()
) -> None:
    """Add a flag for every field of `config` but those to leave out; fields without a group go to the group `first`.

    A field without a default is a required flag, unless the command has another source for it (`optional`).
    """
    required = {field.name for field in fields(config) if field.default is MISSING} - set(optional)
    for name, option in options_of(config).items():
        if name not in leave_out:
            _add(groups[option.group.title if option.group else first], option, name in required)


def add_running(group: argparse._ActionsContainer, workers: str, timed: str) -> None:
    """Add ``--workers`` and ``--timeout``: processes by default, and what may take so long."""
    group.add_argument("--workers", type=int, help=f"processes (default: {workers})")
    group.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help=f"the most that {timed} may take before another worker gets it (default: no limit)",
    )


def add_backend(group: argparse._ActionsContainer) -> None:
    """Add ``--backend`` and ``--scheduler``: where shards are computed."""
    group.add_argument("--backend", default="loky", choices=["loky", "dask"], help="this machine, or a Dask cluster")
    group.add_argument("--scheduler", metavar="ADDRESS", help="of the Dask scheduler, tcp://host:8786")


def add_config_file(parser: argparse.ArgumentParser) -> None:
    """Add ``--config FILE``, which `wrongkey.config_file` reads with the flags of this parser."""
    parser.add_argument("--config", metavar="FILE", help="TOML file with any of these flags; flags given here win")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, for a command that prints its result as one JSON document."""
    parser.add_argument("--json", action="store_true", help="the result as one JSON document on standard output")


def add_check(parser: argparse._ActionsContainer) -> None:
    """Add ``--check``, for a command whose finished runs answer from their own files."""
    parser.add_argument(
        "--check", action="store_true", help="read the model and the speech of a finished run, and check them, again"
    )


def given(options: argparse.Namespace, config: type) -> dict[str, Any]:
    """The parsed values of the fields of `config` that are flags of the command."""
    return {name: getattr(options, name) for name in options_of(config) if hasattr(options, name)}


def command_line(command: str, config: object, out: Path) -> str:
    """The command that has the settings of `config` and writes into the folder `out`, quoted for a shell."""
    words = ["wrongkey", *command.split()]
    for name, option in options_of(type(config)).items():
        value = getattr(config, name)
        if value != option.default:
            words += [option.spelling] + ([] if value is True else [_written(value)])
    return shlex.join([*words, "--out", str(out)])


def report_hint(folders: Sequence[Path], page: str = "report.html") -> str:
    """The command that shows run folders, quoted for a shell, as the end of a sentence."""
    return shlex.join(["wrongkey", "report", *map(str, folders), "--out", page])


def scheme_name(text: str) -> str:
    """A scheme of the family in any case, as reports write them (ROM); any other name stays as it is."""
    return text.lower() if text.partition("+")[0].lower() in FAMILY else text


def scheme_names(text: str) -> str:
    """The same for a list of schemes with commas."""
    return ",".join(map(scheme_name, text.split(",")))


def at_home(path: str) -> str:
    """A path with a leading ``~`` or ``~user`` expanded."""
    found = os.path.expanduser(path)
    if found.startswith("~"):
        raise argparse.ArgumentTypeError(f"{path} names a home folder that is not there: write the path out")
    return found


def numbers(text: str) -> tuple[float, ...]:
    """The numbers of a list such as ``5,10,inf``."""
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a list of numbers such as 5,10,25,inf") from None


def _add(group: argparse._ArgumentGroup, option: Option, required: bool) -> None:
    flag = option.flag
    names = (option.spelling, *flag.aliases)
    if option.kind is bool:
        group.add_argument(*names, dest=option.name, action="store_true", help=option.help)
        return
    read: Callable[[str], Any] = at_home if flag.path else numbers if option.kind is tuple else option.kind
    if option.name == "scheme":
        read = scheme_name
    group.add_argument(
        *names,
        dest=option.name,
        type=read,
        default=option.default,
        required=required,
        choices=flag.choices,
        metavar=flag.metavar,
        help=option.help,
    )


def _written(value: Any) -> str:
    return ",".join(f"{number:g}" for number in value) if isinstance(value, tuple) else str(value)
