"""Names of strangers' files and models, as they can be shown: no control characters, and no bytes that are no text."""

from __future__ import annotations

from typing import Any


def printable(text: object) -> str:
    r"""Text with every character that cannot be printed as an escape, such as `\x1b`, or `\xe9` of a Latin-1 name."""
    return "".join(char if char.isprintable() else _escape(char) for char in str(text))


def printable_json(value: Any) -> Any:
    """The same for every text in a value read from JSON; line breaks stay."""
    if isinstance(value, str):
        return value if value.isprintable() else "\n".join(map(printable, value.split("\n")))
    if isinstance(value, list):
        return [printable_json(part) for part in value]
    if isinstance(value, dict):
        return {printable(name): printable_json(part) for name, part in value.items()}
    return value


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()
