"""The parser of a command: errors are sentences, settings may stand in a file, and no flag is abbreviated."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

from wrongkey.config_file import read_settings
from wrongkey.errors import BadInput
from wrongkey.flags import at_home
from wrongkey.printable import listed

REQUIRED = "the following arguments are required: "  # how argparse begins that error


class Help(argparse.HelpFormatter):
    """Wraps descriptions, and leaves texts of several lines, such as examples, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return f"{action.help} (required)" if action.required and action.option_strings else action.help


class Parser(argparse.ArgumentParser):
    """A parser whose errors are sentences, and whose paths may begin with ``~``, as those of a TOML file do."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": Help, "allow_abbrev": False, **settings})
        self.register("type", Path, lambda text: Path(at_home(text)))

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse flags, over the settings of ``--config FILE.toml``, over defaults; refuse what the command lacks."""
        if self._subparsers is None:
            self._refuse_misspelt(sys.argv[1:] if args is None else args)
        if "--config" in self._option_string_actions:
            self._take_settings(args)
        found, unknown = super().parse_known_args(args, namespace)
        if unknown and self._subparsers is None:
            self._refuse(unknown)
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Raise BadInput with argparse's message and where to read more."""
        if message.startswith(REQUIRED):
            message = f"{self._subject} needs {listed(message.removeprefix(REQUIRED).split(', '))}"
        else:
            message = f"{message[:1].upper()}{message[1:]}"
        raise BadInput(f"{message}; see {self.prog} --help.")

    @property
    def _subject(self) -> str:
        """The command without the program's own name, which stands before every error."""
        return self.prog.partition(" ")[2] or self.prog

    def _take_settings(self, args: Sequence[str] | None) -> None:
        """Make the settings of the file that ``--config`` names the defaults, also of what is otherwise required."""
        first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        first.add_argument("--config", nargs="?")
        config = first.parse_known_args(args)[0].config
        if config is None:
            return
        try:
            settings = read_settings(Path(at_home(config)), self)
        except argparse.ArgumentTypeError as error:
            raise BadInput(f"{error}.") from None
        self.set_defaults(**settings)
        for action in self._actions:
            action.required = action.required and action.dest not in settings

    def _refuse_misspelt(self, args: Sequence[str]) -> None:
        """Refuse a flag that the command does not have before one that it lacks, for which it may be meant."""
        flags = [word for word in takewhile(lambda word: word != "--", args) if re.match(r"--[\w-]+(=|$)", word)]
        if unknown := [word for word in flags if word.partition("=")[0] not in self._option_string_actions]:
            self._refuse(unknown)

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        flag = next((word for word in unknown if word.startswith("-")), None)
        if flag is None:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        name = flag.partition("=")[0].lstrip("-")
        known = [spelling.lstrip("-") for spelling in self._option_string_actions if spelling.startswith("--")]
        near = [*(word for word in known if word.startswith(name)), *get_close_matches(name, known, n=1)]
        hint = f": did you mean --{near[0]}? See" if near else "; see"
        raise BadInput(f"{self._subject} has no flag {flag.partition('=')[0]}{hint} {self.prog} --help.")


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of the commands that do something: those that have no commands of their own, or need none."""
    branches = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not branches or not branches[0].required:
        yield parser
    for branch in branches:
        for command in dict.fromkeys(branch.choices.values()):
            yield from leaves(command)
