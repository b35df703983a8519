"""Text of others (names and paths from a run folder, a corpus, a file) made fit to be shown."""

import re

# Control characters, line breaks, overrides of the writing direction, and what is left of bytes that are no UTF-8.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object, keep: str = "") -> str:
    """`text` as one line that a terminal shows and does not obey: an escape becomes the four letters `\\x1b`.

    Unicode's "Trojan source" characters (CVE-2021-42574) and lone surrogates are written out in the same way; every
    letter of every script stays. `keep`: characters to leave as they are, such as "\\n" where lines are wanted.
    """
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else _written_out(found[0]), str(text))


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
