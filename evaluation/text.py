"""Named text normalisations: what counts as the same word, chosen once per run and stored with its scores.

A word error rate says nothing without one: a recogniser that writes ``Hello, world`` makes two errors on
``HELLO WORLD`` under ``none`` and no error under ``basic``. Transcripts and hypotheses go through the same function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from keys.errors import BadInput

Normaliser = Callable[[str], str]


@cache
def normaliser(name: str) -> Normaliser:
    """The function of ``NORMALISERS`` that ``name`` names; BadInput for another name or a missing package."""
    if name not in NORMALISERS:
        raise BadInput(f"there is no text normalisation {name!r}: choose one of {', '.join(NORMALISERS)}")
    return NORMALISERS[name]()


def _none() -> Normaliser:
    """The text as it is; words are what whitespace separates."""
    return lambda text: text


def _basic() -> Normaliser:
    """Capitals, no punctuation but apostrophes, single spaces: the form of LibriSpeech's transcripts.

    Dashes and hyphens separate words (``twenty-one``), other punctuation vanishes (``e.g.`` is ``EG``). Punctuation is
    Unicode's categories P; numbers and symbols stay as they are written.
    """
    import re

    import jiwer

    marks = jiwer.RemovePunctuation().tokens_to_remove  # type: ignore[no-untyped-call]
    marks = re.escape("".join(sorted(set(marks) - {"'"})))
    substitutions = {"[\u2019\u02bc]": "'", r"[-\u2010-\u2015]": " ", f"[{marks}]": "", r"\s+": " "}
    return jiwer.Compose([jiwer.ToUpperCase(), jiwer.SubstituteRegexes(substitutions), jiwer.Strip()])


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
            f"text normalisation whisper-english needs transformers, which cannot be imported ({error}): "
            "pip install transformers"
        ) from error
    normalise = EnglishTextNormalizer({})  # type: ignore[no-untyped-call]

    def words(text: str) -> str:
        """It knows the straight apostrophe only, and leaves dots of an ellipsis standing as words."""
        heard = normalise(text.replace("\u2019", "'")).split()
        return " ".join(word for word in heard if any(map(str.isalnum, word)))

    return words


# name -> a function that makes the normalisation; heavy imports wait until one is used.
NORMALISERS: dict[str, Callable[[], Normaliser]] = {
    "none": _none,
    "basic": _basic,
    "whisper-english": _whisper_english,
}
DEFAULT = "basic"
