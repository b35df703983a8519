"""``wrongkey completion``: a script that teaches a shell to complete commands, flags and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wrongkey.files import user_path
from wrongkey.flags import at_home
from wrongkey.terminal import say

SHELLS = ("bash", "zsh")
INSTALLING = """\
In this shell, and in every new one where the line stands in ~/.bashrc or ~/.zshrc:

  eval "$(wrongkey completion bash)"
  eval "$(wrongkey completion zsh)"      # after compinit
"""


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "completion",
        help="shell completion, as a script",
        description="Print a script that teaches a shell to complete the commands, flags and files of wrongkey.",
        epilog=INSTALLING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the script")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from wrongkey.cli import parser

    top = parser()
    for action in _arguments(top):
        if action.type in (Path, at_home, user_path) or action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    say(*shtab.complete(top, options.shell).splitlines())
    return 0


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _arguments(command)
