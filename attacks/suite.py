"""The harness: runs attacks on a target, scores every answer the same way, and keeps the rows.

One row per attack, amount and trial, in `attacks/<attack>.parquet` of the run folder, beside `attacks/suite.json`,
which says what was asked. The same call again runs the trials that are missing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attacks.base import Attack, Evidence, Given, Matrix, Recovery
from attacks.evidence import Trial, evidence_of, trial_of
from attacks.guessing import Guessing
from attacks.registry import open_attack
from attacks.results import AttackFolder
from attacks.scores import key_error, snr, stoi
from attacks.target import AttackConfig, Target
from evaluation.answers import Answers
from evaluation.dispatch import Call, check_timeout, collect, described
from evaluation.failures import Failure, Failures, SomeFailed
from evaluation.hardware import available_cores
from evaluation.metrics import eer
from evaluation.models.protocol import Model, model_at_fault
from evaluation.pool import processes
from evaluation.sweep import Progress
from evaluation.tasks import Verification
from evaluation.watch import Report, Watch
from keys import decrypt_query, encrypt_query
from keys.errors import BadInput

HEARD_SECONDS = 30.0  # of the victim's speech, decrypted with the recovered key: SNR and STOI


def run_attacks(
    config: AttackConfig,
    names: Sequence[str],
    out: Path,
    *,
    keys: int = 100,
    workers: int | None = None,
    timeout: float | None = None,
    command: str | None = None,
    progress: Progress | None = None,
    report: Report | None = None,
) -> AttackFolder:
    """Run attacks by name, in the order given, into the run folder `out` and return its attacks.

    Where there is a model, `keys` incorrect keys are asked first: the attack of guessing, and what the others are
    compared with. An attack that does not apply is named with its reason in suite.json, and the next one runs. A trial
    or a shard of keys may take `timeout` seconds (None: for ever). Raises BadInput for an unknown attack, settings that
    make no sense, a folder that holds attacks on another target, a worker that dies, and at the end for trials that
    failed while the others went on; finished trials stay on disk whatever happens.
    """
    check_timeout(timeout)
    attacks: dict[str, Attack] = {name: open_attack(name) for name in names}
    workers = workers or available_cores()
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
    failures = Failures("trials", worked=False)
    with folder.locked():
        folder.claim_attacks(config, target, command)
        if report:
            for line in folder.damaged:
                report(line)
        for name, attack in attacks.items():
            if reason := obstacle(attack, target):
                folder.note(attack, reason)
                if report:
                    report(f"{attack.name}: does not apply. {reason}")
                continue
            folder.note(attack, None)
            for given in amounts(attack, target):
                tried += _run_amount(folder, target, name, attack, given, workers, timeout, failures, report)
        failures.check(tried)
        if unfinished:
            raise unfinished
        folder.end()
    return folder


def obstacle(attack: Attack, target: Target) -> str | None:
    """Why an attack cannot be run on a target; None where it can."""
    model_needs = {"public model", "encrypted model", "answers"}
    if target.model is None and attack.threat.needs & model_needs:
        return "It attacks a model, and only speech was given: name one with --model."
    return attack.obstacle(target.setting)


def amounts(attack: Attack, target: Target) -> list[Given]:
    """The attack's own cases; those with ciphertext at the seconds that the user asked for, where he did."""
    own = list(attack.amounts(target.setting))
    timed = [given for given in own if given.seconds is not None]
    if not (target.config.amounts and timed):
        return own
    kinds = list(dict.fromkeys(Given(**{**asdict(given), "seconds": None}) for given in timed))
    return [Given(**{**asdict(kind), "seconds": seconds}) for kind in kinds for seconds in target.config.amounts]


def run_trial(target: Target, attack: Attack, given: Given, number: int) -> dict[str, Any]:
    """One attack on one key, scored: a row of the result file."""
    trial = trial_of(target, number)
    evidence = evidence_of(target, trial, attack, given)
    begin = time.process_time()  # of all threads of this process
    recovery = attempt(attack, evidence)
    seconds = time.process_time() - begin
    setting = target.setting
    return {
        "attack": attack.name,
        "family": attack.family,
        "model": target.model.name if target.model else "",
        "task": target.config.task if target.model else "",
        "corpus": target.victims_corpus.name,
        "scheme": setting.scheme,
        "blocks": setting.blocks,
        "block_size": setting.block_size,
        "size": setting.size,
        "trial": number,
        "victim": trial.victim,
        "given": str(given),
        **{f"given_{name}": value for name, value in asdict(given).items()},
        "had_seconds": sum(query.shape[-1] for query in evidence.ciphertext) / setting.rate or None,
        "believed": recovery.believed,
        "objective": recovery.objective,
        "queries": recovery.queries,
        "seconds": seconds,
        **scored(target, trial, recovery, getattr(attack, "wants_key", True)),
        "measured": json.dumps(dict(recovery.measured)),
        "note": recovery.note,
    }


def attempt(attack: Attack, evidence: Evidence) -> Recovery:
    """What the attack returns; a failure of any kind, or a key that is none, is a result, and the suite goes on."""
    size = evidence.setting.size
    try:
        recovery = attack.run(evidence)
    except BadInput as error:  # too little ciphertext, say
        if attack.name == Guessing.name:  # no attack, but the reading of its sweep
            raise
        return Recovery(None, believed=False, note=str(error))
    except Exception as error:  # an attack of a user's may fail in any way
        return Recovery(None, believed=False, note=f"{type(error).__name__}: {error}")
    key = recovery.key
    if key is not None and not (key.shape == (size, size) and np.allclose(key @ key.T, np.eye(size), atol=1e-3)):
        return Recovery(None, believed=False, note=f"{attack.name} returned no orthogonal matrix of {size} x {size}.")
    return recovery


def scored(target: Target, trial: Trial, recovery: Recovery, wants_key: bool) -> dict[str, float]:
    """Key error, SNR, STOI and the task's error (percent) with the recovered key; NaN where none is wanted.

    An attack that wanted a key and found none scores as an unrelated key and as silence: error √2, 0 dB.
    """
    found = dict.fromkeys(("key_error", "snr", "stoi", "error"), float("nan"))
    if recovery.model is not None:
        answers = target.experiment.engine.explicit(recovery.model, trial.key)
        if recovery.enrolment == "plain":
            found["error"] = _eer_of_plain_enrolment(target, recovery.model, answers)
        else:
            found["error"] = float(target.error_of(target.experiment, answers)[0])
    if recovery.key is None:
        return found | ({"key_error": 2**0.5, "snr": 0.0} if wants_key else {})
    blocks = target.setting.blocks
    found["key_error"] = key_error(recovery.key, trial.key, blocks)
    found |= heard(target, trial, recovery.key)
    if target.model is not None:
        # A sign that the attack cannot see is one more guess for the adversary: he is granted it.
        sign = np.sign(np.sum(recovery.key * trial.key)) if blocks == "samples" else 1.0
        asked = (sign or 1.0) * recovery.key
        found["error"] = float(target.errors(target.experiment, trial.key, asked[None])[0])
    return found


def _eer_of_plain_enrolment(target: Target, model: Model, tested: Answers) -> float:
    """EER in percent of answers to encrypted tests against speakers whom `model` knows from plain speech.

    Plain enrolment is asked about last: beside the same recordings encrypted, it would tell an attack the key.
    """
    experiment = target.experiment
    enrolled = experiment.engine.explicit(model, np.eye(target.setting.size))
    assert isinstance(experiment.task, Verification) and isinstance(enrolled, torch.Tensor)
    assert isinstance(tested, torch.Tensor)
    trials = experiment.task.measured
    return float(eer(trials.scores(enrolled, tested), trials.target)[0])


def heard(target: Target, trial: Trial, key: Matrix) -> dict[str, float]:
    """SNR (dB) and, of waveforms, STOI of the victim's first half minute of speech, decrypted with `key`."""
    setting = target.setting
    plain, units = [], 0
    for query in trial.queries:
        plain.append(query)
        units += query.shape[-1]
        if units > HEARD_SECONDS * setting.rate:
            break
    decrypted = [
        decrypt_query(encrypt_query(query, trial.key, blocks=setting.blocks), key, blocks=setting.blocks)
        for query in plain
    ]
    whole = [
        torch.cat(parts, dim=-1)
        for parts in (plain, [d[..., : p.shape[-1]] for d, p in zip(decrypted, plain, strict=True)])
    ]
    heard = {"snr": snr(whole[0], whole[1], setting.blocks)}
    if setting.blocks == "samples":
        heard["stoi"] = stoi(whole[0], whole[1], int(setting.rate))
    return heard


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


def _run_amount(
    folder: AttackFolder,
    target: Target,
    name: str,
    attack: Attack,
    given: Given,
    workers: int,
    timeout: float | None,
    failures: Failures,
    report: Report | None,
) -> int:
    """Runs the trials that are missing, and returns how many there were."""
    done = folder.trials_done(attack.name, str(given))
    trials = min(target.config.trials, getattr(attack, "most_trials", target.config.trials))
    missing = [number for number in range(trials) if number not in done]
    kept = trials - len(missing)
    failures.worked |= kept > 0
    with (
        Watch("trial", report, lambda: f"{kept} of {trials} trials") as watch,
        closing(_outcomes(target, name, attack, given, missing, workers, timeout, watch)) as arriving,
    ):
        for outcome in arriving:
            if isinstance(outcome, Failure):
                failures.add([outcome])
            else:
                folder.add(attack.name, outcome)
                failures.worked, kept = True, kept + 1
    if report and missing and kept:
        report(folder.describe(attack.name, str(given)))
    return len(missing)


def _outcomes(
    target: Target,
    name: str,
    attack: Attack,
    given: Given,
    trials: Sequence[int],
    workers: int,
    timeout: float | None,
    watch: Watch,
) -> Generator[dict[str, Any] | Failure, None, None]:
    """What became of every trial, as it is done; guessing only reads what its sweep left, in this process."""
    if name == Guessing.name or (timeout is None and (workers == 1 or len(trials) < 2)):
        for number in trials:
            watch.busy = [_name(attack, given, number)]
            outcome = _tried(target, attack, given, number)
            watch.heard()
            yield outcome
        return
    threads = max(available_cores() // workers, 1)
    asked = (target.config, str(target.folder), name, given, threads)
    calls = [Call(_name(attack, given, number), (*asked, number)) for number in trials]
    with processes(workers, threads) as pool:
        yield from collect(pool, _in_worker, calls, workers, watch, timeout=timeout)


def _tried(target: Target, attack: Attack, given: Given, number: int) -> dict[str, Any] | Failure:
    """The trial's row, or why there is none: of the harness and the model, since an attack that fails has a row."""
    try:
        return run_trial(target, attack, given, number)
    except Exception as error:  # a user's model may fail in any way, and under some keys alone
        return Failure(number, _name(attack, given, number), described(error))


def _name(attack: Attack, given: Given, number: int) -> str:
    return f"trial {number} of {attack.name}, {given}"


def _in_worker(
    config: AttackConfig, folder: str, name: str, given: Given, threads: int, number: int
) -> dict[str, Any] | Failure:
    torch.set_num_threads(threads)
    return _tried(_prepared(config, folder), _opened(name), given, number)


_opened = lru_cache(open_attack)  # an attack keeps what it learned from other people's speech


@lru_cache(maxsize=1)
def _prepared(config: AttackConfig, folder: str) -> Target:
    """Prepared once per worker."""
    return Target(config, Path(folder))
