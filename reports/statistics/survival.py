"""How many random keys come within a distance of the plain model, for every distance: the survival curve of guesses.

One over the share is the number of guesses that an adversary expects to need. The band is Clopper and Pearson's at each
distance, the interval that the tables give for the same share. A band that holds for all distances at once (Dvoretzky,
Kiefer and Wolfowitz) is as wide for rare keys as for common ones: ± 4 % of the keys for 1,000 of them. It would leave
open whether keys that 1 in 100 reaches exist at all, which is what is asked.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from cachetools import cached

from wrongkey.errors import BadInput
from wrongkey.reports.effective_error import effective_error, is_two_sided
from wrongkey.reports.statistics.key_statistics import Array, KeyStatistics
from wrongkey.reports.statistics.proportions import exact_band
from wrongkey.reports.statistics.tails import fit_tail

POINTS = 200  # of a curve
ROUNDING = 1e-9  # of scores, as in `Metric.within`


@dataclass(frozen=True, eq=False)
class Survival:
    """Share of the random keys that come within a distance of the plain model, or do better than it.

    Parameters
    ----------
    distance : ndarray
        From the plain model's score, in the metric's unit, ascending `(k,)`, 0 or more.
    share : ndarray
        Of the keys, 0 to 1 `(k,)`.
    low, high : ndarray
        Ends of the 95 % interval of each share `(k,)`; the share itself where every key that exists was tried.
    """

    distance: Array
    share: Array
    low: Array
    high: Array


def survival(result: KeyStatistics) -> Survival:
    """Count how many of a run's keys come within each distance of the plain model.

    Parameters
    ----------
    result : KeyStatistics
        Of `summarise`, with a score of the plain model. An EER above 50 % counts as 100 minus it.

    Returns
    -------
    Survival
        At 0, at the metric's distances, at those of the nearest keys, and at a choice of the others': at most
        `POINTS` and some in all.

    Raises
    ------
    BadInput
        If the run has no score of the plain model.
    """
    gaps = np.sort(_gaps(result))
    nearest = np.unique(np.geomspace(1, len(gaps), POINTS).astype(int)) - 1
    distance = np.unique(np.maximum([0.0, *result.metric.distances, *gaps[nearest]], 0.0).round(9))
    hits = np.searchsorted(gaps, distance + ROUNDING, side="right")
    share = hits / len(gaps)
    low, high = (share, share) if result.run.exhaustive else exact_band(hits, len(gaps))
    return Survival(distance, share, low, high)


@cached(WeakKeyDictionary(), key=lambda result: result)  # the figure and its words both ask
def predicted(result: KeyStatistics) -> Survival | None:
    """What the fitted tail says of distances that no key reached.

    Parameters
    ----------
    result : KeyStatistics
        As for `survival`.

    Returns
    -------
    Survival or None
        At the distances, from the nearest key's down to the plain model's own score, of which the tail can be trusted
        (`wrongkey.reports.statistics.tails`); None where there is none.

    Raises
    ------
    BadInput
        If the run has no score of the plain model.
    """
    gaps = _gaps(result)
    nearest = float(gaps.min())
    if result.run.exhaustive or nearest <= 2 * ROUNDING:
        return None
    unreached = [distance for distance in result.metric.distances if distance < nearest - ROUNDING]
    distances = np.unique([*np.linspace(0.0, nearest - 2 * ROUNDING, 40), *unreached]).tolist()
    scores = gaps if result.metric.higher_is_safer else -gaps
    tail = fit_tail(scores, 0.0, result.metric, result.guesses[0].limit, distances=distances)
    if tail is None or tail.warning:
        return None
    kept = [guess for guess in tail.guesses if guess.predicted]
    if not kept:
        return None
    distance = np.array([guess.distance for guess in kept])
    share, high, low = (1 / np.array([getattr(guess, name) for guess in kept]) for name in ("expected", "low", "high"))
    return Survival(distance, share, low, high)


def _gaps(result: KeyStatistics) -> Array:
    """By how much each key `(keys,)` is safer than the plain model, in the metric's unit."""
    if result.plain is None:
        raise BadInput(f"{result.run.folder} has no score of the plain model: nothing says how near to it a key comes.")
    plain, values = np.asarray(result.plain.value), result.values
    if is_two_sided(result.metric.name):
        plain, values = effective_error(plain), effective_error(values)
    return np.asarray(values - plain if result.metric.higher_is_safer else plain - values)
