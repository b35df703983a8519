"""No path of the machine in what one hands out: of a path only its last part stays."""

import re
import shlex
from typing import Any

from wrongkey.printable import printable

_ROOT = r"(?:(?:~[\w.-]*|\.\.?)?/(?!/)|[A-Za-z]:[\\/]|\\\\(?=\w))"  # also of Windows, and of its shares
_WHOLE = re.compile(rf"((?:[\w.+-]{{2,}}[:=])*)(?:{_ROOT})([^\n]+)")
_WITHIN = re.compile(rf"(?<![^\s:='\"(,\[])(?:{_ROOT})(?:[^\\/\s'\":,;()]+[\\/])*([^\\/\s'\":,;()]+)[\\/]?")


def without_paths(value: Any) -> Any:
    """JSON without paths and without characters that a reader's terminal or browser would obey.

    Parameters
    ----------
    value
        Texts, lists and tables of them, and numbers, which stay as they are.

    Examples
    --------
    >>> without_paths(["kaldi:/data/vox/test#fold=5", "wrongkey sweep --out '/home/J Doe/runs/a'", "2 / 3"])
    ['kaldi:test#fold=5', 'wrongkey sweep --out a', '2 / 3']
    """
    if isinstance(value, dict):
        return {without_paths(str(name)): without_paths(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(part) for part in value]
    return printable(last_parts(value), keep="\n") if isinstance(value, str) else value


def path_within(value: Any) -> str:
    """The first text with a path within JSON; empty where there is none.

    Examples
    --------
    >>> path_within({"models": {"10": "torch:/data/model.pt"}}), path_within(["asv-raw10", 5])
    ('torch:/data/model.pt', '')
    """
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        return next(filter(None, map(path_within, value)), "")
    return value if isinstance(value, str) and last_parts(value) != value else ""


def last_parts(text: str) -> str:
    """A text in which every path is its last part; also within a shell command that quotes some."""
    if text.startswith("wrongkey ") and "\n" not in text:
        try:
            return shlex.join(last_parts(word) for word in shlex.split(text))
        except ValueError:  # a quotation that does not end
            pass
    if whole := _WHOLE.fullmatch(text):
        return whole[1] + re.split(r"[\\/]", whole[2].rstrip("\\/"))[-1]
    return _WITHIN.sub(lambda path: path[1], text)
