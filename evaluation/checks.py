"""Self-checks before a sweep: the harness suspects itself and the model before it believes a number.

Each check compares embeddings; a difference is given relative to the largest entry of the plain embeddings. A failed
check stops the run, because every score behind it would be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from evaluation.experiment import Experiment
from evaluation.hardware import TOLERANCE
from keys import draw_keys
from keys.errors import BadInput

# Layers whose answers depend on the mode; the flag of any other module means nothing.
TRAINED = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd, nn.RNNBase, nn.MultiheadAttention)


@dataclass(frozen=True)
class SelfCheck:
    """One check: it passes while ``value`` does not exceed ``limit``."""

    name: str
    value: float
    limit: float
    text: str

    @property
    def passed(self) -> bool:
        return self.value <= self.limit  # NaN fails

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


def self_checks(experiment: Experiment, correct: Tensor) -> list[SelfCheck]:
    """All checks; ``correct`` holds the embeddings ``(utterances, dim)`` under the correct key, by the explicit path.

    Raises BadInput at the first one that fails.
    """
    done = []
    for check in _checks(experiment, correct):
        if not check.passed:
            raise BadInput(
                f"self-check '{check.name}' failed for model {experiment.model.name}: {check.text} "
                f"({check.value:.2e}, allowed {check.limit:.0e}); no score of this model can be trusted"
            )
        done.append(check)
    return done


def _checks(experiment: Experiment, correct: Tensor) -> Iterator[SelfCheck]:
    engine, limit = experiment.engine, TOLERANCE[experiment.config.precision]
    plain = engine.plain_embeddings()

    training = sum(isinstance(m, TRAINED) and m.training for m in experiment.model.network.modules())
    yield SelfCheck("eval mode", float(training), 0.0, "normalisation, dropout or recurrent layers in training mode")

    again = engine.plain_embeddings()
    yield SelfCheck("deterministic", _difference(again, plain), 0.0, "difference of two equal passes")

    yield SelfCheck(
        "correct key", _difference(correct, plain), limit,
        "largest difference between encrypted model with encrypted queries and plain model with plain queries",
    )  # fmt: skip

    # A Haar key tests the engine whatever the scheme: a Flipping key may be the harmless -I.
    other = draw_keys("rom", len(experiment.correct), experiment.config.seed, 0, 1)
    relative, explicit = engine.embeddings(other)[0], experiment.explicit(other[0])
    yield SelfCheck(
        "relative key", _difference(relative, explicit), limit,
        "largest difference between relative-key engine and explicitly encrypted queries, one incorrect key",
    )  # fmt: skip

    # A value of 1 or more says that the key moved the answers by no more than rounding.
    moved = _difference(relative, plain)
    yield SelfCheck(
        "key matters", limit / moved if moved else float("inf"), 1.0,
        "rounding limit over the change that an incorrect key makes",
    )  # fmt: skip

    few, keys = engine.subset(4), draw_keys("rom", len(experiment.correct), experiment.config.seed, 0, 3)
    few.rows = 1
    alone = few.embeddings(keys)
    few.rows = 3 * len(few.groups[0])
    yield SelfCheck(
        "stacked keys", _difference(few.embeddings(keys), alone), limit,
        "largest difference between three keys asked together and one by one",
    )  # fmt: skip

    rows, engine.rows = engine.rows, max(engine.rows // 2, 1) if engine.rows > 1 else 2
    halved = engine.plain_embeddings()
    engine.rows = rows
    yield SelfCheck(
        "batch size", _difference(halved, plain), limit, f"difference between batches of {rows} and another"
    )


def _difference(a: Tensor, b: Tensor) -> float:
    """Largest absolute difference relative to the largest entry of ``b``."""
    return float((a - b).abs().max() / b.abs().max().clamp_min(torch.finfo(b.dtype).tiny))
