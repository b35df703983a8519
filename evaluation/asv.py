"""Speaker verification under a key: from embeddings to trial scores to EER and minDCF.

A trial compares two utterances by the cosine of their embeddings; which key each side was embedded under is the threat
variant (``evaluation.config.VARIANTS``). Where several utterances enrol a speaker, the enrolment is the mean of their
embeddings, each scaled to unit length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from evaluation.bootstrap import percentile_interval, speaker_weights
from evaluation.metrics import eer, min_dcf
from evaluation.trials import Trials
from keys.errors import BadInput

CHUNK = 2**17  # trials whose two embeddings are held in memory at a time


@dataclass(frozen=True)
class SpeakerVerification:
    """The trials of a sweep, by index into the utterances that some trial uses.

    Parameters
    ----------
    enrolment, test: ``(trials,)`` int64.
    target: ``(trials,)`` bool.
    speakers: ``(trials, 2)`` speaker numbers, for the bootstrap.
    replicates: bootstrap replicates over speakers; 0 switches the intervals off.
    models: utterances of each enrolled model; an enrolment from the number of utterances on is one of them.
    """

    enrolment: Tensor
    test: Tensor
    target: Tensor
    speakers: np.ndarray
    replicates: int = 200
    seed: int = 0
    models: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, trials: Trials, replicates: int, seed: int) -> SpeakerVerification:
        return cls(
            enrolment=torch.from_numpy(trials.enrolment),
            test=torch.from_numpy(trials.test),
            target=torch.from_numpy(trials.target),
            speakers=np.stack([trials.enrolment_speaker, trials.test_speaker], axis=1),
            replicates=replicates,
            seed=seed,
            models=tuple(model.utterances for model in trials.models),
        )

    def scores(self, enrolled: Tensor, tested: Tensor) -> Tensor:
        """Cosines: embeddings ``(keys, utterances, dim)`` of both sides to ``(keys, trials)``.

        Raises BadInput where an embedding is not finite.
        """
        same = enrolled is tested
        tested = normalize(tested, dim=-1)
        enrolled = tested if same else normalize(enrolled, dim=-1)
        if self.models:
            means = torch.stack([enrolled[:, list(model)].mean(1) for model in self.models], dim=1)
            enrolled = torch.cat([enrolled, normalize(means, dim=-1)], dim=1)
        scores = tested.new_empty(len(tested), len(self.target))
        for start in range(0, len(self.target), CHUNK):
            some = slice(start, start + CHUNK)
            e, t = self.enrolment[some].to(tested.device), self.test[some].to(tested.device)
            for key in range(len(tested)):  # one key's pairs fit the memory where those of a shard do not
                scores[key, some] = (enrolled[key, e] * tested[key, t]).sum(-1)
        if not torch.isfinite(scores).all():
            raise BadInput("the model gives embeddings with NaN or infinity: try --precision float32")
        return scores

    def measure(self, scores: Tensor) -> list[dict[str, Any]]:
        """``scores (keys, trials)`` to one row per key and metric: position, metric, value, ci_low, ci_high, n."""
        target = self.target.to(scores.device)
        rows: list[dict[str, Any]] = []
        for name, metric in (("eer", eer), ("min_dcf", min_dcf)):
            values = metric(scores, target).tolist()
            low, high = [float("nan")] * len(values), [float("nan")] * len(values)
            if self.replicates:
                interval = percentile_interval(metric(scores, target, self._weights))
                low, high = interval.low.tolist(), interval.high.tolist()
            rows += [
                {"position": i, "metric": name, "value": value, "ci_low": low[i], "ci_high": high[i], "n": len(target)}
                for i, value in enumerate(values)
            ]
        return rows

    @cached_property
    def _weights(self) -> Tensor:
        """Bootstrap weights ``(replicates, trials)``, the same for every key."""
        return torch.from_numpy(speaker_weights(self.target, self.speakers, self.replicates, self.seed))
