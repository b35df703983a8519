"""What the attacks of a run folder achieved: shares of trials that succeed, and errors of models that need no key."""

import numpy as np
from numpy.typing import NDArray

from wrongkey.evaluation.run_folder.successes import numbers, unlocked
from wrongkey.printable import printable
from wrongkey.reports.attacks.rows import GUESSING, AttackRun, Outcome
from wrongkey.reports.comparison.attack_gains import Attacked
from wrongkey.reports.comparison.gain_of_errors import TaskError
from wrongkey.reports.comparison.gain_of_shares import Share
from wrongkey.reports.effective_error import effective_error, effective_interval, is_two_sided
from wrongkey.reports.metrics import METRICS

Array = NDArray[np.float64]

KEY = "key or speech"
USE = "use of the model"
ERROR = "error of the adversary's model"


def attack_shares(run: AttackRun | None) -> Attacked:
    """What the attacks of a run achieved, by "attack (case): what was lost".

    The key or the speech is lost where the harness says so; the use of the model where its error is within the metric's
    smallest distance of plain, like a weak key's. Both count the trials that ended: one without a key is a failure of
    the attack, and so is a missing error. Attacks that are not after a key have an error in place of trials. Guesses
    and random keys are left out: they are the incorrect keys themselves, and the baseline.
    """
    if run is None:
        return Attacked()
    shares: dict[str, Share] = {}
    errors: dict[str, TaskError] = {}
    outcomes = {f"{one.attack} ({one.given})": one for one in run.outcomes if one.attack != GUESSING}
    for case, outcome in outcomes.items():
        if outcome.n and outcome.wants_key:
            shares[f"{case}: {KEY}"] = Share(int(outcome.recovered.sum()), outcome.n)
            if np.isfinite(run.error_under("plain")) and run.setting.get("model"):
                shares[f"{case}: {USE}"] = Share(int(_unlocked(run, outcome).sum()), outcome.n)
        elif np.isfinite(numbers(outcome.ended, "error")).any():
            errors[f"{case}: {ERROR}"] = _task_error(run, outcome)
    sessions = run.suite.get("sessions") or [{}]
    return Attacked(
        shares,
        errors,
        {case: outcome.failed for case, outcome in outcomes.items() if outcome.failed},
        frozenset(case for case, outcome in outcomes.items() if not outcome.n),
        run.obstacles,
        printable(sessions[-1].get("command") or ""),
    )


def _unlocked(run: AttackRun, outcome: Outcome) -> NDArray[np.bool_]:
    """Per trial that ended: whether the model is as good as plain under the key found; False where none was found."""
    error, plain = numbers(outcome.ended, "error"), np.asarray(run.error_under("plain"))
    distance = METRICS[run.metric].distances[0] if run.metric in METRICS else 0.0
    if is_two_sided(run.metric):
        error, plain = effective_error(error), effective_error(plain)
    return unlocked(error, float(plain), distance)


def _task_error(run: AttackRun, outcome: Outcome) -> TaskError:
    """Medians over the trials that have an error."""
    error, low, high = (numbers(outcome.ended, name) for name in ("error", "error_low", "error_high"))
    if is_two_sided(run.metric):
        error, low, high = effective_interval(error, low, high)
    measured = np.isfinite(error)
    victims = run.setting.get("victims")
    speakers = victims if isinstance(victims, int) else 0
    value, low_end, high_end = (float(np.median(ends[measured])) for ends in (error, low, high))
    return TaskError(value, low_end, high_end, speakers)
