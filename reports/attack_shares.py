"""In how many trials each attack of a run folder succeeded: what `compare` holds against each other."""

import numpy as np

from reports.attacks import GUESSING, AttackRun
from reports.gain_of_shares import Share
from reports.metrics import METRICS

KEY = "key or speech"
USE = "use of the model"


def attack_shares(run: AttackRun | None) -> dict[str, Share]:
    """Share of trials with a success, by "attack (what it was given): what was lost".

    The key or the speech is lost where the harness says so; the use of the model where its error is within the metric's
    smallest distance of plain, like a weak key's. Guesses are no attack here: they are the incorrect keys themselves.
    """
    shares: dict[str, Share] = {}
    if run is None:
        return shares
    plain = run.error_under("plain")
    distance = METRICS[run.metric].distances[0] if run.metric in METRICS else 0.0
    for outcome in run.outcomes:
        if outcome.attack == GUESSING:
            continue
        name = f"{outcome.attack} ({outcome.given})"
        if outcome.wants_key and len(outcome.recovered):
            shares[f"{name}: {KEY}"] = Share(int(outcome.recovered.sum()), len(outcome.recovered))
        errors = outcome.rows["error"].to_numpy(dtype=np.float64, na_value=np.nan)
        errors = errors[np.isfinite(errors)]
        if len(errors) and np.isfinite(plain):
            shares[f"{name}: {USE}"] = Share(int((errors <= plain + distance + 1e-9).sum()), len(errors))
    return shares
