"""The one error that a user can cause."""

from collections.abc import Mapping
from pathlib import Path

from wrongkey.printable import printable

# What a setting of a TOML file must be, in the words of a sentence that refuses anything else.
KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "text",
    list: "a list",
    dict: "a table",
}


class BadInput(ValueError):
    """Input that wrongkey cannot use.

    The message is one sentence that names the file or value and says what to do. Every package raises it at its own
    boundary; the command line prints the sentence and exits with code 2. Whatever names from strangers hold, the
    message is one printable line.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(message))


def in_one_line(error: BaseException, most: int = 300) -> str:
    """Return type and text of a foreign error for use in a sentence: one line, at most `most` characters of text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:most]}{'…' if text[most:] else ''}" if text else type(error).__name__
