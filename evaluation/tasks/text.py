"""Named text normalisations: what counts as the same word, chosen once per run and stored with its scores.

A word error rate says nothing without one: a recogniser that writes ``Hello, world`` makes two errors on
``HELLO WORLD`` under ``none`` and no error under ``basic``. Transcripts and hypotheses go through the same function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from unicodedata import normalize

from wrongkey.errors import BadInput
from wrongkey.evaluation.tasks.characters import UNSPACED

Normaliser = Callable[[str], str]

# <COMMA>, <|nospeech|>, </s>, [background noise]: not "a < b and c > d", and nothing that goes on for lines.
TAG = re.compile(r"<{1,2}(?:\|[^<>|\s]{1,40}\||/?[^\W\d][\w/:.+~'-]{0,40})/?>{1,2}|\[ ?[/|]?[^\W\d][^\[\]\n]{0,60}\]")

# Format characters and variation selectors; joiners (U+200C, U+200D) stay: Persian and Indian spelling needs them.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_LETTER = r"[^\W\d_]"
# The apostrophe's other forms; between letters also marks that are typed for it.
_APOSTROPHE = re.compile(f"[\u2019\u02bc\u055a\u05f3]|(?<={_LETTER})[`\u2018\u201b\u2032\u02b9\u02bb](?={_LETTER})")
_QUOTED = re.compile(r"(?<!\w)\u2018([^\u2018\u2019]*)\u2019(?!\w)")
_FEW_LETTERS = rf"[(\[]([^\W\d_{UNSPACED}]{{1,2}})[)\]]"
_PART_OF_WORD = re.compile(f"(?<={_LETTER}){_FEW_LETTERS}|{_FEW_LETTERS}(?={_LETTER})")  # word(s), [t]he
_BRACKET = re.compile(r"[(\[<]")  # with which tags and parts of words begin
_DASHES = {"-", *map(chr, range(0x2010, 0x2016))}


@cache
def normaliser(name: str) -> Normaliser:
    """The function of ``NORMALISERS`` that ``name`` names; BadInput for another name or a missing package."""
    if name not in NORMALISERS:
        raise BadInput(f"There is no text normalisation {name!r}: choose one of {', '.join(NORMALISERS)}.")
    return NORMALISERS[name]()


def first_tag(text: str) -> str | None:
    """The first tag in a text as it is written, such as ``<COMMA>``; None where there is none."""
    found = TAG.search(_PART_OF_WORD.sub(r"\1\2", normalize("NFKC", text)))
    return found[0] if found else None


def _none() -> Normaliser:
    """The text as it is, with accents composed (NFC); words are what whitespace separates."""
    return lambda text: normalize("NFC", text)


def _basic() -> Normaliser:
    """Capitals, no tags, no punctuation but apostrophes, single spaces: the form of LibriSpeech's transcripts.

    Punctuation, Unicode's categories P, separates words (``twenty-one``, ``and/or``, ``wait...what``). It vanishes
    between digits (``1,000`` is ``1000``), in abbreviations (``e.g.`` is ``EG``, ``Ph.D.`` is ``PHD``), in ``word(s)``
    and beside scripts that are written without spaces. Numbers and symbols stay as they are written. Characters are
    those of NFKC without invisible ones. Case does not count: ß is SS, and i, ı, I and İ are all I.
    """
    import jiwer

    marks = set(jiwer.RemovePunctuation().tokens_to_remove) - {"'"}  # type: ignore[no-untyped-call]
    any_mark = re.compile(_any_of(marks))
    ascii_mark = re.compile(_any_of(set(filter(str.isascii, marks))))  # ten times as fast as a class of 800 characters
    within_word = re.compile("|".join(_within_words(_any_of(marks - _DASHES))))

    def joined(text: str, mark: re.Pattern[str]) -> str:
        """Without punctuation within words: ``within_word.sub``, tried at punctuation alone, which is the faster."""
        kept, begin, place = "", 0, 0
        while found := mark.search(text, place):
            place = found.end()
            if within := within_word.match(text, found.start()):
                kept += text[begin : within.start()]
                begin = place = within.end()
        return kept + text[begin:]

    def normalise(text: str) -> str:
        text = _APOSTROPHE.sub("'", text if text.isascii() else _plain_characters(text))
        text = text.casefold().replace("i\u0307", "i")
        mark = ascii_mark if text.isascii() else any_mark
        if mark.search(text) or "<" in text:
            if _BRACKET.search(text):
                text = TAG.sub(" ", _PART_OF_WORD.sub(r"\1\2", text))
            text = mark.sub(" ", joined(text, mark))
        return " ".join(normalize("NFC", text.upper()).split())

    return normalise


def _plain_characters(text: str) -> str:
    """NFKC without invisible characters and ‘quotation marks’ that would be taken for apostrophes.

    NFKC takes the acute accent, which is typed for an apostrophe, and the vowel AM of Thai and Lao apart.
    """
    text = _INVISIBLE.sub("", normalize("NFKC", re.sub("[\u00b4\u1ffd]", "\u2019", text)))
    text = text.replace("\u0e4d\u0e32", "\u0e33").replace("\u0ecd\u0eb2", "\u0eb3")
    return _QUOTED.sub(r" \1 ", text)


def _within_words(mark: str) -> Iterator[str]:
    """Patterns of punctuation within a word."""
    begin, end = r"(?<![\w'])", r"(?![\w'])"
    yield rf"(?<=[\d$\u00a3\u20ac]){mark}(?=\d)"
    yield rf"(?<={begin}{_LETTER})\.(?={_LETTER}{end})"  # e.g., U.S.A.
    yield rf"(?<={begin}{_LETTER}{_LETTER})\.(?={_LETTER}{end})"  # Ph.D.
    yield rf"(?<=(?<![\w'.])(?!i){_LETTER})\.(?={_LETTER}{_LETTER}{end})"  # B.Sc., and not "did I.He"
    yield f"(?<=[{UNSPACED}]){mark}+|(?<!{mark}){mark}+(?=[{UNSPACED}])"
    yield "(?<=l)\u00b7(?=l)"  # Catalan
    yield '(?<=[\u05d0-\u05ea])["\u05f4](?=[\u05d0-\u05ea])'  # Hebrew abbreviations
    yield "[\u055b\u055c\u055e]"  # Armenian emphasis, exclamation and question stand within the word


def _any_of(marks: set[str]) -> str:
    return f"[{re.escape(''.join(sorted(marks)))}]"


def _whisper_english() -> Normaliser:
    """Whisper's normaliser for English (Radford et al. 2022, appendix C) as transformers holds it.

    Expands contractions, writes numbers as digits, drops fillers (``um``), lower case. Its list of British spellings
    lies in tokenizer folders (``normalizer.json``), not in transformers: here it is empty, so ``colour`` and ``color``
    are different words.
    """
    try:
        from transformers.models.whisper.english_normalizer import EnglishTextNormalizer
    except ImportError as error:
        raise BadInput(
            f"Text normalisation whisper-english needs transformers, which cannot be imported ({error}): "
            "pip install transformers."
        ) from error
    normalise = EnglishTextNormalizer({})  # type: ignore[no-untyped-call]

    def words(text: str) -> str:
        """It knows the straight apostrophe only, keeps invisible characters, and dots of an ellipsis as words."""
        heard = normalise(_INVISIBLE.sub("", text).replace("\u2019", "'")).split()
        return " ".join(word for word in heard if any(map(str.isalnum, word)))

    return words


# name -> a function that makes the normalisation; heavy imports wait until one is used.
NORMALISERS: dict[str, Callable[[], Normaliser]] = {
    "none": _none,
    "basic": _basic,
    "whisper-english": _whisper_english,
}
DEFAULT = "basic"
VERSION = 2  # of what the names mean; 1 kept tags and joined words at punctuation
