"""Corpora: open one (`open_corpus`), hear it (`load_audio`), fetch one (`wrongkey.evaluation.corpora.fetch`)."""

from wrongkey.evaluation.corpora.audio import duration, load_audio, sample_rate, total_seconds
from wrongkey.evaluation.corpora.corpus import Corpus, Gender, Recordings, Utterance
from wrongkey.evaluation.corpora.layouts import BUNDLED_TRIALS, open_corpus

__all__ = [
    "BUNDLED_TRIALS",
    "Corpus",
    "Gender",
    "Recordings",
    "Utterance",
    "duration",
    "load_audio",
    "open_corpus",
    "sample_rate",
    "total_seconds",
]
