"""Settings of ``--config FILE.toml``: each is a flag of the command without its dashes."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from wrongkey.errors import KINDS, BadInput
from wrongkey.flags import at_home, numbers


def read_settings(path: Path, command: argparse.ArgumentParser) -> dict[str, Any]:
    """The settings of a TOML file for a command: ``--per-speaker 5`` is ``per-speaker = 5``.

    A name is any spelling of a flag, older ones included. Raises BadInput for a file that is not TOML, an unknown name,
    a flag that is set twice, and a value of the wrong type.
    """
    table = _table(path)
    actions = [action for action in command._actions if action.option_strings and action.dest not in ("help", "config")]
    flags = {spelling.lstrip("-"): action for action in actions for spelling in action.option_strings}
    settings: dict[str, Any] = {}
    for name, value in table.items():
        flag = flags.get(name.replace("_", "-"))
        if flag is None:
            known = ", ".join(sorted(action.option_strings[0].lstrip("-") for action in actions))
            raise BadInput(f"{path} sets {name!r}, which is not a flag of this command: known are {known}.")
        if flag.dest in settings:
            raise BadInput(f"{path} sets {name!r} and another spelling of it: keep one of the two.")
        settings[flag.dest] = _value(path, name, value, flag)
    return settings


def _table(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")  # editors on Windows put a byte order mark first
        if "\0" in text:
            raise UnicodeDecodeError("utf-8", content, 0, 1, "zero bytes")
        return tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): give a TOML file with --config.") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text (UTF-16, perhaps): save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:  # tomllib's own error is a ValueError, as is that of a huge number
        raise BadInput(f"{path} is not TOML: {str(error).rstrip('.')}.") from error


def _value(path: Path, name: str, value: Any, flag: argparse.Action) -> Any:
    """A value of the table, checked. Text is returned as text where argparse has a function to read it with."""
    if flag.type is numbers and not isinstance(value, str):
        return _numbers(path, name, value)
    wanted: type = bool if flag.nargs == 0 else flag.type if isinstance(flag.type, type) else str
    if wanted is float and type(value) is int:
        value = float(value)
    if isinstance(value, str) and (not value or "\0" in value):
        raise BadInput(f"{path} sets {name} = {value!r}, which is nothing: give a value, or leave it out.")
    if wanted is Path and isinstance(value, str):
        value = Path(at_home(value))
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise BadInput(f"{path} sets {name} = {value!r}, which is not {KINDS[wanted]}.")
    if flag.choices is not None and value not in flag.choices:
        raise BadInput(f"{path} sets {name} = {value!r}: choose one of {', '.join(map(str, flag.choices))}.")
    return value


def _numbers(path: Path, name: str, value: Any) -> tuple[float, ...]:
    """The numbers of a list such as ``[5, 10, inf]``, or a number alone."""
    listed = value if isinstance(value, list) else [value]
    if not listed or any(type(number) not in (int, float) for number in listed):
        raise BadInput(f"{path} sets {name} = {value!r}, which is not a number or a list of numbers.")
    return tuple(float(number) for number in listed)
