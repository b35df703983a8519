"""Characters instead of words, for what is written without spaces between words.

A Chinese or Thai sentence is a single "word" to whoever splits at spaces: one wrong character in it and the word error
rate is 100 %. Such speech is scored by the character error rate, as AISHELL, CSJ and Common Voice's zh and ja are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# Scripts whose writing does not mark words (Unicode line breaking, UAX #14, classes ID, CJ and SA).
UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Burmese
    "\u1780-\u17ff\u19e0-\u19ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf"  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    "\u3005-\u3007\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff"  # kana and bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"  # Chinese characters, old kana
)
LONG_WORD = 20  # characters; the mean word of written languages has 4 to 15

_UNSPACED = re.compile(f"[{UNSPACED}]")
_SPACE_BESIDE = re.compile(f"(?<=[{UNSPACED}]) | (?=[{UNSPACED}])")


def characters(text: str) -> str:
    """What a character error rate compares: the words, joined by single spaces, which count as characters.

    Not so beside a script without spaces: some texts have spaces there (AISHELL cuts sentences into words), some not.
    """
    joined = " ".join(text.split())
    return joined if joined.isascii() else _SPACE_BESIDE.sub("", joined)


def is_unspaced(text: str) -> bool:
    """Whether most characters belong to scripts that are written without spaces between words."""
    return not text.isascii() and 2 * len(_UNSPACED.findall(text)) > len("".join(text.split()))


def mean_word(texts: Sequence[str]) -> float:
    """Characters of a word, on average over all texts; 0 where there is none."""
    words = [word for text in texts for word in text.split()]
    return sum(map(len, words)) / max(len(words), 1)
