"""The harness: runs attacks on a target, scores every answer the same way, and keeps the rows.

One row per attack, case and trial, in `attacks/<attack>.parquet` of the run folder, beside `attacks/suite.json`, which
says what was asked. The same call again runs the trials that are missing.

Only the harness knows the victims' keys, which follow from a secret salt (`wrongkey.attacks.harness.salt`); an attack
runs in a process that never holds them (`wrongkey.attacks.harness.boundary`). A worker that computes a trial, here or
on a Dask cluster, is told the secrets of that trial alone (`wrongkey.attacks.harness.elsewhere`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from wrongkey.attacks.base import Asset, Attack, Case, CompleteAttack, Evidence, Matrix, Recovery, Setting
from wrongkey.attacks.harness.attack_settings import settings_of
from wrongkey.attacks.harness.boundary import Attacked, ModelFailed, attacking
from wrongkey.attacks.harness.checks import check_case, check_reason
from wrongkey.attacks.harness.clips import TRIAL, Found, row_of_attack, to_keep
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.elsewhere import Told, told_elsewhere, told_here
from wrongkey.attacks.harness.evidence import Handed, Trial, evidence_of, trial_of
from wrongkey.attacks.harness.guessing import Guessing
from wrongkey.attacks.harness.hearing import heard, nothing_heard
from wrongkey.attacks.harness.offered import REGISTRY
from wrongkey.attacks.harness.one_key import OF_MANY, why_not
from wrongkey.attacks.harness.oracles import Oracles
from wrongkey.attacks.harness.random_keys import RandomKeys
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.reply import closed, opened
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.attacks.harness.salt import Salt, TrialSecrets, read_salt
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.harness.target import Target
from wrongkey.attacks.harness.task_errors import error_rates
from wrongkey.errors import BadInput
from wrongkey.evaluation.answers import Answers
from wrongkey.evaluation.clips import effective_errors, row_of_sweep
from wrongkey.evaluation.hardware import available_cores, threads_each
from wrongkey.evaluation.models.asking import model_at_fault
from wrongkey.evaluation.processes.cluster import check_backend, cluster_size
from wrongkey.evaluation.processes.dispatch import Call, check_timeout, described
from wrongkey.evaluation.processes.failures import Failure, Failures, SomeFailed
from wrongkey.evaluation.processes.spread import alone, spread
from wrongkey.evaluation.processes.watch import Report, Watch
from wrongkey.evaluation.run_folder.attack_rows import REPEATS
from wrongkey.evaluation.run_folder.media import Row, kept_clips, may_keep
from wrongkey.evaluation.run_folder.successes import broken
from wrongkey.evaluation.run_folder.vocabulary import CASE_COLUMNS, OF_A_MODEL
from wrongkey.evaluation.sweep import Progress
from wrongkey.evaluation.tasks.asv import SpeakerVerification
from wrongkey.evaluation.windows import overlapping, sends_windows
from wrongkey.keys.blocks import Blocks

OF_PLAINTEXT = frozenset({"known plaintext", "chosen plaintext"})  # of blocks as a key multiplies them

# Which cases of an attack come next, and how many trials each is to have; asked again, it may go by the rows so far.
Schedule = Callable[[CompleteAttack, Sequence[Case], AttackFolder], Iterator[tuple[Sequence[Case], int]]]
Stages = Callable[[str, int, int], None]  # which attack in which case, trials done, trials in all


def run_attacks(
    config: AttackConfig,
    names: Sequence[str | Attack],
    out: Path,
    *,
    schedule: Schedule | None = None,
    keys: int = 100,
    baseline: int | None = None,
    workers: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    timeout: float | None = None,
    command: str | None = None,
    salt: Path | None = None,
    progress: Progress | None = None,
    stages: Stages | None = None,
    report: Report | None = None,
) -> AttackFolder:
    """Run attacks, in the order given, into a run folder.

    Random keys are scored first, with which the attacks are compared; where there is a model, it is asked under as many
    incorrect keys, which is the attack of guessing. An attack that does not apply is recorded with its reason in
    `suite.json`, and the next one runs. Finished trials stay on disk whatever happens.

    Parameters
    ----------
    config : AttackConfig
        What is attacked, and with how many trials.
    names : sequence of str or Attack
        Names of attacks as the command line has them, or attacks, for instance with settings of their own.
    out : Path
        The run folder; it is made if it is missing.
    schedule : callable, optional
        Gives cases of an attack and the trials that each is to have, from the attack, all its cases and what was run
        so far; by default all cases with all trials. Random keys and guessing have their own numbers.
    keys : int
        Incorrect keys under which the model is asked.
    baseline : int, optional
        Random keys that are scored as an attack is; as many as `keys` by default.
    workers : int, optional
        Processes that run trials; one per core by default, or as many as the cluster has workers.
    backend, scheduler : str
        `loky` (this machine) or `dask` with the address of a scheduler, whose workers are told the secrets of the
        trials that they compute (`docs/cluster.md`).
    timeout : float, optional
        Seconds that a trial, or a shard of incorrect keys, may take; no limit by default.
    command : str, optional
        The command line, for the record.
    salt : Path, optional
        The `attacks/salt.json` of an earlier run, whose victims' keys these attacks then have.
    progress : callable, optional
        Called with the incorrect keys that are done and those in all.
    stages : callable, optional
        Called with the attack and its case, the trials of it that are done, and those in all.
    report : callable, optional
        Called with every line that is worth saying.

    Returns
    -------
    AttackFolder
        The attacks of the run folder.

    Raises
    ------
    BadInput
        For an unknown attack, one that is not as `Attack` says, two of one name, settings that make no sense, a folder
        that holds attacks on another target or under other settings, a worker that dies, and at the end for trials that
        failed while the others went on.
    """
    check_backend(backend, scheduler)
    check_timeout(timeout)
    attacks = [open_attack(name) for name in names]
    _check_names(attacks)
    if salt is not None:
        read_salt(salt)  # refused before anything runs
    workers = workers or (available_cores() if scheduler is None else cluster_size(scheduler))
    threads = threads_each(workers) if scheduler is None else None
    if report:
        report(f"Reading {config.corpus}{f' and loading {config.model}' if config.model else ''} …")
    with model_at_fault(config.model or ""):
        target = Target(config, out)
    plan = [planned(attack, target) for attack in attacks]  # refused before anything runs
    folder = AttackFolder(out)
    if report and target.model is None:  # otherwise the sweep of incorrect keys says it
        for caution in dict.fromkeys((*target.victims_corpus.cautions, *target.background_corpus.cautions)):
            report(f"caution: {caution}")
    unfinished, tried = None, 0
    if target.model is not None:
        guessing = Guessing(target, folder.path, keys)
        with folder.locked():  # refused before the sweep, not after it
            folder.claim_attacks(config, target, attacks, command, threads)
        try:
            guessing.sweep(workers, scheduler, timeout, command, progress, report)
            plan = [planned(guessing, target), *plan]
        except SomeFailed as error:  # the other attacks need none of these keys
            unfinished = error
    plan = [planned(RandomKeys(baseline or keys), target), *plan]
    with folder.locked(), ExitStack() as kept:
        folder.claim_attacks(config, target, [one.attack for one in plan], command, threads)
        clips = kept.enter_context(kept_clips(folder.path))  # in no file while attacks run, nor is the salt
        secret = kept.enter_context(folder.kept_salt(salt))
        folder.note_salt(secret.fingerprint, repeats=salt is not None)
        told, lists = told_here(target), dict[str, bytes]()
        if scheduler is not None:
            told, lists = told_elsewhere(target)
        failures = Failures("trials", worked=False)
        run = Run(target, secret, folder, told, lists, workers, scheduler, timeout, failures, clips, stages, report)
        if salt is not None:
            run.say(f"caution: {REPEATS}")
        for line in folder.damaged:
            run.say(line)
        for place, one in enumerate(plan, 1):
            own = isinstance(one.attack, RandomKeys | Guessing)
            of_attack = _every_trial(config.trials) if own or schedule is None else schedule
            tried += _run_planned(run, one, of_attack, f"attack {place} of {len(plan)}, {one.attack.name}")
        run.failures.check(tried)
        if unfinished:
            raise unfinished
        folder.end()
    return folder


def _check_names(attacks: Sequence[CompleteAttack]) -> None:
    """Raise BadInput where two attacks have one name, since rows are kept by it."""
    names = [attack.name for attack in attacks]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"Two attacks are named {twice[0]!r}: rename one, or run them into two folders.")


@dataclass(frozen=True)
class Run:
    """What all trials of one call share."""

    target: Target
    salt: Salt
    folder: AttackFolder
    told: Told
    lists: Mapping[str, bytes]
    workers: int
    scheduler: str | None
    timeout: float | None
    failures: Failures
    clips: dict[str, Row]
    stages: Stages | None
    report: Report | None

    def say(self, line: str) -> None:
        """Report a line, if there is a report."""
        if self.report:
            self.report(line)

    def show(self, stage: str, done: int, trials: int) -> None:
        """Show how far an attack is in one of its cases."""
        if self.stages:
            self.stages(stage, done, trials)


class Tried(NamedTuple):
    """A trial that ended: its row, and the recovered key, which no file holds."""

    row: dict[str, Any]
    key: Matrix | None


@dataclass(frozen=True)
class Planned:
    """An attack, asked what it will do: its cases, or the reason why it does not apply."""

    attack: CompleteAttack
    reason: str | None
    cases: Sequence[Case]


def planned(attack: CompleteAttack, target: Target) -> Planned:
    """Ask an attack whether it applies, and for its cases; raises BadInput for answers that are none."""
    reason = why_not(target.derived, attack) or inapplicable(attack, target.setting)
    return Planned(attack, reason, () if reason else cases(attack, target))


def about(plan: Planned, task: str | None) -> dict[str, Any]:
    """What `suite.json` says of an attack: threat model, settings, what it is after, and why it does not apply."""
    attack = plan.attack
    own_needs = [case for case in plan.cases if case.needs is not None]
    return {
        "family": attack.family,
        "adversary": attack.threat.adversary,
        "needs": sorted(attack.threat.needs),
        "settings": settings_of(attack),
        "obstacle": plan.reason,
        "wants_key": attack.wants_key,
        "asset": asset_of(attack, task),
        "null": isinstance(attack, RandomKeys),
        "cases": {str(case): {"needs": sorted(case.needs or ())} for case in own_needs},
    }


def inapplicable(attack: CompleteAttack, setting: Setting) -> str | None:
    """Why an attack cannot be run on a target, as a sentence; None where it can."""
    if setting.model is None and attack.threat.needs & OF_A_MODEL:
        return "It attacks a model, and only speech was given: name one with --model."
    if sends_windows(setting.scheme.name) and attack.threat.needs & OF_MANY:
        return "It cuts the ciphertext of many people into a model's segments, and windows are cut before encryption."
    if setting.cut.span > 1 and not (attack.any_key or attack.threat.needs & OF_PLAINTEXT):
        together = f"a key of {setting.scheme.name} multiplies {setting.cut.span} of them together"
        return f"It reads tiles one by one, and {together}."
    if attack.wants_key and not attack.any_key and not setting.scheme.orthogonal:
        return f"It finds orthogonal keys, and those of {setting.scheme.name} are invertible only."
    with _asking(attack, "inapplicable"):
        reason = attack.inapplicable(setting)
    check_reason(reason, attack.name)
    return reason


def cases(attack: Attack, target: Target) -> list[Case]:
    """The attack's own cases; those with ciphertext at the seconds that the user asked for, if any."""
    with _asking(attack, "cases"):
        own = list(attack.cases(target.setting))
    for case in own:
        check_case(case, attack.name, attack.threat.needs)
    timed = [case for case in own if case.seconds is not None]
    if not (target.config.seconds and timed):
        return own
    kinds = list(dict.fromkeys(replace(case, seconds=None) for case in timed))
    return [replace(kind, seconds=seconds) for kind in kinds for seconds in target.config.seconds]


def _asking(attack: Attack, function: str) -> AbstractContextManager[None]:
    """Turn any error of a user's attack, asked for its cases say, into BadInput."""
    return REGISTRY.making(attack.name, "mend it", f"fails in {function}")


def run_trial(
    target: Target,
    salt: Salt | TrialSecrets,
    attack: CompleteAttack,
    case: Case,
    number: int,
    threads: int | None = None,
) -> Tried:
    """One attack on one key, scored: a row of the result file. `threads` is the number of the attack's process."""
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


def asset_of(attack: CompleteAttack, task: str | None) -> Asset:
    """What an attack is after: the key, with which speech and model are open, or what the attack itself says."""
    own: Asset = "identity" if task == "asv" else "use"
    return "key" if attack.wants_key else attack.asset or own


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


def _run_planned(run: Run, plan: Planned, schedule: Schedule, place: str) -> int:
    """Run the trials that are missing of those that the schedule asks for, and return how many there were."""
    run.folder.note(plan.attack.name, about(plan, run.target.setting.task))
    if plan.reason:
        run.say(f"{plan.attack.name}: does not apply. {plan.reason}")
    found: list[Found] = []
    tried = 0
    for cases, trials in schedule(plan.attack, plan.cases, run.folder):
        # The workers of a cluster may be many more than the trials of a case.
        parts = [[case] for case in cases] if run.scheduler is None else [list(cases)]
        tried += sum(_run_cases(run, plan.attack, part, trials, place, found) for part in parts if part)
    _keep_clips(run, plan.attack, found)
    return tried


def _keep_clips(run: Run, attack: CompleteAttack, found: Sequence[Found]) -> None:
    """Keep clips of a trial of the attack, or of the sweep of incorrect keys, where the run has none yet."""
    target, clips = run.target, run.clips
    if overlapping(target.model) or isinstance(attack, RandomKeys):
        return
    if not may_keep(target.config.media, target.victims_corpus.recordings):
        return
    if isinstance(attack, Guessing):
        errors = effective_errors(run.folder.path, target.experiment.task.metric)
        if errors and ("" not in clips or clips[""].about.keys != len(errors)):
            clips[""] = row_of_sweep(target.experiment, errors)
    elif found and attack.name not in clips:
        clips[attack.name] = row_of_attack(target, run.salt, attack, to_keep(found))


def _run_cases(
    run: Run, attack: CompleteAttack, cases: Sequence[Case], trials: int, place: str, found: list[Found]
) -> int:
    """Run the trials that are missing, and return how many there were; the keys of the first go to `found`."""
    every = [(case, number) for case in cases for number in range(trials)]
    done = {case: run.folder.trials_done(attack.name, str(case)) for case in cases}
    missing = [(case, number) for case, number in every if number not in done[case]]
    kept = len(every) - len(missing)
    run.failures.worked |= kept > 0
    stage = place if cases[0] == Case() or len(cases) > 1 else f"{place}, {cases[0]}"
    if missing:
        run.show(stage, kept, len(every))
    with (
        Watch("trial", run.report, lambda: f"{stage}: {kept} of {len(every)} trials") as watch,
        closing(_outcomes(run, attack, missing, watch)) as arriving,
    ):
        for case, outcome in arriving:
            if isinstance(outcome, Failure):
                run.failures.add([outcome])
            else:
                run.folder.add(attack.name, outcome.row)
                run.failures.worked, kept = True, kept + 1
                if outcome.row["trial"] == TRIAL and outcome.key is not None:
                    found.append(Found(case, outcome.key, _succeeded(outcome.row)))
                run.show(stage, kept, len(every))
    for case in dict.fromkeys(case for case, _ in missing):
        if run.folder.trials_done(attack.name, str(case)):
            run.say(run.folder.describe(attack.name, str(case)))
    return len(missing)


def _succeeded(row: Mapping[str, Any]) -> bool:
    return bool(broken(pd.DataFrame([row])).item())


def _every_trial(asked: int) -> Schedule:
    """Each case with the trials asked for, as far as the attack allows; random keys have a number of their own."""

    def schedule(
        attack: CompleteAttack, cases: Sequence[Case], folder: AttackFolder
    ) -> Iterator[tuple[Sequence[Case], int]]:
        yield cases, attack.trials if isinstance(attack, RandomKeys) else min(asked, attack.most_trials or asked)

    return schedule


def _outcomes(
    run: Run, attack: CompleteAttack, trials: Sequence[tuple[Case, int]], watch: Watch
) -> Generator[tuple[Case, Tried | Failure], None, None]:
    """The outcome of every trial as it is done. Guessing only reads the results of its sweep, in this process."""
    here = run.scheduler is None and run.timeout is None and (run.workers == 1 or len(trials) < 2)
    if isinstance(attack, Guessing) or here:
        for case, number in trials:
            watch.busy = [_name(attack, case, number)]
            outcome = _tried(run.target, run.salt, attack, case, number)
            watch.heard()
            yield case, outcome
        return
    threads = threads_each(run.workers) if run.scheduler is None else None
    secrets = [run.salt.of(attack.name, case, number) for case, number in trials]
    calls = [
        Call(_name(attack, case, number), (run.told, threads, attack, case, number, secrets[place], place))
        for place, (case, number) in enumerate(trials)
    ]
    arriving = spread(_in_worker, calls, run.workers, run.scheduler, watch, run.timeout, run.lists, ahead=0)
    with closing(arriving):
        for place, answer, found in arriving:
            key = None if found is None else opened(found, secrets[place])
            yield trials[place][0], answer if isinstance(answer, Failure) else Tried(answer, key)


def _tried(
    target: Target,
    salt: Salt | TrialSecrets,
    attack: CompleteAttack,
    case: Case,
    number: int,
    threads: int | None = None,
) -> Tried | Failure:
    """The trial, or why there is none: a fault of harness or model, since an attack that fails has a row."""
    try:
        return run_trial(target, salt, attack, case, number, threads)
    except Exception as error:  # a user's model may fail in any way, and under some keys only
        return Failure(number, _name(attack, case, number), described(error))


def _name(attack: Attack, case: Case, number: int) -> str:
    return f"trial {number} of {attack.name}" + ("" if case == Case() else f", {case}")


def _in_worker(
    told: Told,
    threads: int | None,
    attack: CompleteAttack,
    case: Case,
    number: int,
    secrets: TrialSecrets,
    place: int,
) -> tuple[int, dict[str, Any] | Failure, bytes | None]:
    """The `place` of a trial, its row, and the recovered key of the one of which clips are kept."""

    def tried() -> Tried | Failure:
        return _tried(told.target(), secrets, attack, case, number, torch.get_num_threads())

    outcome = alone(threads, tried)
    if isinstance(outcome, Failure):
        return place, outcome, None
    key = outcome.key if number == TRIAL else None
    return place, outcome.row, None if key is None else closed(key, secrets)
