"""Corpora: open one (`open_corpus`), hear it (`load_audio`), fetch one (`evaluation.corpora.fetch`)."""

from evaluation.corpora.audio import duration, load_audio, sample_rate, total_seconds
from evaluation.corpora.corpus import Corpus, Gender, Recordings, Utterance
from evaluation.corpora.layouts import BUNDLED_TRIALS, open_corpus

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
