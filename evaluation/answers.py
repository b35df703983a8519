"""What a model answered, gathered from passes of any size: means over an utterance's pieces, or joined texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.queries import QueryGroup

Texts = list[list[Hypothesis]]  # [key][utterance]
Answers = Tensor | Texts  # embeddings or logits (keys, utterances, dim), or what was heard
Pass = tuple[slice, slice, Tensor | Sequence[str | Hypothesis]]  # keys, segments, an answer for each of keys · segments


@dataclass
class Gathered:
    """Answers of ``keys`` keys for ``utterances`` utterances, filled group by group; tensors are kept in ``dtype``."""

    keys: int
    utterances: int
    dtype: torch.dtype
    means: Tensor | None = None
    heard: dict[tuple[int, int], list[Hypothesis]] = field(default_factory=dict)  # (key, utterance) -> its pieces

    def add(self, group: QueryGroup, passes: Iterable[Pass]) -> None:
        """All passes over one group of queries."""
        rows: Tensor | None = None
        texts: dict[tuple[int, int], Hypothesis] = {}
        for chosen, piece, answer in passes:
            if isinstance(answer, Tensor):
                if rows is None:
                    rows = answer.new_empty(self.keys, len(group), answer.shape[-1], dtype=self.dtype)
                rows[chosen, piece] = answer.to(self.dtype).reshape(chosen.stop - chosen.start, -1, answer.shape[-1])
            else:
                asked = [(key, s) for key in range(chosen.start, chosen.stop) for s in range(piece.start, piece.stop)]
                texts.update((where, as_hypothesis(text)) for where, text in zip(asked, answer, strict=True))
        if rows is None:
            self._add_texts(group, texts)
        else:
            self._add_means(group, rows)

    def answers(self) -> Answers:
        """What was gathered: means ``(keys, utterances, dim)``, or joined texts."""
        if self.means is not None:
            return self.means
        return [[_joined(self.heard[key, u]) for u in range(self.utterances)] for key in range(self.keys)]

    def _add_means(self, group: QueryGroup, rows: Tensor) -> None:
        if self.means is None:
            self.means = rows.new_empty(self.keys, self.utterances, rows.shape[-1])
        self.means[:, group.utterance] = rows.unflatten(1, (-1, group.pieces)).mean(2)  # type: ignore[no-untyped-call]

    def _add_texts(self, group: QueryGroup, texts: dict[tuple[int, int], Hypothesis]) -> None:
        for number, utterance in enumerate(group.utterance.tolist()):
            pieces = range(number * group.pieces, (number + 1) * group.pieces)
            for key in range(self.keys):
                self.heard[key, utterance] = [texts[key, s] for s in pieces]


def as_hypothesis(text: str | Hypothesis) -> Hypothesis:
    """What a recogniser answered, a plain text being one whose decoder ended by itself."""
    return Hypothesis(text) if isinstance(text, str) else text


def _joined(pieces: Sequence[Hypothesis]) -> Hypothesis:
    text = " ".join(piece.text.strip() for piece in pieces)
    return Hypothesis(text.strip(), any(piece.runaway for piece in pieces))


def difference_of(a: Answers, b: Answers) -> float:
    """Largest absolute difference relative to the largest entry of ``b``; of texts, the share that differs.

    Infinite where the answers are of different shapes or kinds.
    """
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape:
            return float("inf")
        return float((a - b).abs().max() / b.abs().max().clamp_min(torch.finfo(b.dtype).tiny))
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return float("inf")
    pairs = [(x, y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True)]
    return sum(bool(x != y) for x, y in pairs) / len(pairs)
