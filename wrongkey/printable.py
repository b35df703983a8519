"""Foreign text (names and paths from a run folder, a corpus, a file) made safe to show."""

from collections.abc import Mapping, Sequence
from html import escape

SHOWN = "\u00a0\u3000\u200c\u200d"  # spaces, and joiners that Indic and Persian spelling needs: not printable, but safe


def printable(text: object, keep: str = "") -> str:
    r"""Return `text` as one line that a terminal shows and does not obey.

    Control characters (an escape becomes the four characters `\x1b`), line breaks, Unicode's "Trojan source" characters
    (CVE-2021-42574), invisible ones and bytes of names that are not UTF-8 (`\xe9`) are escaped. Every letter of every
    script stays.

    Parameters
    ----------
    text
        Anything; its `str` is shown.
    keep
        Characters to leave as they are, such as line breaks where lines are wanted.

    Examples
    --------
    >>> printable("two\nlines")
    'two\\nlines'
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in SHOWN or c in keep else _escaped(c) for c in text)


def brief(text: object, most: int = 40) -> str:
    """Return `text` printable and at most `most` characters long, for a repr.

    Examples
    --------
    >>> brief("a name without end", 10)
    'a name wi…'
    """
    text = printable(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence has them, with commas and an "and".

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def facts_html(title: object, facts: Mapping[str, object]) -> str:
    """Return facts as an HTML table of two columns, escaped, for a notebook; empty values are left out.

    Examples
    --------
    >>> facts_html("<run>", {"keys": 3, "note": ""})
    '<table><caption>&lt;run&gt;</caption><tr><th scope="row">keys</th><td>3</td></tr></table>'
    """
    shown = {name: printable(value) for name, value in facts.items() if value not in (None, "")}
    rows = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in shown.items())
    return f"<table><caption>{escape(printable(title))}</caption>{''.join(rows)}</table>"


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
