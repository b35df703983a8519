"""Acoustic classification under a key: from logits to predictions to accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.corpora.corpus import Utterance, first_three
from wrongkey.evaluation.metrics.bootstrap import pooled_percent, utterance_weights

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class SceneClassification:
    """The clips of a sweep and their true classes.

    Parameters
    ----------
    utterances : tuple of Utterance
        In the order of the scores.
    labels : Tensor
        ``(utterances,)`` int64, positions in ``classes``.
    classes : tuple of str
        The model's classes, in the order of its logits.
    replicates : int
        Bootstrap replicates over utterances; 0 switches the intervals off.
    seed : int
        Of the bootstrap.
    """

    metric: ClassVar[str] = "accuracy"

    utterances: tuple[Utterance, ...]
    labels: Tensor
    classes: tuple[str, ...]
    replicates: int = 200
    seed: int = 0

    @classmethod
    def of(
        cls, utterances: Sequence[Utterance], classes: Sequence[str], replicates: int, seed: int
    ) -> SceneClassification:
        """Make the task of these utterances.

        Raises BadInput where an utterance has no label, or one that the model does not know.
        """
        unlabelled = [u.id for u in utterances if u.label is None]
        if unlabelled:
            raise BadInput(
                f"{len(unlabelled)} of {len(utterances)} utterances have no label ({first_three(unlabelled)}): "
                "add them, or leave these utterances out."
            )
        position = {name: i for i, name in enumerate(classes)}
        labels = [u.label or "" for u in utterances]
        unknown = sorted(set(labels) - position.keys())
        if unknown:
            raise BadInput(
                f"The model does not know the labels {first_three(unknown)}: its classes are {', '.join(classes)}."
            )
        positions = torch.tensor([position[label] for label in labels])
        return cls(tuple(utterances), positions, tuple(classes), replicates, seed)

    def cautions(self) -> list[str]:
        """Return no caution: accuracy has no known trap of this kind."""
        return []

    def scores(self, answers: Answers, plain: Callable[[], Answers] | None = None) -> Tensor:
        """Turn logits ``(keys, utterances, classes)`` into predictions ``(keys, utterances)`` int64.

        Of equal logits the first counts. Raises BadInput where a logit is not finite, and where there are not as many
        logits as classes.
        """
        logits = cast(Tensor, answers)
        if logits.shape[-1] != len(self.classes):
            raise BadInput(
                f"The model gives {logits.shape[-1]} logits for {len(self.classes)} classes: "
                "its classes must name each."
            )
        if not torch.isfinite(logits).all():
            raise BadInput("The model gives logits with NaN or infinity: try --precision float32.")
        return logits.argmax(-1)

    def measure(self, scores: Tensor) -> list[dict[str, Any]]:
        """Turn predictions ``(keys, utterances)`` into a row per key: position, metric, value, ci_low, ci_high, n.

        The metric is ``accuracy``, in percent; n counts utterances.
        """
        correct = scores.cpu() == self.labels
        value, low, high = pooled_percent(correct, torch.ones_like(self.labels), self._weights)
        return [
            {
                "position": i,
                "metric": self.metric,
                "value": value[i],
                "ci_low": low[i],
                "ci_high": high[i],
                "n": len(self.labels),
            }
            for i in range(len(value))
        ]

    def outputs(self, answers: Answers, scores: Tensor, start: int) -> pd.DataFrame:
        """Return a row per key and utterance with the names of both classes; the first key has index ``start``."""
        import pandas as pd  # only runs that keep outputs need it: the process of the self-checks starts sooner

        keys, names = len(scores), np.array(self.classes, dtype=object)
        ids = [utterance.id for utterance in self.utterances]
        return pd.DataFrame(
            {
                "key_index": [start + key for key in range(keys) for _ in ids],
                "utterance": ids * keys,
                "label": list(names[self.labels.numpy()]) * keys,
                "prediction": names[scores.cpu().numpy().ravel()],
            }
        )

    def identity(self) -> dict[str, Any]:
        """Return what the scores depend on besides utterances and answers: the classes."""
        return {"classes": ", ".join(self.classes)}  # workers keep an identity as a key: it must be hashable

    def about(self) -> dict[str, Any]:
        """Return the sections of the manifest."""
        return {"trials": None, "classes": list(self.classes), "corpus": {"classes": len(self.classes)}}

    def files(self) -> dict[str, str]:
        """Return no text files."""
        return {}

    def summary(self) -> str:
        """Return what is asked, for the log."""
        return f"{len(self.utterances)} clips of {len(self.classes)} classes"

    def prepare(self) -> None:
        """Draw the bootstrap weights; raises BadInput where there are too few utterances to resample."""
        _ = self._weights

    @cached_property
    def _weights(self) -> Tensor | None:
        """Bootstrap weights ``(replicates, utterances)``, the same for every key; None without intervals."""
        return utterance_weights(len(self.utterances), self.replicates, self.seed) if self.replicates else None
