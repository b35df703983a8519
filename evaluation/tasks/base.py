"""The three tasks of a sweep: which utterances are asked, and how answers become scores and rows.

A task turns the answers of several keys into one tensor of scores ``(keys, …)`` (trial cosines, edit counts,
predicted classes), and these into rows of the score file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import pandas as pd
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers, Texts
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import Corpus, Utterance
from wrongkey.evaluation.corpora.corpus import first_three
from wrongkey.evaluation.models.protocol import Model, SceneClassifier
from wrongkey.evaluation.run_folder.vocabulary import PRIMARY_METRIC
from wrongkey.evaluation.tasks.asc import SceneClassification
from wrongkey.evaluation.tasks.asr import SpeechRecognition
from wrongkey.evaluation.tasks.asv import SpeakerVerification
from wrongkey.evaluation.tasks.enrolment import ENROLMENT
from wrongkey.evaluation.tasks.sessions import session_facts
from wrongkey.evaluation.tasks.trials import Trials, generate_trials, read_trials


class Task(Protocol):
    """What a sweep needs of a task."""

    utterances: tuple[Utterance, ...]
    metric: str  # the one of its metrics that speaks for the run

    def cautions(self) -> list[str]:
        """What a reader must know before he believes the scores, in sentences; mostly none."""

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

    metric = PRIMARY_METRIC["asv"]

    def __init__(self, config: SweepConfig, corpus: Corpus) -> None:
        if unknown := [u.id for u in corpus.utterances if not u.speaker]:
            raise BadInput(f"corpus {corpus.name} does not say who speaks in {first_three(unknown)}: trials need it")
        self.trials = _trials(config, corpus)
        self.sessions = session_facts(self.trials, corpus)
        self.utterances = self.trials.utterances(corpus)
        self.enrolled = config.variant == "test"  # under the correct key, which gives the plain embeddings
        genders = {utterance.speaker: utterance.gender for utterance in self.utterances}
        self.measured = SpeakerVerification.of(self.trials, config.replicates, config.seed, genders)
        self.measure = self.measured.measure

    def cautions(self) -> list[str]:
        return []

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
        about = {"target": trials.targets, "nontarget": trials.nontargets, "source": trials.source, **self.sessions}
        return {"trials": about | ({"models": len(trials.models)} if trials.models else {})}

    def files(self) -> dict[str, str]:
        files = {"trials.txt": self.trials.lines()}
        if self.trials.models:
            files[ENROLMENT] = self.trials.enrolment_lines()
        return {name: "".join(f"{line}\n" for line in lines) for name, lines in files.items()}

    def words(self) -> str:
        models = f" of {len(self.trials.models)} enrolled speakers" if self.trials.models else ""
        return f"{len(self.utterances)} utterances, {len(self.trials):,} trials{models}"


class Recognition:
    """ASR: transcripts of utterances."""

    def __init__(self, config: SweepConfig, corpus: Corpus) -> None:
        self.utterances = corpus.utterances
        self.measured = SpeechRecognition.of(self.utterances, config.text, config.replicates, config.seed)
        self.measure = self.measured.measure
        self.metric = self.measured.metric
        self.cautions = self.measured.cautions

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

    metric = PRIMARY_METRIC["asc"]

    def __init__(self, config: SweepConfig, corpus: Corpus, model: Model) -> None:
        self.utterances = corpus.utterances
        self.classes = tuple(cast(SceneClassifier, model).classes)
        self.measured = SceneClassification.of(self.utterances, self.classes, config.replicates, config.seed)
        self.measure = self.measured.measure

    def cautions(self) -> list[str]:
        return []

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
        return generate_trials(corpus, config.seed, config.same_gender, config.nontargets, config.sessions)
    if config.trials != "corpus":
        return read_trials(config.trials, corpus)
    brought = [corpus.root / name for name in ("trials.txt", "trials")]  # Kaldi folders have the latter
    return read_trials(next((path for path in brought if path.is_file()), brought[0]), corpus)
