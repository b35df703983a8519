"""Speech recognition under a key: from hypotheses to edit counts to the word error rate.

Words are compared by the alignment of least edits (Levenshtein distance over words), counted for every utterance and
pooled over the corpus: WER = (S + D + I) / (S + D + H) of all utterances together, not a mean of utterances' rates. It
may exceed 100 %, since insertions have no bound, and is never clipped. A decoder that was stopped by its bound
(a *runaway*, as Whisper on noise) answers like any other and is counted beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from evaluation.bootstrap import pooled_percent, utterance_weights
from evaluation.corpora.corpus import Utterance, first_three
from evaluation.models.protocol import Hypothesis
from evaluation.text import DEFAULT, normaliser
from keys.errors import BadInput

COUNTS = ("substitutions", "deletions", "insertions", "hits", "runaway")


@dataclass(frozen=True)
class SpeechRecognition:
    """The utterances of a sweep and what was said in them.

    Parameters
    ----------
    ids: utterance ids, in the order of the scores.
    references: transcripts after normalisation; none is empty.
    words: ``(utterances,)`` int64, reference words.
    replicates: bootstrap replicates over utterances; 0 switches the intervals off.
    normalise: the normalisation's name in `evaluation.text.NORMALISERS`.
    """

    ids: tuple[str, ...]
    references: tuple[str, ...]
    words: Tensor
    replicates: int = 200
    seed: int = 0
    normalise: str = DEFAULT

    @classmethod
    def of(cls, utterances: Sequence[Utterance], normalise: str, replicates: int, seed: int) -> SpeechRecognition:
        """Raises BadInput where an utterance has no transcript, or none after normalisation."""
        silent = [u.id for u in utterances if u.text is None]
        if silent:
            raise BadInput(
                f"{len(silent)} of {len(utterances)} utterances have no transcript ({first_three(silent)}): "
                "add them, or leave these utterances out"
            )
        normal = normaliser(normalise)
        references = tuple(normal(u.text or "") for u in utterances)
        words = [len(reference.split()) for reference in references]
        empty = [u.id for u, count in zip(utterances, words, strict=True) if not count]
        if empty:
            raise BadInput(
                f"{len(empty)} of {len(utterances)} transcripts are empty after normalisation {normalise!r} "
                f"({first_three(empty)}): correct them, or leave these utterances out"
            )
        ids = tuple(u.id for u in utterances)
        return cls(ids, references, torch.tensor(words, dtype=torch.int64), replicates, seed, normalise)

    def scores(self, hypotheses: Sequence[Sequence[Hypothesis]]) -> Tensor:
        """Edit counts ``(keys, utterances, 5)`` int64, last dimension ``COUNTS``; ``runaway`` is 0 or 1.

        ``hypotheses`` holds, for each key, one hypothesis per utterance, as heard.
        """
        normal = normaliser(self.normalise)
        said = [reference.split() for reference in self.references]
        counts = [
            [
                (*edits(words, normal(heard.text).split()), int(heard.runaway))
                for words, heard in zip(said, key, strict=True)
            ]
            for key in hypotheses
        ]
        return torch.tensor(counts, dtype=torch.int64).reshape(len(counts), len(said), len(COUNTS))

    def measure(self, scores: Tensor) -> list[dict[str, Any]]:
        """``scores (keys, utterances, 5)`` to one row per key and metric: position, metric, value, ci_low, ci_high, n.

        ``wer`` in percent, n reference words; ``runaway`` in percent, n utterances.
        """
        scores = scores.cpu()
        errors, runaways = scores[..., :3].sum(-1), scores[..., COUNTS.index("runaway")]
        rows: list[dict[str, Any]] = []
        for name, part, whole in (("wer", errors, self.words), ("runaway", runaways, torch.ones_like(self.words))):
            value, low, high = pooled_percent(part, whole, self._weights)
            n = int(whole.sum())
            rows += [
                {"position": i, "metric": name, "value": value[i], "ci_low": low[i], "ci_high": high[i], "n": n}
                for i in range(len(value))
            ]
        return rows

    def outputs(self, hypotheses: Sequence[Sequence[Hypothesis]], scores: Tensor, start: int) -> pd.DataFrame:
        """One row per key and utterance; the first key has index ``start``.

        ``reference`` is what was scored, after normalisation; ``hypothesis`` is what was heard, before it, so that
        another normalisation can be tried without the model.
        """
        keys = len(hypotheses)
        counts = scores.cpu().reshape(-1, len(COUNTS)).numpy()
        return pd.DataFrame(
            {
                "key_index": [start + key for key in range(keys) for _ in self.ids],
                "utterance": list(self.ids) * keys,
                "reference": list(self.references) * keys,
                "hypothesis": [heard.text for key in hypotheses for heard in key],
                **{name: counts[:, column] for column, name in enumerate(COUNTS)},
            }
        ).astype({"runaway": bool})

    @cached_property
    def _weights(self) -> Tensor | None:
        """Bootstrap weights ``(replicates, utterances)``, the same for every key; None without intervals."""
        return utterance_weights(len(self.ids), self.replicates, self.seed) if self.replicates else None


def edits(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[int, int, int, int]:
    """Substitutions, deletions, insertions and hits of two lists of words.

    The counts of ``jiwer.process_words``, from RapidFuzz, the library that jiwer itself aligns with: without jiwer's
    alignment objects this is some seven times as fast, which thousands of keys need.
    """
    from rapidfuzz.distance import Levenshtein

    kinds = [kind for kind, _, _ in Levenshtein.editops(reference, hypothesis).as_list()]
    substitutions, deletions, insertions = (kinds.count(kind) for kind in ("replace", "delete", "insert"))
    return substitutions, deletions, insertions, len(reference) - substitutions - deletions
