"""Lines of the text files that people bring: UTF-8 or UTF-16, with any system's line ends."""

import codecs
from pathlib import Path

from wrongkey.errors import BadInput

MARKS = {  # UTF-32's mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_lines(path: Path) -> list[str]:
    """Lines of a text file in UTF-8, or in UTF-16 with a byte order mark, as PowerShell writes it.

    Lines end with LF, CR LF, or in a file without any LF with CR. Raises `BadInput` where there is no such file
    or it is in another encoding.
    """
    text = _decoded(path)
    if "\n" not in text:
        return text.split("\r")
    return [line.rstrip("\r") for line in text.split("\n")]


def _decoded(path: Path) -> str:
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadInput(f"{path} does not exist: a text file is needed there.") from error
    except (OSError, ValueError) as error:  # a folder, rights, a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path} cannot be read as a text file ({reason}): name another.") from error
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f" (byte 0x{content[error.start]:02x} in line {line})" if encoding == "utf-8-sig" else ""
        raise BadInput(
            f"{path} is not a readable UTF-8 text file{where}: save it as UTF-8, or name another."
        ) from error
    if "\0" in text:
        raise BadInput(f"{path} holds null characters, as UTF-16 without a byte order mark does: save it as UTF-8.")
    return text
