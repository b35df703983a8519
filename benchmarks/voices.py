"""The voices of a corpus, one after the other."""

from __future__ import annotations

from pathlib import Path

from wrongkey.evaluation.corpora import Utterance, open_corpus


def voices(corpus: str, only: Path | None) -> list[list[Utterance]]:
    """The utterances of every speaker, speakers in the order of the corpus; only: a list of utterances."""
    opened = open_corpus(corpus)
    opened = opened.only_listed(only) if only else opened
    return [[u for u in opened.utterances if u.speaker == speaker] for speaker in opened.speakers]
