"""The harness: runs attacks on a target, scores every answer the same way, and keeps the rows.

One row per attack, amount and trial, in `attacks/<attack>.parquet` of the run folder, beside `attacks/suite.json`,
which says what was asked. The same call again runs the trials that are missing.

The harness alone knows the victims' keys, which follow from a secret salt (`wrongkey.attacks.harness.salt`); an attack
runs in a process that never holds them (`wrongkey.attacks.harness.boundary`).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wrongkey.attacks.base import Asset, Attack, Case, Evidence, Matrix, Recovery
from wrongkey.attacks.harness.boundary import Attacked, ModelFailed, attacking
from wrongkey.attacks.harness.evidence import Handed, Trial, evidence_of, trial_of
from wrongkey.attacks.harness.guessing import Guessing
from wrongkey.attacks.harness.hearing import heard, nothing_heard
from wrongkey.attacks.harness.oracles import Oracles
from wrongkey.attacks.harness.random_keys import RandomKeys
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.attacks.harness.salt import Salt, read_salt
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.harness.target import AttackConfig, Target
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.hardware import available_cores
from wrongkey.evaluation.models.asking import model_at_fault
from wrongkey.evaluation.processes.dispatch import Call, check_timeout, collect, described
from wrongkey.evaluation.processes.failures import Failure, Failures, SomeFailed
from wrongkey.evaluation.processes.pool import processes
from wrongkey.evaluation.processes.watch import Report, Watch
from wrongkey.evaluation.run_folder.attack_rows import REPEATS
from wrongkey.evaluation.run_folder.vocabulary import CASE_COLUMNS
from wrongkey.evaluation.sweep import Progress
from wrongkey.evaluation.tasks.asv import SpeakerVerification


def run_attacks(
    config: AttackConfig,
    names: Sequence[str],
    out: Path,
    *,
    keys: int = 100,
    workers: int | None = None,
    timeout: float | None = None,
    command: str | None = None,
    salt: Path | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
) -> AttackFolder:
    """Run attacks by name, in the order given, into the run folder `out` and return its attacks.

    `keys` random keys are scored first, which the others are compared with; where there is a model, it is asked under
    as many incorrect keys, which is the attack of guessing. An attack that does not apply is named with its reason in
    suite.json, and the next one runs. A trial or a shard of keys may take `timeout` seconds (None: for ever). `salt`
    names the `attacks/salt.json` of an earlier run, whose victims' keys these attacks then have.

    Raises BadInput for an unknown attack, settings that make no sense, a folder that holds attacks on another target, a
    worker that dies, and at the end for trials that failed while the others went on; finished trials stay on disk
    whatever happens.
    """
    check_timeout(timeout)
    attacks: dict[str, Attack] = {name: open_attack(name) for name in names}
    workers = workers or available_cores()
    if salt is not None:
        read_salt(salt)  # refused before anything runs
    with model_at_fault(config.model or ""):
        target = Target(config, out)
    folder = AttackFolder(out)
    if report and target.model is None:  # else the sweep of incorrect keys says it
        for caution in dict.fromkeys((*target.victims_corpus.cautions, *target.others_corpus.cautions)):
            report(f"caution: {caution}")
    unfinished, tried = None, 0
    if target.model is not None:
        try:
            guessing = _guessing(target, folder, keys, workers, timeout, command, progress, report)
            attacks = {guessing.name: guessing, **attacks}
        except SomeFailed as error:  # the other attacks need none of these keys
            unfinished = error
    attacks = {RandomKeys.name: RandomKeys(keys), **attacks}
    with folder.locked(), ExitStack() as kept:
        folder.claim_attacks(config, target, command)
        secret = kept.enter_context(folder.kept_salt(salt))
        folder.note_salt(secret.fingerprint, repeats=salt is not None)
        run = Run(target, secret, folder, workers, timeout, Failures("trials", worked=False), report)
        if report:
            if salt is not None:
                report(f"caution: {REPEATS}")
            for line in folder.damaged:
                report(line)
        for attack in attacks.values():
            reason = inapplicable(attack, target)
            folder.note(attack.name, about(attack, target, reason))
            if reason and report:
                report(f"{attack.name}: does not apply. {reason}")
            for case in [] if reason else cases(attack, target):
                tried += _run_case(run, attack, case)
        run.failures.check(tried)
        if unfinished:
            raise unfinished
        folder.end()
    return folder


@dataclass(frozen=True)
class Run:
    """What all trials of one call share."""

    target: Target
    salt: Salt
    folder: AttackFolder
    workers: int
    timeout: float | None
    failures: Failures
    report: Report | None


def about(attack: Attack, target: Target, reason: str | None) -> dict[str, Any]:
    """What suite.json says of an attack: its threat model, what it is after, and why it does not apply, if so."""
    run_on = [] if reason else cases(attack, target)
    return {
        "family": attack.family,
        "adversary": attack.threat.adversary,
        "needs": sorted(attack.threat.needs),
        "obstacle": reason,
        "wants_key": wants_key(attack),
        "asset": asset_of(attack, target.setting.task),
        "null": isinstance(attack, RandomKeys),
        "cases": {str(case): {"needs": sorted(case.needs)} for case in run_on if case.needs is not None},
    }


def inapplicable(attack: Attack, target: Target) -> str | None:
    """Why an attack cannot be run on a target; None where it can."""
    model_needs = {"public model", "encrypted model", "answers"}
    if target.model is None and attack.threat.needs & model_needs:
        return "It attacks a model, and only speech was given: name one with --model."
    return attack.inapplicable(target.setting)


def cases(attack: Attack, target: Target) -> list[Case]:
    """The attack's own cases; those with ciphertext at the seconds that the user asked for, where he did."""
    own = list(attack.cases(target.setting))
    timed = [case for case in own if case.seconds is not None]
    if not (target.config.seconds and timed):
        return own
    kinds = list(dict.fromkeys(replace(case, seconds=None) for case in timed))
    return [replace(kind, seconds=seconds) for kind in kinds for seconds in target.config.seconds]


def run_trial(
    target: Target, salt: Salt, attack: Attack, case: Case, number: int, threads: int | None = None
) -> dict[str, Any]:
    """One attack on one key, scored: a row of the result file. `threads`: of the attack's process."""
    trial = trial_of(target, salt, attack, case, number)
    handed, oracles = evidence_of(target, trial, attack, case)
    with _attacked(target, attack, handed, oracles, threads or available_cores()) as attacked:
        recovery, failed = attacked.recovery, attacked.failed
        try:
            scores = unscored() if failed else scored(target, trial, recovery, wants_key(attack), seen_units(handed))
        except ModelFailed as error:
            failed, scores = str(error), unscored()
    setting = target.setting
    return {
        "attack": attack.name,
        "family": attack.family,
        "model": target.model.name if target.model else "",
        "task": target.config.task if target.model else "",
        "corpus": target.victims_corpus.name,
        "scheme": setting.scheme.name,
        "blocks": setting.blocks,
        "block_size": setting.block_size,
        "size": setting.size,
        "trial": number,
        "victim": trial.victim,
        "given": str(case),
        **{f"given_{name}": getattr(case, name) for name in CASE_COLUMNS},
        "had_seconds": seen_units(handed) / setting.rate or None,
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


@contextmanager
def _attacked(target: Target, attack: Attack, handed: Handed, oracles: Oracles, threads: int) -> Iterator[Attacked]:
    """The attack in a process of its own; what is no attack, but the harness' own, in this one."""
    if not isinstance(attack, Guessing | RandomKeys):
        with attacking(attack, handed, oracles, threads) as attacked:
            yield attacked
        return
    yield Attacked(attack.run(Evidence(target.setting, handed.case, handed.seed)), "", 0.0)


def wants_key(attack: Attack) -> bool:
    return bool(getattr(attack, "wants_key", True))


def asset_of(attack: Attack, task: str | None) -> Asset:
    """What an attack is after: the key, and with it the speech and the use of the model, or what it says itself."""
    own: Asset = "identity" if task == "asv" else "use"
    return "key" if wants_key(attack) else getattr(attack, "asset", own)


def seen_units(handed: Handed) -> int:
    """Samples or frames of the victim's ciphertext that an attack had; a few known blocks do not count."""
    return sum(query.shape[-1] for query in handed.ciphertext)


def scored(target: Target, trial: Trial, recovery: Recovery, wants_key: bool, seen: int) -> dict[str, float]:
    """Key error, what is heard, and the task's error (percent) with the recovered key; NaN where none is wanted.

    An attack that wanted a key and found none scores as an unrelated key and as silence: error √2, 0 dB. A model in
    place of a key is scored with its interval. seen: samples or frames of the victim that the attack had.
    """
    found = unscored()
    if recovery.model is not None:
        answers = target.experiment.engine.explicit(recovery.model, trial.key)
        error = _errors_of_model(target, recovery, answers)
        found |= dict(zip(("error", "error_low", "error_high"), map(float, error), strict=True))
    if recovery.key is None:
        return found | ({"key_error": 2**0.5, "snr": 0.0} if wants_key else {})
    blocks = target.setting.blocks
    found["key_error"] = key_error(recovery.key, trial.key, blocks)
    found |= heard(target, trial, recovery.key, seen)
    if target.model is not None:
        # A sign that the attack cannot see is one more guess for the adversary, who is granted it.
        sign = np.sign(np.sum(recovery.key * trial.key)) if blocks == "samples" else 1.0
        asked = (sign or 1.0) * recovery.key
        found["error"] = float(target.errors(target.experiment, trial.key, asked[None])[0])
    return found


def unscored() -> dict[str, float]:
    return dict.fromkeys(("key_error", "error", "error_low", "error_high"), float("nan")) | nothing_heard()


def _errors_of_model(target: Target, recovery: Recovery, tested: Answers) -> Matrix:
    """The task's error and its interval, in percent, of the answers to the victims' ciphertext `tested`.

    Plain enrolment is asked about last: beside the same recordings encrypted, it would tell an attack the key. Raises
    ModelFailed where the task enrols nobody.
    """
    if recovery.enrolment != "plain":
        encrypted: Matrix = target.error_rows(target.with_intervals, tested)[0]
        return encrypted
    experiment = target.with_intervals
    if not isinstance(experiment.task, SpeakerVerification):
        raise ModelFailed("plain enrolment is asked for, and only speaker verification enrols anybody")
    assert recovery.model is not None
    enrolled = experiment.engine.explicit(recovery.model, np.eye(target.setting.size))
    assert isinstance(enrolled, torch.Tensor) and isinstance(tested, torch.Tensor)
    rates: Matrix = target.rates(experiment, experiment.task.cosines(enrolled, tested))[0]
    return rates


def _guessing(
    target: Target,
    folder: AttackFolder,
    keys: int,
    workers: int,
    timeout: float | None,
    command: str | None,
    progress: Progress | None,
    report: Report | None,
) -> Guessing:
    with folder.locked():  # refused before the sweep, not after it
        folder.claim_attacks(target.config, target, command)
    guessing = Guessing(target, folder.path, keys)
    guessing.sweep(workers, timeout, command, progress, report)
    return guessing


def _run_case(run: Run, attack: Attack, case: Case) -> int:
    """Runs the trials that are missing, and returns how many there were."""
    done = run.folder.trials_done(attack.name, str(case))
    trials = _trials(run.target.config.trials, attack)
    missing = [number for number in range(trials) if number not in done]
    kept = trials - len(missing)
    run.failures.worked |= kept > 0
    with (
        Watch("trial", run.report, lambda: f"{kept} of {trials} trials") as watch,
        closing(_outcomes(run, attack, case, missing, watch)) as arriving,
    ):
        for outcome in arriving:
            if isinstance(outcome, Failure):
                run.failures.add([outcome])
            else:
                run.folder.add(attack.name, outcome)
                run.failures.worked, kept = True, kept + 1
    if run.report and missing and kept:
        run.report(run.folder.describe(attack.name, str(case)))
    return len(missing)


def _trials(asked: int, attack: Attack) -> int:
    """How many trials a case has: those asked for, no more than are enough, or as many as the null attack needs."""
    return attack.trials if isinstance(attack, RandomKeys) else min(asked, getattr(attack, "most_trials", asked))


def _outcomes(
    run: Run, attack: Attack, case: Case, trials: Sequence[int], watch: Watch
) -> Generator[dict[str, Any] | Failure, None, None]:
    """What became of every trial, as it is done; guessing only reads what its sweep left, in this process."""
    workers, timeout = run.workers, run.timeout
    if isinstance(attack, Guessing) or (timeout is None and (workers == 1 or len(trials) < 2)):
        for number in trials:
            watch.busy = [_name(attack, case, number)]
            outcome = _tried(run.target, run.salt, attack, case, number)
            watch.heard()
            yield outcome
        return
    threads = max(available_cores() // workers, 1)
    asked = (run.target.config, str(run.target.folder), run.salt, attack, case, threads)
    calls = [Call(_name(attack, case, number), (*asked, number)) for number in trials]
    with processes(workers, threads) as pool:
        yield from collect(pool, _in_worker, calls, workers, watch, timeout=timeout)


def _tried(
    target: Target, salt: Salt, attack: Attack, case: Case, number: int, threads: int | None = None
) -> dict[str, Any] | Failure:
    """The trial's row, or why there is none: of the harness and the model, since an attack that fails has a row."""
    try:
        return run_trial(target, salt, attack, case, number, threads)
    except Exception as error:  # a user's model may fail in any way, and under some keys alone
        return Failure(number, _name(attack, case, number), described(error))


def _name(attack: Attack, case: Case, number: int) -> str:
    return f"trial {number} of {attack.name}, {case}"


def _in_worker(
    config: AttackConfig, folder: str, salt: Salt, attack: Attack, case: Case, threads: int, number: int
) -> dict[str, Any] | Failure:
    torch.set_num_threads(threads)
    return _tried(_prepared(config, folder), salt, attack, case, number, threads)


@lru_cache(maxsize=1)
def _prepared(config: AttackConfig, folder: str) -> Target:
    """Prepared once per worker."""
    return Target(config, Path(folder))
