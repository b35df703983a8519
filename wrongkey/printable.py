"""Text of others (names and paths from a run folder, a corpus, a file) made fit to be shown."""

SHOWN = "\u00a0\u3000\u200c\u200d"  # spaces, and joiners that Indic and Persian spelling needs: no letter, but harmless


def printable(text: object, keep: str = "") -> str:
    r"""`text` as one line that a terminal shows and does not obey: an escape becomes the four letters `\x1b`.

    Control characters, line breaks, Unicode's "Trojan source" characters (CVE-2021-42574), invisible ones and bytes of
    names that are no UTF-8 (`\xe9`) are written out; every letter of every script stays. `keep`: characters to leave as
    they are, such as line breaks where lines are wanted.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in SHOWN or c in keep else _written_out(c) for c in text)


def _written_out(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
