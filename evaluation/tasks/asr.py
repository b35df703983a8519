"""Speech recognition under a key: from hypotheses to edit counts to word and character error rates.

Words are compared by the alignment with the fewest edits (Levenshtein distance over words). Edits are counted for every
utterance and pooled over the corpus: WER = (S + D + I) / (S + D + H) of all utterances together, not a mean of
utterances' rates. It may exceed 100 %, since insertions have no bound, and is never clipped. CER is the same over
characters, and is the rate to read for a corpus that is written without spaces between words. A decoder that was
stopped by its bound (a *runaway*, as Whisper on noise) answers like any other, and is counted as well.

A WER of 100 % means silence, and one of 300 % invention. Three bounded rates make the two comparable. MER, the match
error rate, is (S + D + I) / (S + D + H + I): the share of aligned words that are wrong (A. C. Morris, V. Maier, P.
Green, "From WER and RIL to MER and WIL", Interspeech 2004). ``empty`` is the share of utterances in which nothing was
heard, ``hallucinated`` the share of those with more inserted words than were said: text that nobody spoke, as found by
ear in A. Koenecke et al., "Careless Whisper" (FAccT 2024). The threshold is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers, Texts
from wrongkey.evaluation.corpora.corpus import Utterance, first_three
from wrongkey.evaluation.metrics.bootstrap import pooled_percent, utterance_weights
from wrongkey.evaluation.tasks.characters import LONG_WORD, characters, is_unspaced, mean_word
from wrongkey.evaluation.tasks.text import DEFAULT, first_tag, normaliser

if TYPE_CHECKING:
    import pandas as pd

COUNTS = ("substitutions", "deletions", "insertions", "hits", "runaway", "character_errors")


@dataclass(frozen=True, eq=False)
class SpeechRecognition:
    """The utterances of a sweep and what was said in them.

    Parameters
    ----------
    utterances : tuple of Utterance
        In the order of the scores.
    references : tuple of str
        Transcripts after normalisation; none is empty.
    words : Tensor
        ``(utterances,)`` int64, words of each reference.
    replicates : int
        Bootstrap replicates over utterances; 0 switches the intervals off.
    seed : int
        Of the bootstrap.
    normalise : str
        The normalisation's name in `wrongkey.evaluation.tasks.text.NORMALISERS`.
    tags : tuple of str
        The first tag, such as ``<COMMA>``, of each transcript that holds one.
    """

    utterances: tuple[Utterance, ...]
    references: tuple[str, ...]
    words: Tensor
    replicates: int = 200
    seed: int = 0
    normalise: str = DEFAULT
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, utterances: Sequence[Utterance], normalise: str, replicates: int, seed: int) -> SpeechRecognition:
        """Make the task of these utterances.

        Raises BadInput where an utterance has no transcript, or none after normalisation.
        """
        missing = [u.id for u in utterances if u.text is None]
        if missing:
            raise BadInput(
                f"{len(missing)} of {len(utterances)} utterances have no transcript ({first_three(missing)}): "
                "add them, or leave these utterances out."
            )
        normal = normaliser(normalise)
        references = tuple(normal(u.text or "") for u in utterances)
        words = [len(reference.split()) for reference in references]
        empty = [u.id for u, count in zip(utterances, words, strict=True) if not count]
        if empty:
            raise BadInput(
                f"{len(empty)} of {len(utterances)} transcripts are empty after normalisation {normalise!r} "
                f"({first_three(empty)}): correct them, or leave these utterances out."
            )
        tags = tuple(filter(None, (first_tag(u.text or "") for u in utterances)))
        counts = torch.tensor(words, dtype=torch.int64)
        return cls(tuple(utterances), references, counts, replicates, seed, normalise, tags)

    @cached_property
    def metric(self) -> str:
        """The metric to read for these utterances: ``wer``, or ``cer`` where spaces do not mark words."""
        return error_rate_of(self.references)

    def cautions(self) -> list[str]:
        """Return what readers must know before they trust a word error rate; empty for ordinary transcripts."""
        found, many = [], len(self.references)
        if self.tags:
            counted = "counted as words by --text none" if self.normalise == "none" else "not counted as words"
            found.append(f"{len(self.tags)} of {many} transcripts hold tags such as {self.tags[0]}: they are {counted}")
        if unspaced := sum(map(is_unspaced, self.references)):
            found.append(
                f"{unspaced} of {many} transcripts are written without spaces between words: WER counts a whole "
                "sentence as one word, or what spaces happen to cut; read CER"
            )
        elif self.metric == "cer":
            found.append(
                f"the words of the transcripts have {mean_word(self.references):.0f} characters on average, as if "
                "written without spaces between words: WER counts a whole sentence as one word; read CER"
            )
        return found

    def scores(self, answers: Answers, plain: Callable[[], Answers] | None = None) -> Tensor:
        """Turn hypotheses into edit counts ``(keys, utterances, 6)`` int64, whose last dimension is ``COUNTS``.

        ``answers`` holds, for each key, one hypothesis per utterance, as heard; ``runaway`` becomes 0 or 1.
        """
        hypotheses = cast(Texts, answers)
        normal = cache(normaliser(self.normalise))  # incorrect keys make the same few texts of much speech
        said = [(reference.split(), characters(reference)) for reference in self.references]
        counts = [
            [
                _counts(words, written, normal(heard.text), heard.runaway)
                for (words, written), heard in zip(said, key, strict=True)
            ]
            for key in hypotheses
        ]
        return torch.tensor(counts, dtype=torch.int64).reshape(len(counts), len(said), len(COUNTS))

    def measure(self, scores: Tensor) -> list[dict[str, Any]]:
        """Turn ``scores (keys, utterances, 6)`` into rows: position, metric, value, ci_low, ci_high, n.

        A row for each key and metric, all in percent. n counts, of ``wer`` the reference words, of ``cer`` the
        reference characters, of ``mer`` the aligned words (those of the reference and the inserted ones), of
        ``runaway``, ``empty`` and ``hallucinated`` the utterances.
        """
        scores = scores.cpu()
        count = dict(zip(COUNTS, scores.unbind(-1), strict=True))
        errors, utterances = scores[..., :3].sum(-1), torch.ones_like(self.words)
        rows: list[dict[str, Any]] = []
        for name, part, whole in (
            ("wer", errors, self.words),
            ("cer", count["character_errors"], self.reference_characters),
            ("runaway", count["runaway"], utterances),
            ("mer", errors, self.words + count["insertions"]),
            ("empty", count["substitutions"] + count["insertions"] + count["hits"] == 0, utterances),
            ("hallucinated", self._hallucinated(count), utterances),
        ):
            value, low, high = pooled_percent(part, whole, self._weights)
            n = whole.sum(-1).expand(len(value)).tolist()
            rows += [
                {"position": i, "metric": name, "value": value[i], "ci_low": low[i], "ci_high": high[i], "n": n[i]}
                for i in range(len(value))
            ]
        return rows

    def _hallucinated(self, count: dict[str, Tensor]) -> Tensor:
        """Which answers ``(keys, utterances)`` hold more inserted words than were said.

        Where characters speak, only their distance is kept: more than twice the reference's characters takes as many
        inserted ones.
        """
        if self.metric == "cer":
            return count["character_errors"] > 2 * self.reference_characters
        return count["insertions"] > self.words

    def outputs(self, answers: Answers, scores: Tensor, start: int) -> pd.DataFrame:
        """Return a row per key and utterance; the first key has index ``start``.

        ``reference`` is what was scored, after normalisation; ``hypothesis`` is what was heard, before it, so that
        another normalisation can be tried without the model.
        """
        import pandas as pd  # only runs that keep outputs need it: the process of the self-checks starts sooner

        hypotheses, ids = cast(Texts, answers), [utterance.id for utterance in self.utterances]
        keys = len(hypotheses)
        counts = scores.cpu().reshape(-1, len(COUNTS)).numpy()
        return pd.DataFrame(
            {
                "key_index": [start + key for key in range(keys) for _ in ids],
                "utterance": ids * keys,
                "reference": list(self.references) * keys,
                "hypothesis": [heard.text for key in hypotheses for heard in key],
                **{name: counts[:, column] for column, name in enumerate(COUNTS)},
                "characters": self.reference_characters.tolist() * keys,
            }
        ).astype({"runaway": bool})

    def identity(self) -> dict[str, Any]:
        """Return what the scores depend on besides utterances and answers: the normalisation."""
        return {"text": self.normalise}

    def about(self) -> dict[str, Any]:
        """Return the sections of the manifest."""
        return {"trials": None, "corpus": {"words": int(self.words.sum())}}

    def files(self) -> dict[str, str]:
        """Return no text files."""
        return {}

    def summary(self) -> str:
        """Return what is asked, for the log."""
        return f"{len(self.utterances)} utterances, {int(self.words.sum()):,} words"

    def prepare(self) -> None:
        """Draw the bootstrap weights; raises BadInput where there are too few utterances to resample."""
        _ = self._weights

    @cached_property
    def reference_characters(self) -> Tensor:
        """``(utterances,)`` int64, reference characters."""
        return torch.tensor([len(characters(reference)) for reference in self.references], dtype=torch.int64)

    @cached_property
    def _weights(self) -> Tensor | None:
        """Bootstrap weights ``(replicates, utterances)``, the same for every key; None without intervals."""
        return utterance_weights(len(self.utterances), self.replicates, self.seed) if self.replicates else None


def error_rate_of(references: Sequence[str]) -> str:
    """Return the error rate to read for normalised transcripts: ``wer``, or ``cer`` where spaces do not mark words.

    That is where most transcripts are in scripts without spaces, or words are too long to be words.
    """
    unspaced = 2 * sum(map(is_unspaced, references)) > len(references)
    return "cer" if unspaced or mean_word(references) > LONG_WORD else "wer"


def counted(text: str, metric: str) -> Sequence[str]:
    """Return what an error rate counts in a normalised text: the words for ``wer``, the characters for ``cer``."""
    return characters(text) if metric == "cer" else text.split()


def _counts(words: Sequence[str], written: str, heard: str, runaway: bool) -> tuple[int, ...]:
    """``COUNTS`` of an utterance, from its words and characters and the normalised hypothesis."""
    from rapidfuzz.distance import Levenshtein

    return *edits(words, heard.split()), int(runaway), Levenshtein.distance(written, characters(heard))


def edits(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[int, int, int, int]:
    """Substitutions, deletions, insertions and hits of two lists of words, or of two strings' characters.

    The counts of ``jiwer.process_words``, from RapidFuzz, the library that jiwer itself aligns with: without jiwer's
    alignment objects this is some seven times as fast, which thousands of keys need.
    """
    from rapidfuzz.distance import Levenshtein

    kinds = [kind for kind, _, _ in Levenshtein.editops(reference, hypothesis).as_list()]
    substitutions, deletions, insertions = (kinds.count(kind) for kind in ("replace", "delete", "insert"))
    return substitutions, deletions, insertions, len(reference) - substitutions - deletions
