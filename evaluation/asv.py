"""Speaker verification under a key: from embeddings to trial scores to EER and minDCF.

A trial compares two utterances by the cosine of their embeddings. Two threat variants (``VARIANTS``): in ``both`` an
unauthorised user enrols and tests under the same incorrect key (the paper's experiment, IV-C); in ``test`` the
speakers were enrolled under the correct key and only the test side uses an incorrect one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from evaluation.bootstrap import Interval, bootstrap_interval
from evaluation.metrics import eer, min_dcf
from evaluation.trials import Trials
from keys.errors import BadInput

VARIANTS = ("both", "test")


@dataclass(frozen=True)
class SpeakerVerification:
    """The trials of a sweep, by index into the utterances that some trial uses.

    Parameters
    ----------
    enrolment, test: ``(trials,)`` int64.
    target: ``(trials,)`` bool.
    speakers: ``(trials, 2)`` speaker numbers, for the bootstrap.
    replicates: bootstrap replicates over speakers; 0 switches the intervals off.
    """

    enrolment: Tensor
    test: Tensor
    target: Tensor
    speakers: np.ndarray
    replicates: int = 200
    seed: int = 0

    @classmethod
    def of(cls, trials: Trials, replicates: int, seed: int) -> SpeakerVerification:
        return cls(
            enrolment=torch.from_numpy(trials.enrolment),
            test=torch.from_numpy(trials.test),
            target=torch.from_numpy(trials.target),
            speakers=np.stack([trials.enrolment_speaker, trials.test_speaker], axis=1),
            replicates=replicates,
            seed=seed,
        )

    def scores(self, enrolled: Tensor, tested: Tensor) -> Tensor:
        """Cosines: embeddings ``(keys, utterances, dim)`` of both sides to ``(keys, trials)``."""
        enrolled, tested = normalize(enrolled, dim=-1), normalize(tested, dim=-1)
        e, t = self.enrolment.to(enrolled.device), self.test.to(enrolled.device)
        # Key by key: a Gram matrix of one key fits the memory where those of a shard do not.
        scores = torch.stack([(a @ b.T)[e, t] for a, b in zip(enrolled, tested, strict=True)])
        if not torch.isfinite(scores).all():
            raise BadInput("the model gives embeddings with NaN or infinity: try --precision float32")
        return scores

    def measure(self, scores: Tensor) -> list[dict[str, Any]]:
        """``scores (keys, trials)`` to one row per key and metric: position, metric, value, ci_low, ci_high, n."""
        target = self.target.to(scores.device)
        rows: list[dict[str, Any]] = []
        for name, metric in (("eer", eer), ("min_dcf", min_dcf)):
            values = metric(scores, target)
            interval = self._interval(scores, target, metric)
            for position, value in enumerate(values.tolist()):
                low, high = (bound[position].item() for bound in interval)
                rows.append(
                    {"position": position, "metric": name, "value": value, "ci_low": low, "ci_high": high,
                     "n": len(target)}
                )  # fmt: skip
        return rows

    def _interval(self, scores: Tensor, target: Tensor, metric: Any) -> Interval:
        if not self.replicates:
            nothing = torch.full((len(scores),), torch.nan)
            return Interval(nothing, nothing)
        return bootstrap_interval(
            scores, target, self.speakers, metric=metric, replicates=self.replicates, seed=self.seed
        )
