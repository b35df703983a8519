"""Corpora: open one (`open_corpus`), read its audio (`load_audio`), fetch one (`wrongkey.evaluation.corpora.fetch`).

`layouts` picks the reader of a folder (`transcribed`, `scenes` and others), `corpus` is what every reader returns, and
`audio` loads samples. The files named after formats check the lengths that headers announce.
"""

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
