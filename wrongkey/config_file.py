"""Settings of ``--config FILE.toml``: each is a flag of the command without its dashes."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from wrongkey.errors import BadInput
from wrongkey.flags import at_home


def read_settings(path: Path, command: argparse.ArgumentParser) -> dict[str, Any]:
    """The settings of a TOML file for a command: ``--per-speaker 5`` is ``per-speaker = 5``.

    Raises BadInput for a file that is no TOML, an unknown name, and a value of the wrong type.
    """
    table = _table(path)
    flags = {action.dest: action for action in command._actions if action.option_strings and action.dest != "help"}
    settings = {}
    for name, value in table.items():
        flag = flags.get(name.replace("-", "_"))
        if flag is None or flag.dest == "config":
            known = ", ".join(sorted(dest.replace("_", "-") for dest in flags if dest != "config"))
            raise BadInput(f"{path} sets {name!r}, which is no flag of this command: known are {known}.")
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
        raise BadInput(f"{path} is no UTF-8 text (UTF-16, perhaps): save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:  # tomllib's own error is a ValueError, as is that of a huge number
        raise BadInput(f"{path} is not TOML: {str(error).rstrip('.')}.") from error


def _value(path: Path, name: str, value: Any, flag: argparse.Action) -> Any:
    """A value of the table, checked. Text is returned as text where argparse has a function to read it with."""
    wanted: type = bool if flag.nargs == 0 else flag.type if isinstance(flag.type, type) else str
    if wanted is float and type(value) is int:
        value = float(value)
    if isinstance(value, str) and (not value or "\0" in value):
        raise BadInput(f"{path} sets {name} = {value!r}, which is nothing: give a value, or leave it out.")
    if wanted is Path and isinstance(value, str):
        value = Path(at_home(value))
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise BadInput(f"{path} sets {name} = {value!r}, which is no {wanted.__name__}.")
    if flag.choices is not None and value not in flag.choices:
        raise BadInput(f"{path} sets {name} = {value!r}: choose one of {', '.join(map(str, flag.choices))}.")
    return value
