"""``wrongkey completion``: a script that teaches a shell to complete commands, flags, names and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wrongkey.files import user_path
from wrongkey.flags import at_home
from wrongkey.terminal import say

SHELLS = ("bash", "zsh", "fish")
INSTALLING = """\
In this shell, and in every new one where the line stands in ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish:

  eval "$(wrongkey completion bash)"
  eval "$(wrongkey completion zsh)"      # after compinit
  wrongkey completion fish | source
"""


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "completion",
        help="shell completion, as a script",
        description="Print a script that teaches a shell to complete the commands, flags, names and files of wrongkey.",
        epilog=INSTALLING,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the script")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from wrongkey.cli import parser

    top, names = parser(), _names()
    for command, action in _arguments(top):
        if action.type in (Path, at_home, user_path) or action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.dest in ("corpus", "background"):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.choices is None:
            action.choices = names.get(f"{command} {action.dest}") or names.get(action.dest)
    say(*shtab.complete(top, options.shell).splitlines())
    return 0


def _names() -> dict[str, list[str]]:
    """What an argument may name, by its destination, with the command before it where others have one of that name.

    A shell may run this whenever it starts, so nothing here imports torch.
    """
    from wrongkey.attacks.harness.offered import attack_names
    from wrongkey.evaluation.corpora.fetch import CORPORA
    from wrongkey.evaluation.models.offered import BUNDLED
    from wrongkey.keys.labels import FAMILY

    return {
        "wrongkey attack name": ["suite", "list", "incorrect-keys", *attack_names()],
        "wrongkey corpora fetch name": [name for name, source in CORPORA.items() if source.url],
        "wrongkey models name": list(BUNDLED),
        "model": list(BUNDLED),
        "speaker_model": [name for name, (task, _) in BUNDLED.items() if task == "asv"],
        "recogniser": [name for name, (task, _) in BUNDLED.items() if task == "asr"],
        "scheme": list(FAMILY),
    }


def _arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Every argument of a parser and of its commands, with its command."""
    for action in parser._actions:
        yield parser.prog, action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _arguments(command)
