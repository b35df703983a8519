"""What a flag says about a setting: help text, choices and limits, written at the field of a frozen dataclass.

A field such as ``keys: Annotated[int, Flag("incorrect keys", least=1)] = 1000`` holds the name, type, default, help
text and limit of ``--keys``: `wrongkey.flags` makes the flag, and `check` checks the value, wherever it comes from.
This file imports neither torch nor argparse.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args, get_origin, get_type_hints

from wrongkey.errors import BadInput

MOST = 2**53 - 1  # what every reader of JSON keeps exactly


@dataclass(frozen=True)
class Flag:
    """What is said about a field besides its name, type and default.

    Parameters
    ----------
    help : str
        Help text. The default value is added where the text does not mention one.
    metavar : str, optional
        Placeholder of the value in the help.
    choices : tuple of str, optional
        All values that are allowed.
    least : int, optional
        Smallest value that is allowed.
    most : int
        Largest value that is allowed.
    path : bool
        Whether the value is a path, which may begin with ``~``.
    aliases : tuple of str
        Further spellings of the flag.
    """

    help: str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    least: int | None = None
    most: int = MOST
    path: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """The heading of the help under which a field's flag stands; without one it stands under the command's first."""

    title: str


@dataclass(frozen=True)
class Option:
    """A field of a dataclass of settings, and its flag. `kind` is its type without None."""

    name: str
    kind: type
    default: Any
    flag: Flag
    group: Group | None

    @property
    def spelling(self) -> str:
        """The flag as it is typed: ``--per-speaker`` for the field `per_speaker`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def help(self) -> str:
        """The help text with the default value, where there is one to name."""
        nothing = self.default is None or self.default is False or self.default == ()
        if nothing or "default" in self.flag.help:
            return self.flag.help
        return f"{self.flag.help} (default {self.default})"


def options_of(config: type) -> dict[str, Option]:
    """The settings of a dataclass by name, in the order of its fields. A field without a `Flag` is a TypeError."""
    hints = get_type_hints(config, include_extras=True)
    options = {}
    for field in fields(config):
        hint, *said = get_args(hints[field.name]) if hasattr(hints[field.name], "__metadata__") else (None,)
        flag = next((word for word in said if isinstance(word, Flag)), None)
        if flag is None:
            raise TypeError(f"{config.__name__}.{field.name} has no Flag")
        group = next((word for word in said if isinstance(word, Group)), None)
        default = None if field.default is MISSING else field.default
        options[field.name] = Option(field.name, _kind(hint), default, flag, group)
    return options


def check(config: object) -> None:
    """Raise BadInput for the first setting that is none of its choices, or below or above its bounds."""
    for name, option in options_of(type(config)).items():
        value, flag = getattr(config, name), option.flag
        if value is None:
            continue
        if flag.choices is not None and value not in flag.choices:
            raise BadInput(f"{option.spelling} {value} is unknown: choose {', '.join(flag.choices)}.")
        if flag.least is not None and value < flag.least:
            raise BadInput(f"{option.spelling} must be at least {flag.least}, not {value}.")
        if option.kind is int and value > flag.most:
            raise BadInput(f"{option.spelling} must be at most {flag.most:,}, not {value}.")


def _kind(hint: Any) -> type:
    """``int`` for ``int`` and ``int | None``, ``tuple`` for ``tuple[float, ...]``."""
    if get_origin(hint) is tuple:
        return tuple
    if isinstance(hint, type):
        return hint
    (kind,) = (word for word in get_args(hint) if word is not type(None))
    return _kind(kind)
