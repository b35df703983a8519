"""What the analyses of encrypted speech share: their options, and the columns of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from wrongkey.attacks.analyses.measurable import check_measurable
from wrongkey.attacks.harness.listeners import RATE
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, Utterance, load_audio
from wrongkey.evaluation.run_folder.vocabulary import ANALYSIS_COLUMNS
from wrongkey.evaluation.tasks.text import DEFAULT
from wrongkey.keys import get_scheme
from wrongkey.keys.labels import PAPER

COLUMNS = ANALYSIS_COLUMNS["phase"]
ALL = "all"  # stands for the utterance in rows of a metric that has no value for a single one

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class SpeechAnalysis:
    """Speech of a corpus, encrypted by several schemes and in blocks of several sizes.

    Attributes
    ----------
    corpus : Corpus
        The speech; it is read at 16 kHz.
    corpus_spec : str
        The corpus as the command line names it, for the record.
    schemes : sequence of str
        Names of schemes.
    block_sizes : sequence of int
        Block sizes M; empty for the analysis's own.
    utterances : int
        Utterances that are taken (`wrongkey.attacks.harness.listeners.chosen`), 1 or more.
    seed : int
        The seed of keys.
    speaker_model, recogniser : str or None
        Models as `wrongkey models` lists them; what they would hear is left out where they are not named.
    text : str
        How transcripts are normalised.
    channels : {"refuse", "mix"}
        What to do with recordings of several channels.

    Raises
    ------
    BadInput
        For an unknown scheme, and for no utterance.
    """

    corpus: Corpus
    corpus_spec: str = ""
    schemes: Sequence[str] = PAPER
    block_sizes: Sequence[int] = ()
    utterances: int = 20
    seed: int = 0
    speaker_model: str | None = None
    recogniser: str | None = None
    text: str = DEFAULT
    channels: Literal["refuse", "mix"] = "refuse"

    def __post_init__(self) -> None:
        for scheme in self.schemes:
            check_measurable(get_scheme(scheme), of_one_block=True)
        if self.utterances < 1:
            raise BadInput(f"--utterances must be at least 1, not {self.utterances}.")

    def waveform(self, utterance: Utterance) -> Tensor:
        """The utterance at `RATE`, `(samples,)` float64; raises BadInput for one that cannot be read as asked."""
        return torch.from_numpy(load_audio(utterance, RATE, self.channels)).double()

    def about(self) -> dict[str, Any]:
        """What was analysed and what was asked, for the record."""
        corpus, asked = self.corpus, ("schemes", "utterances", "seed", "speaker_model", "recogniser")
        own_sizes = {"block_sizes": list(self.block_sizes)} if self.block_sizes else {}
        return {
            "setting": {"corpus": corpus.name, "corpus_spec": self.corpus_spec, "recordings": corpus.recordings},
            "asked": {name: getattr(self, name) for name in asked} | own_sizes,
        }
