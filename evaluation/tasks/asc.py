"""Acoustic classification under a key: from logits to predictions to accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.corpus import Utterance, first_three
from wrongkey.evaluation.metrics.bootstrap import pooled_percent, utterance_weights


@dataclass(frozen=True)
class SceneClassification:
    """The utterances of a sweep and their true classes.

    Parameters
    ----------
    ids: utterance ids, in the order of the scores.
    labels: ``(utterances,)`` int64, positions in ``classes``.
    classes: the model's classes, in the order of its logits.
    replicates: bootstrap replicates over utterances; 0 switches the intervals off.
    """

    ids: tuple[str, ...]
    labels: Tensor
    classes: tuple[str, ...]
    replicates: int = 200
    seed: int = 0

    @classmethod
    def of(
        cls, utterances: Sequence[Utterance], classes: Sequence[str], replicates: int, seed: int
    ) -> SceneClassification:
        """Raises BadInput where an utterance has no label, or one that the model does not know."""
        silent = [u.id for u in utterances if u.label is None]
        if silent:
            raise BadInput(
                f"{len(silent)} of {len(utterances)} utterances have no label ({first_three(silent)}): "
                "add them, or leave these utterances out"
            )
        position = {name: i for i, name in enumerate(classes)}
        labels = [u.label or "" for u in utterances]
        unknown = sorted(set(labels) - position.keys())
        if unknown:
            raise BadInput(
                f"the model does not know the labels {first_three(unknown)}: its classes are {', '.join(classes)}"
            )
        ids = tuple(u.id for u in utterances)
        return cls(ids, torch.tensor([position[label] for label in labels]), tuple(classes), replicates, seed)

    def scores(self, logits: Tensor) -> Tensor:
        """Logits ``(keys, utterances, classes)`` to predictions ``(keys, utterances)`` int64, the first of the largest.

        Raises BadInput where a logit is not finite or where the classes are not as many as announced.
        """
        if logits.shape[-1] != len(self.classes):
            raise BadInput(
                f"the model gives {logits.shape[-1]} logits for {len(self.classes)} classes: its classes must name each"
            )
        if not torch.isfinite(logits).all():
            raise BadInput("the model gives logits with NaN or infinity: try --precision float32")
        return logits.argmax(-1)

    def measure(self, scores: Tensor) -> list[dict[str, Any]]:
        """Predictions ``(keys, utterances)`` to one row per key: position, metric, value, ci_low, ci_high, n.

        ``accuracy`` in percent, n utterances.
        """
        correct = scores.cpu() == self.labels
        value, low, high = pooled_percent(correct, torch.ones_like(self.labels), self._weights)
        return [
            {
                "position": i,
                "metric": "accuracy",
                "value": value[i],
                "ci_low": low[i],
                "ci_high": high[i],
                "n": len(self.labels),
            }
            for i in range(len(value))
        ]

    def outputs(self, scores: Tensor, start: int) -> pd.DataFrame:
        """One row per key and utterance with the names of both classes; the first key has index ``start``."""
        keys, names = len(scores), np.array(self.classes, dtype=object)
        return pd.DataFrame(
            {
                "key_index": [start + key for key in range(keys) for _ in self.ids],
                "utterance": list(self.ids) * keys,
                "label": list(names[self.labels.numpy()]) * keys,
                "prediction": names[scores.cpu().numpy().ravel()],
            }
        )

    @cached_property
    def _weights(self) -> Tensor | None:
        """Bootstrap weights ``(replicates, utterances)``, the same for every key; None without intervals."""
        return utterance_weights(len(self.ids), self.replicates, self.seed) if self.replicates else None
