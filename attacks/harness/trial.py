"""One attack on one key: run in a process that never holds the key, and scored as every other one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from wrongkey.attacks.base import Attack, Case, CompleteAttack, Evidence, Matrix, Recovery
from wrongkey.attacks.harness.boundary import Attacked, ModelFailed, attacking
from wrongkey.attacks.harness.evidence import Trial, evidence_of, trial_of
from wrongkey.attacks.harness.guessing import Guessing
from wrongkey.attacks.harness.handed import Handed
from wrongkey.attacks.harness.hearing import heard, nothing_heard
from wrongkey.attacks.harness.oracles import Oracles
from wrongkey.attacks.harness.random_keys import RandomKeys
from wrongkey.attacks.harness.salt import Salt, TrialSecrets
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.harness.target import Target
from wrongkey.attacks.harness.task_errors import error_rates
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.hardware import available_cores
from wrongkey.evaluation.run_folder.successes import broken
from wrongkey.evaluation.run_folder.vocabulary import CASE_COLUMNS
from wrongkey.evaluation.tasks.asv import SpeakerVerification
from wrongkey.keys.blocks import Blocks


class Attempt(NamedTuple):
    """An attack in one of its cases, on the key of a trial."""

    attack: CompleteAttack
    case: Case
    number: int

    def __str__(self) -> str:
        return f"trial {self.number} of {self.attack.name}" + ("" if self.case == Case() else f", {self.case}")


class Tried(NamedTuple):
    """An attempt that ended: its row, and the recovered key, which no file holds."""

    row: dict[str, Any]
    key: Matrix | None

    @property
    def succeeded(self) -> bool:
        """Whether it broke the key, by the rule of the tables."""
        return bool(broken(pd.DataFrame([self.row])).item())


def run_trial(target: Target, salt: Salt | TrialSecrets, attempt: Attempt, threads: int | None = None) -> Tried:
    """One attack on one key, scored: a row of the result file. `threads` is the number of the attack's process."""
    attack, case, number = attempt
    trial = trial_of(target, salt, attack, case, number)
    handed, oracles = evidence_of(target, trial, attack, case)
    with _attacked(target, attack, handed, oracles, threads or available_cores()) as attacked:
        recovery, failed = attacked.recovery, attacked.failed
        try:
            scores = unscored() if failed else scored(target, trial, recovery, attack.wants_key, seen_units(handed))
        except ModelFailed as error:
            failed, scores = str(error), unscored()
    setting = target.setting
    row = {
        "attack": attack.name,
        "family": attack.family,
        "model": target.model.name if target.model else "",
        "task": target.config.task if target.model else "",
        "corpus": target.victims_corpus.name,
        "scheme": target.scheme.name,
        "blocks": setting.blocks,
        "block_size": target.cut.block_size,
        "size": setting.size,
        "trial": number,
        "victim": trial.victim,
        "given": str(case),
        **{f"given_{name}": getattr(case, name) for name in CASE_COLUMNS},
        "had_seconds": had_units(handed) / setting.rate or None,
        "believed": recovery.success_claimed,
        "objective": recovery.objective,
        "queries": recovery.queries if isinstance(attack, Guessing) else oracles.spent,
        "seconds": attacked.seconds,
        **scores,
        "failed": failed,
        "salt": salt.fingerprint,
        "measured": json.dumps(dict(recovery.measured)),
        "note": recovery.note,
    }
    return Tried(row, None if failed else recovery.key)


@contextmanager
def _attacked(target: Target, attack: Attack, handed: Handed, oracles: Oracles, threads: int) -> Iterator[Attacked]:
    """The attack in a process of its own; guessing and random keys, which are the harness's own, in this one."""
    if not isinstance(attack, Guessing | RandomKeys):
        with attacking(attack, handed, oracles, threads) as attacked:
            yield attacked
        return
    yield Attacked(attack.run(Evidence(target.setting, handed.case, handed.seed)), "", 0.0)


def seen_units(handed: Handed) -> int:
    """Samples or frames of the victim's ciphertext that an attack had; known blocks are not counted."""
    return sum(query.shape[-1] for query in handed.ciphertext)


def had_units(handed: Handed) -> int:
    """Samples or frames of all ciphertext that an attack had without names: the victim's, and that of many."""
    of_many = () if handed.enrolled is None or any(handed.enrolled.labels) else handed.enrolled.queries
    return seen_units(handed) + sum(query.shape[-1] for query in of_many)


def scored(target: Target, trial: Trial, recovery: Recovery, wants_key: bool, seen: int) -> dict[str, float]:
    """Key error, what is heard, and the task's error in percent with the recovered key; NaN where none is wanted.

    An attack that wanted a key and found none scores as an unrelated key and as silence: an error of √2 and 0 dB. A
    model in place of a key is scored with its interval. `seen` is the number of samples or frames of the victim that
    the attack had.
    """
    scores = unscored()
    if recovery.model is not None:
        answers = target.experiment.engine.explicit(recovery.model, trial.key)
        error = _errors_of_model(target, recovery, answers)
        scores |= dict(zip(("error", "error_low", "error_high"), map(float, error), strict=True))
    if recovery.key is None:
        return scores | {"key_error": 2**0.5, "snr": 0.0} if wants_key else scores
    blocks = target.setting.blocks
    scores["key_error"] = key_error(recovery.key, trial.key, blocks)
    scores |= heard(target, trial, recovery.key, seen)
    if target.model is not None:
        asked = recovery.key
        if blocks is Blocks.SAMPLES:  # the sign is inaudible, and one more guess for the adversary, who is granted it
            asked = (np.sign(np.sum(recovery.key * trial.key)) or 1.0) * recovery.key
        scores["error"] = float(target.errors(target.experiment, trial.key, asked[None])[0])
    return scores


def unscored() -> dict[str, float]:
    """All scores as NaN."""
    return dict.fromkeys(("key_error", "error", "error_low", "error_high"), float("nan")) | nothing_heard()


def _errors_of_model(target: Target, recovery: Recovery, tested: Answers) -> Matrix:
    """The task's error and its interval, in percent, of the answers `tested` to the victims' ciphertext.

    The model is asked about plain enrolment last: beside the same recordings encrypted, it would tell an attack the
    key. Raises ModelFailed where the task has no enrolment.
    """
    experiment, task = target.experiment, target.task_with_intervals
    if recovery.enrolment != "plain":
        return error_rates(task, task.scores(tested, experiment.plain))[0]
    if not isinstance(task, SpeakerVerification):
        raise ModelFailed("Plain enrolment is asked for, which only speaker verification has.")
    assert recovery.model is not None
    enrolled = experiment.engine.explicit(recovery.model, np.eye(target.setting.size))
    assert isinstance(enrolled, torch.Tensor) and isinstance(tested, torch.Tensor)
    return error_rates(task, task.cosines(enrolled, tested))[0]
