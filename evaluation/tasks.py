"""The three tasks of a sweep: which utterances are asked, and how answers become scores and rows.

A task turns the answers of several keys into one tensor of scores ``(keys, …)`` (trial cosines, edit counts,
predicted classes), and these into rows of the score file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import pandas as pd
from torch import Tensor

from evaluation.answers import Answers, Texts
from evaluation.asc import SceneClassification
from evaluation.asr import SpeechRecognition
from evaluation.asv import SpeakerVerification
from evaluation.config import SweepConfig
from evaluation.corpora import Corpus, Utterance
from evaluation.corpora.corpus import first_three
from evaluation.models.protocol import Model, SceneClassifier
from evaluation.trials import Trials, generate_trials, read_trials
from keys.errors import BadInput


class Task(Protocol):
    """What a sweep needs of a task."""

    utterances: tuple[Utterance, ...]

    def scores(self, answers: Answers, plain: Callable[[], Answers]) -> Tensor:
        """Answers of several keys to scores ``(keys, …)``; ``plain`` gives the plain model's answers."""

    def measure(self, scores: Tensor) -> list[dict[str, Any]]:
        """Scores to one row per key and metric: position, metric, value, ci_low, ci_high, n."""

    def outputs(self, answers: Answers, scores: Tensor, start: int) -> pd.DataFrame:
        """What ``--keep-outputs`` keeps of the keys from number ``start`` on."""

    def identity(self) -> dict[str, Any]:
        """What the scores depend on besides utterances and answers."""

    def about(self) -> dict[str, Any]:
        """Sections of the manifest; what is under ``corpus`` joins that section."""

    def files(self) -> dict[str, str]:
        """Text files that belong into the run folder, by name."""

    def words(self) -> str:
        """What is asked, for the log: "112 utterances, 672 trials"."""


class Verification:
    """ASV: trials between utterances."""

    def __init__(self, config: SweepConfig, corpus: Corpus) -> None:
        if unknown := [u.id for u in corpus.utterances if not u.speaker]:
            raise BadInput(f"corpus {corpus.name} does not say who speaks in {first_three(unknown)}: trials need it")
        self.trials = _trials(config, corpus)
        self.utterances = self.trials.utterances(corpus)
        self.enrolled = config.variant == "test"  # under the correct key, which gives the plain embeddings
        self.measured = SpeakerVerification.of(self.trials, config.replicates, config.seed)
        self.measure = self.measured.measure

    def scores(self, answers: Answers, plain: Callable[[], Answers]) -> Tensor:
        assert isinstance(answers, Tensor)
        enrolled = cast(Tensor, plain()).expand_as(answers) if self.enrolled else answers
        return self.measured.scores(enrolled, answers)

    def outputs(self, answers: Answers, scores: Tensor, start: int) -> pd.DataFrame:
        return pd.DataFrame({"key_index": range(start, start + len(scores)), "scores": list(scores.cpu().numpy())})

    def identity(self) -> dict[str, Any]:
        return {"trials": self.trials.digest()}

    def about(self) -> dict[str, Any]:
        trials = self.trials
        return {"trials": {"target": trials.targets, "nontarget": trials.nontargets, "source": trials.source}}

    def files(self) -> dict[str, str]:
        return {"trials.txt": "".join(f"{line}\n" for line in self.trials.lines())}

    def words(self) -> str:
        return f"{len(self.utterances)} utterances, {len(self.trials):,} trials"


class Recognition:
    """ASR: transcripts of utterances."""

    def __init__(self, config: SweepConfig, corpus: Corpus) -> None:
        self.utterances = corpus.utterances
        self.measured = SpeechRecognition.of(self.utterances, config.text, config.replicates, config.seed)
        self.measure = self.measured.measure

    def scores(self, answers: Answers, plain: Callable[[], Answers]) -> Tensor:
        return self.measured.scores(cast(Texts, answers))

    def outputs(self, answers: Answers, scores: Tensor, start: int) -> pd.DataFrame:
        return self.measured.outputs(cast(Texts, answers), scores, start)

    def identity(self) -> dict[str, Any]:
        return {"text": self.measured.normalise}

    def about(self) -> dict[str, Any]:
        return {"trials": None, "corpus": {"words": int(self.measured.words.sum())}}

    def files(self) -> dict[str, str]:
        return {}

    def words(self) -> str:
        return f"{len(self.utterances)} utterances, {int(self.measured.words.sum()):,} words"


class Classification:
    """ASC: labels of clips."""

    def __init__(self, config: SweepConfig, corpus: Corpus, model: Model) -> None:
        self.utterances = corpus.utterances
        self.classes = tuple(cast(SceneClassifier, model).classes)
        self.measured = SceneClassification.of(self.utterances, self.classes, config.replicates, config.seed)
        self.measure = self.measured.measure

    def scores(self, answers: Answers, plain: Callable[[], Answers]) -> Tensor:
        assert isinstance(answers, Tensor)
        return self.measured.scores(answers)

    def outputs(self, answers: Answers, scores: Tensor, start: int) -> pd.DataFrame:
        return self.measured.outputs(scores, start)

    def identity(self) -> dict[str, Any]:
        return {"classes": ", ".join(self.classes)}  # workers keep an identity as a key: it must be hashable

    def about(self) -> dict[str, Any]:
        return {"trials": None, "classes": list(self.classes), "corpus": {"classes": len(self.classes)}}

    def files(self) -> dict[str, str]:
        return {}

    def words(self) -> str:
        return f"{len(self.utterances)} clips of {len(self.classes)} classes"


def make_task(config: SweepConfig, corpus: Corpus, model: Model) -> Task:
    """The task of a sweep; raises BadInput where corpus, model and task do not go together, and for too few speakers or
    utterances to resample, before anything is asked or written."""
    task: Verification | Recognition | Classification
    if config.task == "asv":
        task = Verification(config, corpus)
    elif config.task == "asr":
        task = Recognition(config, corpus)
    elif hasattr(model, "classes"):
        task = Classification(config, corpus, model)
    else:
        raise BadInput(f"model {model.name} does not say its classes: see docs/extending.md")
    if config.replicates:
        _ = task.measured._weights
    return task


def _trials(config: SweepConfig, corpus: Corpus) -> Trials:
    if config.trials is None:
        return generate_trials(corpus, config.seed, config.same_gender, config.nontargets)
    path = corpus.root / "trials.txt" if config.trials == "corpus" else Path(config.trials)
    return read_trials(path, corpus)
