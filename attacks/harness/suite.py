"""The harness: runs attacks on a target, scores every answer the same way, and keeps the rows.

One row per attack, case and trial, in `attacks/<attack>.parquet` of the run folder, beside `attacks/suite.json`, which
says what was asked. The same call again runs the trials that are missing.

Only the harness knows the victims' keys, which follow from a secret salt (`wrongkey.attacks.harness.salt`); an attack
runs in a process that never holds them (`wrongkey.attacks.harness.boundary`). A worker that computes a trial, here or
on a Dask cluster, is told the secrets of that trial alone (`wrongkey.attacks.harness.elsewhere`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from wrongkey.attacks.base import Attack, Case, CompleteAttack
from wrongkey.attacks.harness.clips import TRIAL, Found, row_of_attack, to_keep
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.elsewhere import Told, told_elsewhere, told_here
from wrongkey.attacks.harness.guessing import Guessing
from wrongkey.attacks.harness.planned import Planned, about, planned
from wrongkey.attacks.harness.random_keys import RandomKeys
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.reply import closed, opened
from wrongkey.attacks.harness.results import AttackFolder
from wrongkey.attacks.harness.salt import Salt, TrialSecrets, read_salt
from wrongkey.attacks.harness.target import Target
from wrongkey.attacks.harness.trial import Attempt, Tried, run_trial
from wrongkey.errors import BadInput
from wrongkey.evaluation.clips import effective_errors, row_of_sweep
from wrongkey.evaluation.hardware import available_cores, threads_each
from wrongkey.evaluation.models.asking import model_at_fault
from wrongkey.evaluation.private_folders import remove_abandoned
from wrongkey.evaluation.processes.cluster import check_backend, cluster_size
from wrongkey.evaluation.processes.dispatch import Call, check_timeout, described
from wrongkey.evaluation.processes.failures import Failure, Failures, SomeFailed
from wrongkey.evaluation.processes.late import Hopeless, Late
from wrongkey.evaluation.processes.spread import alone, spread
from wrongkey.evaluation.processes.watch import Report, Watch
from wrongkey.evaluation.run_folder.attack_rows import REPEATS
from wrongkey.evaluation.run_folder.media import Row, kept_clips, may_keep
from wrongkey.evaluation.sweep import Progress
from wrongkey.evaluation.windows import overlapping

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
        Seconds that a trial, or a shard of incorrect keys, may take before it is given to another worker; no limit by
        default. A trial that is late again is left out, as one that fails.
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
    remove_abandoned()  # speech for a recogniser of attacks that were killed
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
    failed = {one.name for one in run.failures.all}  # where the schedule asks for more trials of a case
    lacking = [(case, number) for case, number in every if number not in done[case]]
    missing = [(case, number) for case, number in lacking if str(Attempt(attack, case, number)) not in failed]
    kept = len(every) - len(lacking)
    run.failures.worked |= kept > 0
    stage = place if cases[0] == Case() or len(cases) > 1 else f"{place}, {cases[0]}"
    if missing:
        run.show(stage, kept, len(every))
    with (
        Watch("trial", run.report, lambda: f"{stage}: {kept} of {len(every)} trials") as watch,
        closing(_outcomes(run, attack, missing, watch, worked=kept > 0)) as arriving,
    ):
        for case, outcome in arriving:
            if isinstance(outcome, Failure):
                run.folder.note_failed(attack.name, str(case), outcome.number, outcome.reason)
                run.failures.add([outcome])
            else:
                run.folder.add(attack.name, outcome.row)
                run.failures.worked, kept = True, kept + 1
                if outcome.row["trial"] == TRIAL and outcome.key is not None:
                    found.append(Found(case, outcome.key, outcome.succeeded))
                run.show(stage, kept, len(every))
    if watch.late:
        run.folder.note_late(watch.late)
    for case in dict.fromkeys(case for case, _ in missing):
        if run.folder.trials_done(attack.name, str(case)):
            run.say(run.folder.describe(attack.name, str(case)))
    return len(missing)


def _every_trial(asked: int) -> Schedule:
    """Each case with the trials asked for, as far as the attack allows; random keys have a number of their own."""

    def schedule(
        attack: CompleteAttack, cases: Sequence[Case], folder: AttackFolder
    ) -> Iterator[tuple[Sequence[Case], int]]:
        yield cases, attack.trials if isinstance(attack, RandomKeys) else min(asked, attack.most_trials or asked)

    return schedule


def _outcomes(
    run: Run, attack: CompleteAttack, trials: Sequence[tuple[Case, int]], watch: Watch, worked: bool
) -> Generator[tuple[Case, Tried | Failure], None, None]:
    """The outcome of every trial as it is done; `worked` says whether any was before.

    Guessing only reads the results of its sweep, in this process.
    """
    attempts = [Attempt(attack, case, number) for case, number in trials]
    here = run.scheduler is None and run.timeout is None and (run.workers == 1 or len(trials) < 2)
    if isinstance(attack, Guessing) or here:
        for attempt in attempts:
            watch.busy = [str(attempt)]
            outcome = _tried(run.target, run.salt, attempt)
            watch.heard()
            yield attempt.case, outcome
        return
    threads = threads_each(run.workers) if run.scheduler is None else None
    secrets = [run.salt.of(attack.name, case, number) for case, number in trials]
    calls = [
        Call(str(attempt), (run.told, threads, attempt, secrets[place], place))
        for place, attempt in enumerate(attempts)
    ]
    late = Late(watch, worked, _given_up)
    arriving = spread(_in_worker, calls, run.workers, run.scheduler, watch, run.timeout, run.lists, ahead=0, late=late)
    with closing(arriving):
        try:
            for place, answer, found in arriving:
                key = None if found is None else opened(found, secrets[place])
                yield trials[place][0], answer if isinstance(answer, Failure) else Tried(answer, key)
        except Hopeless as error:  # of this attack; others may be done in time
            if not run.failures.worked:
                raise
            run.say(f"{error.what(error.late)}, and no trial was done in time: {attack.name} is left out")
            for call in (*error.late, *error.others):
                place, failure, _ = _given_up(call, f"no trial was done within --timeout {error.timeout:g} s")
                yield trials[place][0], failure


def _given_up(call: Call, reason: str) -> tuple[int, Failure, None]:
    """In place of what `_in_worker` answers: the trial has no row, and the same command tries it again."""
    attempt, place = call.arguments[2], call.arguments[-1]
    return place, Failure(attempt.number, str(attempt), reason), None


def _tried(target: Target, salt: Salt | TrialSecrets, attempt: Attempt, threads: int | None = None) -> Tried | Failure:
    """The trial, or why there is none: a fault of harness or model, since an attack that fails has a row."""
    try:
        return run_trial(target, salt, attempt, threads)
    except Exception as error:  # a user's model may fail in any way, and under some keys only
        return Failure(attempt.number, str(attempt), described(error))


def _in_worker(
    told: Told, threads: int | None, attempt: Attempt, secrets: TrialSecrets, place: int
) -> tuple[int, dict[str, Any] | Failure, bytes | None]:
    """The `place` of a trial, its row, and the recovered key of the one of which clips are kept."""

    def tried() -> Tried | Failure:
        return _tried(told.target(), secrets, attempt, torch.get_num_threads())

    outcome = alone(threads, tried)
    if isinstance(outcome, Failure):
        return place, outcome, None
    key = outcome.key if attempt.number == TRIAL else None
    return place, outcome.row, None if key is None else closed(key, secrets)
