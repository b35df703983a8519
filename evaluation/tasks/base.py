"""What a sweep needs of a task, and the task of a sweep.

A task says which utterances are asked. It turns the answers of several keys into one tensor of scores ``(keys, …)``
(trial cosines, edit counts, predicted classes), and these into rows of the score file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import Corpus, Utterance
from wrongkey.evaluation.models.protocol import Model, SceneClassifier
from wrongkey.evaluation.tasks.asc import SceneClassification
from wrongkey.evaluation.tasks.asr import SpeechRecognition
from wrongkey.evaluation.tasks.asv import SpeakerVerification

if TYPE_CHECKING:
    import pandas as pd


class Task(Protocol):
    """What a sweep needs of a task."""

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """The utterances that are asked, in the order of the answers."""

    @property
    def metric(self) -> str:
        """The one of the task's metrics to read for this run."""

    def cautions(self) -> list[str]:
        """Return what readers must know before they trust the scores, in sentences; mostly none."""

    def scores(self, answers: Answers, plain: Callable[[], Answers]) -> Tensor:
        """Turn answers of several keys into scores ``(keys, …)``; ``plain`` gives the plain model's answers."""

    def measure(self, scores: Tensor) -> list[dict[str, Any]]:
        """Turn scores into a row for each key and metric: position, metric, value, ci_low, ci_high, n."""

    def outputs(self, answers: Answers, scores: Tensor, start: int) -> pd.DataFrame:
        """Return what ``--keep-outputs`` keeps of the keys from number ``start`` on."""

    def identity(self) -> dict[str, Any]:
        """Return what the scores depend on besides utterances and answers."""

    def about(self) -> dict[str, Any]:
        """Return sections of the manifest; what is under ``corpus`` joins that section."""

    def files(self) -> dict[str, str]:
        """Return text files that belong in the run folder, by name."""

    def summary(self) -> str:
        """Return what is asked, for the log: "112 utterances, 672 trials"."""

    def prepare(self) -> None:
        """Draw the bootstrap weights; raises BadInput for too few speakers or utterances to resample."""


def make_task(config: SweepConfig, corpus: Corpus, model: Model) -> Task:
    """Return the task of a sweep, before anything is asked or written.

    Raises BadInput where corpus, model and task do not go together, and for too few speakers or utterances to resample.
    """
    task = _task(config, corpus, model)
    task.prepare()
    return task


def _task(config: SweepConfig, corpus: Corpus, model: Model) -> Task:
    if config.task == "asv":
        return SpeakerVerification.of(config, corpus)
    if config.task == "asr":
        return SpeechRecognition.of(corpus.utterances, config.text, config.replicates, config.seed)
    if not hasattr(model, "classes"):
        raise BadInput(f"Model {model.name} does not say its classes: see docs/extending.md.")
    classes = tuple(cast(SceneClassifier, model).classes)
    return SceneClassification.of(corpus.utterances, classes, config.replicates, config.seed)
